//! Who still knocks, as the XDP program counts it on real frames: packets for each banned host and network, and when the latest came.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::path::PathBuf;

use blocker::ban::{Change, Enforced, Expiry, JailId, Scope, Subject};
use blocker::firewall::xdp::{Sizes, Xdp};
use blocker::firewall::{Firewall as _, JailScope, Knocks};
use blocker_lab::Wire;
use blocker_tests::behaviour::frames::syn;
use blocker_tests::{eventually, interface, require_root};
use jiff::{SignedDuration, Timestamp};

const SMALL: Sizes = Sizes {
    addresses: 1000,
    networks: 1000,
};

/// A folder of pins of the test's own, which goes with it.
struct Pins(PathBuf);

impl Drop for Pins {
    fn drop(&mut self) {
        // Where it cannot be removed, the next run removes it.
        let _ = Xdp::clear(&self.0);
    }
}

/// An agent's firewall at the receiver's end, in force with these bans.
fn start(wire: &Wire, pins: &Pins, bans: &[Change]) -> Xdp {
    let jail = JailScope {
        name: "spam".to_owned(),
        scope: Scope::tcp(vec![25..=25]),
    };
    let open = || {
        let now = Timestamp::now();
        let mut xdp = Xdp::open(&[jail], SMALL, &pins.0).unwrap();
        // What was counted before is carried on with it.
        let _ = xdp.inherited(now);
        assert!(xdp.apply(bans, now).is_empty());
        xdp.attach(&interface("eth0")).unwrap();
        xdp.settle().unwrap();
        xdp
    };
    wire.receiver().enter(open).unwrap()
}

fn ban(subject: &str, hours: i64) -> Change {
    let until = Expiry::At(Timestamp::now() + SignedDuration::from_hours(hours));
    Change {
        subject: subject.parse().unwrap(),
        bans: vec![Enforced { jail: JailId(0), until }],
    }
}

/// The knocks of one host or network, by itself and among all.
fn knocks_of(xdp: &Xdp, subject: &str) -> Knocks {
    let subject: Subject = subject.parse().unwrap();
    let now = Timestamp::now();
    let [alone] = xdp.knocks_of(&[subject], now).unwrap()[..] else {
        unreachable!("{subject} is banned");
    };
    let mut among = Vec::new();
    xdp.knocks(now, &mut |knocks| {
        among.extend((knocks.subject == subject).then_some(knocks.packets))
    })
    .unwrap();
    assert_eq!(among, [alone.packets]);
    alone
}

fn knock(wire: &Wire, xdp: &Xdp, from: &str, subject: &str, times: u64) -> Knocks {
    let awaited = knocks_of(xdp, subject).packets + times;
    for _ in 0..times {
        wire.send(syn(from.parse().unwrap(), 25).bytes()).unwrap();
    }
    eventually("every packet is counted", || knocks_of(xdp, subject).packets == awaited);
    let knocks = knocks_of(xdp, subject);
    let age = Timestamp::now().duration_since(knocks.last.unwrap());
    assert!(age.abs() < SignedDuration::from_secs(1), "{age}");
    knocks
}

#[test]
fn knocks_are_counted_through_extensions_and_restarts() {
    require_root();
    let wire = Wire::new().unwrap();
    let pins = Pins(format!("/sys/fs/bpf/blocker/test-knocks-{}", std::process::id()).into());
    let bans = [
        ban("192.0.2.7", 1),
        ban("198.51.100.0/24", 1),
        ban("198.51.100.0/25", 1),
    ];
    let mut first = start(&wire, &pins, &bans);
    let before = knocks_of(&first, "192.0.2.7");
    assert_eq!((before.packets, before.last), (0, None));
    knock(&wire, &first, "192.0.2.7", "192.0.2.7", 3);
    knock(&wire, &first, "198.51.100.200", "198.51.100.0/24", 2);
    assert_eq!(knocks_of(&first, "198.51.100.0/25").packets, 0);
    let nobody = ["192.0.2.8", "198.51.100.0/26"].map(|subject| subject.parse().unwrap());
    assert_eq!(first.knocks_of(&nobody, Timestamp::now()).unwrap(), []);

    assert!(first.apply(&[ban("192.0.2.7", 2)], Timestamp::now()).is_empty());
    assert_eq!(knocks_of(&first, "192.0.2.7").packets, 3);
    assert_eq!(knock(&wire, &first, "192.0.2.7", "192.0.2.7", 1).packets, 4);
    drop(first);

    let mut next = start(&wire, &pins, &bans);
    assert_eq!(knocks_of(&next, "198.51.100.0/24").packets, 2);
    assert_eq!(knock(&wire, &next, "192.0.2.7", "192.0.2.7", 1).packets, 5);

    let freed = Change {
        subject: "192.0.2.7".parse().unwrap(),
        bans: Vec::new(),
    };
    assert!(next.apply(&[freed], Timestamp::now()).is_empty());
    assert!(next.apply(&[ban("192.0.2.7", 1)], Timestamp::now()).is_empty());
    let anew = knocks_of(&next, "192.0.2.7");
    assert_eq!((anew.packets, anew.last), (0, None));
}
