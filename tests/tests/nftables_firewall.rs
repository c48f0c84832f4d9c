//! The nftables firewall in a real kernel: what it holds is read back with `nft`, what it drops is tried with
//! connections and packets.
//!
//! Each test has a network namespace of its own; the machine's own ruleset is not touched.

#[path = "nftables_firewall/allowlist.rs"]
mod allowlist;
#[path = "nftables_firewall/counters.rs"]
mod counters;
#[path = "nftables_firewall/coverage.rs"]
mod coverage;
#[path = "nftables_firewall/ends.rs"]
mod ends;
#[path = "nftables_firewall/handover.rs"]
mod handover;
#[path = "nftables_firewall/ingress.rs"]
mod ingress;
#[path = "nftables_firewall/knocks.rs"]
mod knocks;
#[path = "nftables_firewall/many.rs"]
mod many;
#[path = "nftables_firewall/namespace.rs"]
mod namespace;
#[path = "nftables_firewall/packets.rs"]
mod packets;
#[path = "nftables_firewall/table.rs"]
mod table;

use anyhow::{Result, ensure};
use blocker::ban::{Change, Enforced, Expiry, JailId, Scope};
use blocker::firewall::nftables::{Hook, Nftables};
use blocker::firewall::{Firewall as _, JailScope};
use jiff::{Timestamp, ToSpan as _};

const MAIL: u16 = 0;
const SUBMISSION: u16 = 1;
const RESOLVER: u16 = 2;

const HOUR: i64 = 3_600_000;

/// `mail` covers port 25, `submission` ports 465 and 580 to 590, `resolver` UDP ports 53 and 5000 to 5002.
fn jails() -> Vec<JailScope> {
    let jail = |name: &str, scope| JailScope {
        name: name.to_owned(),
        scope,
    };
    let udp = Scope {
        tcp: vec![],
        udp: vec![53..=53, 5000..=5002],
    };
    vec![
        jail("mail", Scope::tcp(vec![25..=25])),
        jail("submission", Scope::tcp(vec![465..=465, 580..=590])),
        jail("resolver", udp),
    ]
}

/// The table, laid and in force.
fn open(jails: &[JailScope]) -> Result<Nftables> {
    let mut firewall = Nftables::open(jails, Hook::Prerouting)?;
    firewall.settle()?;
    Ok(firewall)
}

/// From now on the host or network is banned in these jails, for so many milliseconds.
fn ban(subject: &str, bans: &[(u16, i64)]) -> Result<Change> {
    let until = |millis: i64| Timestamp::now().checked_add(millis.milliseconds()).map(Expiry::At);
    let enforced = |&(jail, millis): &(u16, i64)| {
        Ok(Enforced {
            jail: JailId(jail),
            until: until(millis)?,
        })
    };
    Ok(Change {
        subject: subject.parse()?,
        bans: bans.iter().map(enforced).collect::<Result<_>>()?,
    })
}

fn apply(firewall: &mut Nftables, changes: &[Change]) -> Result<()> {
    let rejected = firewall.apply(changes, Timestamp::now());
    ensure!(rejected.is_empty(), "{rejected:?}");
    Ok(())
}
