//! Bans in a batch, beside what the kernel alone takes.

use anyhow::Result;
use blocker::ban::Change;
use blocker::firewall::nftables::{Hook, Nftables};
use blocker::firewall::xdp::{Sizes, Xdp};
use blocker_common::map::{Ban, Terms};
use blocker_lab::command::output;
use blocker_lab::{Namespace, Wire};

use super::bare_map::BareMap;
use super::bare_set::Transactions;
use crate::bench::Ground;
use crate::kernel::hosts::{Version, bans, ipv4};
use crate::kernel::ours::{apply, hour, jails};
use crate::kernel::processor_time;
use crate::report::{Report, Table, Unit};
use crate::rounds::alternate;

const OURS: &str = "blocker";
const BARE: &str = "the kernel alone";

/// Microseconds that a ban may take beyond what it takes the kernel.
const MOST: f64 = 1.0;

pub(super) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let wire = Wire::new()?;
    let host = wire.receiver();
    for (count, rounds) in [(5_000, 11), (100_000, 7), (1_000_000, 3)] {
        let rounds = ground.rounds(rounds);
        let inside = || {
            let changes = bans(Version::Ipv4, count, hour());
            let xdp = xdp(rounds, count, &changes)?;
            // A million take nftables seconds, and as many to be forgotten.
            let rounds = if count > 100_000 { 1 } else { rounds };
            let nftables = nftables(rounds, count, &changes, host)?;
            anyhow::Ok([("XDP", xdp), ("nftables", nftables)])
        };
        for (firewall, table) in host.enter(inside)?? {
            let beyond = table.samples(OURS).zip(table.samples(BARE));
            let beyond = beyond.map(|(ours, bare)| ours.less(bare).figure_or(bare));
            let what = format!("{firewall}, {count} bans: µs a ban beyond what the kernel takes");
            report.at_most(&what, beyond, MOST);
            report.add(table);
        }
    }
    Ok(())
}

fn xdp(rounds: usize, count: u32, changes: &[Change]) -> Result<Table> {
    let keys: Vec<[u8; 4]> = (0..count).map(|number| ipv4(number).octets()).collect();
    let values = vec![forever(); keys.len()];
    let mut bare = || {
        let map = BareMap::new()?;
        a_ban(count, || map.fill(&keys, &values))
    };
    let mut ours = || {
        let mut xdp = Xdp::load(&jails(), Sizes::default())?;
        a_ban(count, || apply(&mut xdp, changes))
    };
    let samples = alternate(rounds, &mut [(BARE, &mut bare), (OURS, &mut ours)])?;
    Ok(Table::against(
        &format!("XDP, {count} bans, a ban"),
        Unit::Microseconds,
        BARE,
        samples,
    ))
}

fn nftables(rounds: usize, count: u32, changes: &[Change], host: &Namespace) -> Result<Table> {
    let transactions = Transactions::new("banned", (0..count).map(ipv4));
    let mut bare = || {
        let set = "add table inet filter; add set inet filter banned { type ipv4_addr; flags timeout; }";
        output(host.command("nft").arg(set))?;
        let time = a_ban(count, || transactions.carry_out());
        output(host.command("nft").arg("delete table inet filter"))?;
        time
    };
    let mut ours = || {
        let mut nftables = Nftables::open(&jails(), Hook::Prerouting)?;
        nftables.settle()?;
        let time = a_ban(count, || apply(&mut nftables, changes));
        Nftables::clear()?;
        time
    };
    let samples = alternate(rounds, &mut [(BARE, &mut bare), (OURS, &mut ours)])?;
    let what = format!("nftables, {count} bans, a ban");
    Ok(Table::against(&what, Unit::Microseconds, BARE, samples))
}

/// Microseconds for each of so many.
fn a_ban(count: u32, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    Ok(processor_time(work)? / 1000.0 / f64::from(count))
}

fn forever() -> Ban {
    Ban {
        until: Ban::FOREVER,
        packets: 0,
        last_packet: 0,
        terms: Terms::one(32, 0, 0),
    }
}
