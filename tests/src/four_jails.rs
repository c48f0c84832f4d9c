//! A relay with four jails and as many bans as one likes: what memory and restarts are measured with.

use std::fs;
use std::net::IpAddr;

use blocker::ban::{Ban, Expiry, JailId, Origin, Subject};
use blocker::ledger::store::{Entered, Store};
use blocker::ledger::{Allowlist, Ledger};
use blocker_lab::network::SPAMMERS;
use jiff::{SignedDuration, Timestamp};

use crate::agent::Agent;
use crate::eventually;
use crate::relay::Relay;

/// The jails.
pub const JAILS: [&str; 4] = ["spam", "auth", "unknown", "abuse"];

/// A relay with four jails over one log that ban after so many failures.
///
/// # Panics
///
/// When the machine refuses anything.
#[must_use]
pub fn four_jails(max_retry: u32) -> Relay {
    let relay = Relay::new("3600");
    let jail = fs::read_to_string(relay.config().join("jail.conf")).expect("it was written");
    let jail = jail.replace("maxretry = 2", &format!("maxretry = {max_retry}"));
    let jails = JAILS.map(|name| jail.replace("[spam]", &format!("[{name}]")));
    relay.configure(&jails.join("\n"));
    relay
}

/// A ledger of so many bans, the first of them the spammer's.
///
/// # Panics
///
/// When it cannot be written.
pub fn fill(relay: &Relay, bans: u32) {
    let now = Timestamp::now();
    let history = SignedDuration::from_hours(24);
    let (mut store, _) =
        Store::open(&relay.state(), JAILS.map(str::to_owned).into(), history, now).expect("the ledger is new");
    let ledger = Ledger::new(Allowlist::default());
    let others = (1..bans).map(|n| IpAddr::from((0x0a00_0000 + n).to_be_bytes()));
    for (n, address) in (0..).zip([SPAMMERS[0].into()].into_iter().chain(others)) {
        let ban = Ban {
            subject: Subject::host(address),
            jail: JailId((n % JAILS.len()) as u16),
            origin: Origin::Jail,
            since: now,
            until: Expiry::At(now + SignedDuration::from_hours(1)),
            failures: 2,
        };
        store.enter(&ban, Entered::New { bans: 1 });
    }
    store.commit(&ledger, now);
    assert!(store.is_durable());
}

/// The agent's memory in KiB when it has given back what starting took: a moment after it was ready.
#[must_use]
pub fn settled(agent: &Agent) -> u64 {
    let mut before = u64::MAX;
    let mut now = agent.resident_kib();
    eventually("the memory stays as it is", || {
        (before, now) = (now, agent.resident_kib());
        now == before
    });
    now
}
