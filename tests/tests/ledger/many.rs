//! The agent with 50,000 bans in its ledger: how soon it is in full service, and in how much memory.

use std::time::{Duration, Instant};

use blocker::ban::{Ban, Expiry, JailId, Origin};
use blocker::ledger::store::Entered;
use blocker::ledger::{Allowlist, Ledger};

use super::*;

const BANS: u32 = 50_000;
/// A release takes less than a second. This is built without much optimisation, on a machine that builds beside it.
const LIMIT: Duration = Duration::from_secs(10);

/// Four jails over one log.
fn four_jails(relay: &Relay) {
    let jail = fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    let others = ["auth", "unknown", "abuse"].map(|name| jail.replace("[spam]", &format!("[{name}]")));
    relay.configure(&format!("{jail}\n{}", others.join("\n")));
}

fn fill(relay: &Relay) {
    let now = Timestamp::now();
    let jails = ["spam", "auth", "unknown", "abuse"].map(str::to_owned);
    let (mut store, _) = Store::open(&relay.state(), jails.into(), SignedDuration::from_hours(24), now).unwrap();
    let ledger = Ledger::new(Allowlist::default());
    for n in 0..BANS {
        let ban = Ban {
            subject: blocker::ban::Subject::host(IpAddr::from((0x0a00_0000 + n).to_be_bytes())),
            jail: JailId((n % 4) as u16),
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

fn in_full_service_soon(firewall: &str) {
    let relay = Relay::new("3600");
    four_jails(&relay);
    fill(&relay);
    let begin = Instant::now();
    let mut agent = relay.start(firewall);
    let first = begin.elapsed();
    let memory = agent.resident_kib();
    assert_eq!(relay.metric("blocker_bans_active{jail=\"spam\"}"), u64::from(BANS / 4));
    agent.stop();
    let begin = Instant::now();
    let _agent = relay.start(firewall);
    let second = begin.elapsed();
    println!(
        "{firewall}: {BANS} bans in full service {first:.2?} after the start with an empty kernel, {second:.2?} with them in the kernel; \
         {:.1} MB resident",
        memory as f64 / 1024.0
    );
    assert!(first < LIMIT && second < LIMIT, "{first:?}, {second:?}");
}

#[test]
fn fifty_thousand_bans_are_in_full_service_soon_with_xdp() {
    in_full_service_soon("xdp");
}

#[test]
fn fifty_thousand_bans_are_in_full_service_soon_with_nftables() {
    in_full_service_soon("nftables");
}
