//! The compiled XDP program in this kernel: what it takes to load it, and what does not fit into the table of behaviour.
//!
//! What it says to frames is in that table, see `behaviour_program`.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::time::{Duration, Instant};

use aya::programs::{TestRun as _, TestRunOptions};
use blocker::ban::{Change, Enforced, Expiry, JailId, Scope};
use blocker::firewall::xdp::{Sizes, Xdp};
use blocker::firewall::{Firewall as _, JailScope};
use blocker_tests::behaviour::frames::syn;
use blocker_tests::require_root;
use jiff::{SignedDuration, Timestamp};

const DROP: u32 = 1;
const PASS: u32 = 2;

const SPAMMER: &str = "192.0.2.7";

/// The kernel gives up at a million; far below it, so that one more branch can be added without a thought.
const MOST_VERIFIED: u32 = 200_000;
/// Half a second on a slow machine under load; a verifier that has run wild takes many.
const LONGEST_LOAD: Duration = Duration::from_secs(5);

const SMALL: Sizes = Sizes {
    addresses: 1000,
    networks: 1000,
};

/// One jail, on port 25.
fn load() -> Xdp {
    load_with(SMALL)
}

fn load_with(sizes: Sizes) -> Xdp {
    require_root();
    let jail = JailScope {
        name: "spam".to_owned(),
        scope: Scope::tcp(vec![25..=25]),
    };
    Xdp::load(&[jail], sizes).unwrap()
}

fn verdict(xdp: &mut Xdp, frame: &[u8]) -> u32 {
    let options = TestRunOptions {
        data_in: Some(frame),
        ..TestRunOptions::default()
    };
    xdp.program().unwrap().test_run(options).unwrap().return_value
}

#[test]
fn the_verifier_accepts_the_program_without_much_work() {
    let begin = Instant::now();
    let mut xdp = load();
    let loading = begin.elapsed();
    let info = xdp.program().unwrap().info().unwrap();
    let verified = info.verified_instruction_count().unwrap();
    println!("{verified} instructions verified, all loaded in {loading:?}");
    assert!(
        verified < MOST_VERIFIED,
        "the verifier has followed {verified} instructions; which branch has doubled its ways?"
    );
    assert!(loading < LONGEST_LOAD, "program and maps took {loading:?} to load");
}

#[test]
fn the_kernel_ends_a_ban_by_itself() {
    let mut xdp = load();
    let now = Timestamp::now();
    let until = Expiry::At(now + SignedDuration::from_secs(2));
    let change = Change {
        subject: SPAMMER.parse().unwrap(),
        bans: vec![Enforced { jail: JailId(0), until }],
    };
    assert!(xdp.apply(&[change], now).is_empty());
    let frame = syn(SPAMMER.parse().unwrap(), 25);
    assert_eq!(verdict(&mut xdp, frame.bytes()), DROP);
    let deadline = Instant::now() + Duration::from_secs(7);
    while verdict(&mut xdp, frame.bytes()) == DROP {
        assert!(Instant::now() < deadline, "still dropped 5 s after a ban of 2 s");
    }
}

#[test]
fn what_comes_onto_the_allowlist_is_spared_by_bans_that_are_in_force_already() {
    let mut xdp = load();
    let enforced = Enforced {
        jail: JailId(0),
        until: Expiry::Never,
    };
    let ban = |subject: &str| Change {
        subject: subject.parse().unwrap(),
        bans: vec![enforced],
    };
    let now = Timestamp::now();
    assert!(xdp.apply(&[ban("192.0.2.0/24"), ban("198.51.100.7")], now).is_empty());
    let in_network = syn(SPAMMER.parse().unwrap(), 25);
    let neighbour = syn("192.0.2.8".parse().unwrap(), 25);
    let host = syn("198.51.100.7".parse().unwrap(), 25);
    let verdicts = |xdp: &mut Xdp| [&in_network, &neighbour, &host].map(|frame| verdict(xdp, frame.bytes()));
    assert_eq!(verdicts(&mut xdp), [DROP; 3]);
    let allowed = [SPAMMER, "198.51.100.7"].map(|host| format!("{host}/32").parse().unwrap());
    xdp.allow(&allowed).unwrap();
    assert_eq!(verdicts(&mut xdp), [PASS, DROP, PASS]);
    // Made anew while it is on the list, and when it is off again.
    assert!(xdp.apply(&[ban("198.51.100.7")], now).is_empty());
    assert_eq!(verdicts(&mut xdp), [PASS, DROP, PASS]);
    xdp.allow(&[]).unwrap();
    assert_eq!(verdicts(&mut xdp), [DROP; 3]);
}

#[test]
fn a_full_map_is_reported_by_address_and_setting() {
    let mut xdp = load_with(Sizes {
        addresses: 2,
        networks: 2,
    });
    let now = Timestamp::now();
    let enforced = Enforced {
        jail: JailId(0),
        until: Expiry::Never,
    };
    // A preallocated map has a few slots to spare for each CPU, so more than one too many is needed.
    let changes: Vec<Change> = (0..200u8)
        .map(|n| Change {
            subject: blocker::ban::Subject::host([198, 51, 100, n].into()),
            bans: vec![enforced],
        })
        .collect();
    let rejected = xdp.apply(&changes, now);
    let first = rejected.first().expect("the map is full");
    let message = format!("{:#}", first.error);
    assert!(message.contains("198.51.100."), "{message}");
    assert!(message.contains("max_addresses"), "{message}");
}
