//! Against xdp-filter, with as many IPv4 hosts as it has room for.

use std::path::Path;

use anyhow::{Result, ensure};

use super::{Scattered, XDP_DROP, XDP_PASS, hot, scattered};
use crate::kernel::hosts::{PORT, Syn, Version};
use crate::kernel::ours;
use crate::kernel::program::verdict;
use crate::kernel::sender::Frames;
use crate::kernel::xdp_filter::{self, Features, MOST};
use crate::peers::Peer;
use crate::report::{Report, Table, Unit};
use crate::rounds::alternate_all;

const IP: &str = "xdp-filter, addresses";
const ALL: &str = "xdp-filter, all features";
const OURS: &str = "blocker";

/// Where the calling thread's namespace has its BPF file system.
const PINS: &str = "/sys/fs/bpf";

pub(super) fn run(tools: &Peer, rounds: usize, report: &mut Report) -> Result<()> {
    let version = Version::Ipv4;
    let load = |features| xdp_filter::load(tools, features, MOST, Path::new(PINS));
    let (ip, all) = (load(Features::Ip)?, load(Features::All)?);
    let mut ours = ours::load(version, MOST)?;
    for (what, first, expected) in [("banned", 0, XDP_DROP), ("unknown", MOST, XDP_PASS)] {
        let frame = Syn::from(version, first + 7, PORT)?.bytes;
        ours::check(&mut ours, &frame, expected)?;
        for (name, theirs) in [(IP, &ip), (ALL, &all)] {
            let says = verdict(theirs.xdp()?, &frame)?;
            ensure!(says == expected, "{what}: {name} says {says} and not {expected}");
        }
        let program = &*ours.program()?;
        let measured = vec![
            hot(IP, ip.xdp()?, &frame),
            hot(ALL, all.xdp()?, &frame),
            hot(OURS, program, &frame),
        ];
        let heading = format!("IPv4, {MOST} bans, {what}, hot");
        let table = Table::against(&heading, Unit::Nanoseconds, IP, alternate_all(rounds, measured)?);
        let most = if expected == XDP_DROP { 0.95 } else { 0.75 };
        report.at_most(
            &format!("{heading}: blocker's time against xdp-filter's"),
            table.ratio(OURS),
            most,
        );
        report.add(table);

        let hosts = (version, first, MOST);
        let all = [
            Scattered::new(IP, hosts, Frames::Whole, &ip.fd()?)?,
            Scattered::new(ALL, hosts, Frames::Whole, &all.fd()?)?,
            Scattered::new(OURS, hosts, Frames::Split, &ours::fd(&mut ours)?)?,
        ];
        let heading = format!("IPv4, {MOST} bans, {what}, scattered");
        let samples = scattered(rounds, (version, MOST), &all)?;
        report.add(Table::against(&heading, Unit::Nanoseconds, IP, samples));
    }
    Ok(())
}
