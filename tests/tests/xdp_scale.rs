//! How quickly many bans are in force with XDP, and that a full map says so.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use blocker::ban::{Change, Enforced, Expiry, JailId, Scope, Subject};
use blocker::firewall::xdp::{Sizes, Xdp};
use blocker::firewall::{Firewall as _, JailScope};
use blocker_tests::require_root;
use jiff::{SignedDuration, Timestamp};

fn load() -> Xdp {
    require_root();
    let jail = JailScope {
        name: "spam".to_owned(),
        scope: Scope::tcp(vec![25..=25]),
    };
    Xdp::load(&[jail], Sizes::default()).unwrap()
}

/// Bans for an hour, spread over the address space.
fn bans(count: u32, now: Timestamp) -> Vec<Change> {
    let until = Expiry::At(now + SignedDuration::from_hours(1));
    let scattered = (0..count).map(|n| Ipv4Addr::from(n.wrapping_mul(2_654_435_761)));
    let change = |address: Ipv4Addr| Change {
        subject: Subject::host(address.into()),
        bans: vec![Enforced { jail: JailId(0), until }],
    };
    scattered.map(change).collect()
}

/// Held by each test: neither is to take the other's time.
static ALONE: Mutex<()> = Mutex::new(());

fn enforced_within(count: u32, limit: Duration) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut xdp = load();
    let now = Timestamp::now();
    let changes = bans(count, now);
    let begin = Instant::now();
    let rejected = xdp.apply(&changes, now);
    let taken = begin.elapsed();
    println!("{count} bans in {taken:?}");
    assert!(rejected.is_empty(), "{:?}", rejected.first());
    assert!(taken < limit, "{count} bans took {taken:?}");
    let begin = Instant::now();
    assert_eq!(xdp.compare(&changes, now).unwrap(), []);
    println!("{count} compared in {:?}", begin.elapsed());
}

#[test]
fn a_hundred_thousand_bans_are_in_force_within_half_a_second() {
    enforced_within(100_000, Duration::from_millis(500));
}

#[test]
fn a_million_bans_are_in_force_within_five_seconds() {
    enforced_within(1_000_000, Duration::from_secs(5));
}
