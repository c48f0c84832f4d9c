//! The compiled XDP program in this kernel: that the verifier accepts it, and what it says to frames.
//!
//! Each case is a frame and the verdict that a postmaster expects, run through `BPF_PROG_TEST_RUN`; no interface is involved.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use aya::programs::{TestRun as _, TestRunOptions};
use blocker::ban::{Change, Enforced, Expiry, JailId, Scope};
use blocker::firewall::xdp::{Sizes, Xdp};
use blocker::firewall::{Firewall as _, JailScope};
use blocker_common::map::Outcome;
use blocker_common::packet::{Family, Unparsed};
use blocker_tests::require_root;
use etherparse::{PacketBuilder, PacketBuilderStep, VlanHeader, VlanId};
use jiff::{SignedDuration, Timestamp};

const DROP: u32 = 1;
const PASS: u32 = 2;

const SPAMMER: &str = "192.0.2.7";
const SPAMMER_V6: &str = "2001:db8::7";
const HONEST: &str = "192.0.2.8";
const EXPIRED: &str = "192.0.2.9";

const SMALL: Sizes = Sizes {
    addresses: 1000,
    networks: 1000,
};

/// One jail on port 25, one on 587 and 4000 to 4002.
fn load() -> Xdp {
    require_root();
    let jail = |name: &str, ports| JailScope {
        name: name.to_owned(),
        scope: Scope::tcp(ports),
    };
    Xdp::load(
        &[jail("spam", vec![25..=25]), jail("sasl", vec![587..=587, 4000..=4002])],
        SMALL,
    )
    .unwrap()
}

fn ban(xdp: &mut Xdp, address: &str, jail: u16, seconds: i64) {
    let now = Timestamp::now();
    let change = Change {
        subject: address.parse().unwrap(),
        bans: vec![Enforced {
            jail: JailId(jail),
            until: Expiry::At(now + SignedDuration::from_secs(seconds)),
        }],
    };
    let rejected = xdp.apply(&[change], now);
    assert!(rejected.is_empty(), "{rejected:?}");
}

fn verdict(xdp: &mut Xdp, frame: &[u8]) -> u32 {
    let options = TestRunOptions {
        data_in: Some(frame),
        ..TestRunOptions::default()
    };
    xdp.program().unwrap().test_run(options).unwrap().return_value
}

fn ip(source: &str) -> PacketBuilderStep<etherparse::IpHeaders> {
    ip_behind(None, source)
}

fn ip_behind(vlan: Option<VlanHeader>, source: &str) -> PacketBuilderStep<etherparse::IpHeaders> {
    let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    match (source.parse().unwrap(), vlan) {
        (std::net::IpAddr::V4(v4), None) => ethernet.ipv4(v4.octets(), [192, 0, 2, 25], 64),
        (std::net::IpAddr::V4(v4), Some(vlan)) => ethernet.vlan(vlan).ipv4(v4.octets(), [192, 0, 2, 25], 64),
        (std::net::IpAddr::V6(v6), None) => ethernet.ipv6(v6.octets(), [1; 16], 64),
        (std::net::IpAddr::V6(v6), Some(vlan)) => ethernet.vlan(vlan).ipv6(v6.octets(), [1; 16], 64),
    }
}

fn syn(source: &str, port: u16) -> Vec<u8> {
    syn_on(ip(source), port)
}

fn syn_on(ip: PacketBuilderStep<etherparse::IpHeaders>, port: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    ip.tcp(40_000, port, 1, 1024).syn().write(&mut frame, &[]).unwrap();
    frame
}

#[test]
fn the_verifier_accepts_the_program() {
    load();
}

#[test]
fn each_frame_gets_the_verdict_a_postmaster_expects() {
    let mut xdp = load();
    for address in [SPAMMER, SPAMMER_V6] {
        ban(&mut xdp, address, 0, 60);
    }
    ban(&mut xdp, EXPIRED, 0, -1);

    let tag = VlanId::try_new(42).unwrap();
    let single = |id| etherparse::SingleVlanHeader {
        vlan_id: id,
        ..Default::default()
    };
    let vlan = VlanHeader::Single(single(tag));
    let qinq = VlanHeader::Double(etherparse::DoubleVlanHeader {
        outer: single(tag),
        inner: single(tag),
    });
    let mut udp = Vec::new();
    ip(SPAMMER).udp(40_000, 25).write(&mut udp, &[]).unwrap();
    let mut ack = Vec::new();
    let data = ip(SPAMMER).tcp(40_000, 25, 1, 1024).ack(1);
    data.write(&mut ack, b"EHLO spam.example\r\n").unwrap();

    let cases = [
        ("banned, SYN to port 25", syn(SPAMMER, 25), DROP),
        ("banned, data on an old connection to port 25", ack, DROP),
        ("banned, IPv6", syn(SPAMMER_V6, 25), DROP),
        (
            "banned, behind a VLAN tag",
            syn_on(ip_behind(Some(vlan.clone()), SPAMMER), 25),
            DROP,
        ),
        (
            "banned, behind two VLAN tags",
            syn_on(ip_behind(Some(qinq), SPAMMER), 25),
            DROP,
        ),
        (
            "banned, IPv6 behind a VLAN tag",
            syn_on(ip_behind(Some(vlan), SPAMMER_V6), 25),
            DROP,
        ),
        ("banned, port of another jail", syn(SPAMMER, 587), PASS),
        ("banned, ssh", syn(SPAMMER, 22), PASS),
        ("banned, UDP port 25", udp, PASS),
        ("honest, port 25", syn(HONEST, 25), PASS),
        ("ban is over", syn(EXPIRED, 25), PASS),
        (
            "banned, cut within the TCP header's ports",
            syn(SPAMMER, 25)[..36].to_vec(),
            PASS,
        ),
        (
            "banned, cut within the IP header",
            syn(SPAMMER, 25)[..20].to_vec(),
            PASS,
        ),
    ];
    for (what, frame, expected) in cases {
        assert_eq!(verdict(&mut xdp, &frame), expected, "{what}");
    }
    let unparsed: Vec<u64> = xdp
        .unparsed()
        .unwrap()
        .into_iter()
        .map(|(_, packets)| packets)
        .collect();
    assert_eq!(unparsed[Unparsed::Tcp as usize], 1);
    assert_eq!(unparsed[Unparsed::Ipv4 as usize], 1);
}

#[test]
fn a_port_range_is_covered_from_end_to_end_and_no_further() {
    let mut xdp = load();
    ban(&mut xdp, SPAMMER, 1, 60);
    for (port, expected) in [
        (3999, PASS),
        (4000, DROP),
        (4001, DROP),
        (4002, DROP),
        (4003, PASS),
        (587, DROP),
        (25, PASS),
    ] {
        assert_eq!(verdict(&mut xdp, &syn(SPAMMER, port)), expected, "port {port}");
    }
}

#[test]
fn the_kernel_ends_a_ban_by_itself() {
    let mut xdp = load();
    let now = Timestamp::now();
    let until = Expiry::At(now + SignedDuration::from_millis(300));
    let change = Change {
        subject: SPAMMER.parse().unwrap(),
        bans: vec![Enforced { jail: JailId(0), until }],
    };
    assert!(xdp.apply(&[change], now).is_empty());
    let frame = syn(SPAMMER, 25);
    assert_eq!(verdict(&mut xdp, &frame), DROP);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while verdict(&mut xdp, &frame) == DROP {
        assert!(
            std::time::Instant::now() < deadline,
            "still dropped 5 s after a ban of 0.3 s"
        );
    }
}

#[test]
fn an_unban_lets_the_host_in_again_and_may_be_repeated() {
    let mut xdp = load();
    ban(&mut xdp, SPAMMER, 0, 60);
    let free = Change {
        subject: SPAMMER.parse().unwrap(),
        bans: Vec::new(),
    };
    for _ in 0..2 {
        assert!(xdp.apply(std::slice::from_ref(&free), Timestamp::now()).is_empty());
        assert_eq!(verdict(&mut xdp, &syn(SPAMMER, 25)), PASS);
    }
}

#[test]
fn drops_are_counted_by_jail_and_family() {
    let mut xdp = load();
    ban(&mut xdp, SPAMMER, 0, 60);
    ban(&mut xdp, SPAMMER_V6, 1, 60);
    let frame = syn(SPAMMER, 25);
    for _ in 0..3 {
        verdict(&mut xdp, &frame);
    }
    verdict(&mut xdp, &syn(SPAMMER_V6, 587));
    let mut drops = xdp.counters().unwrap();
    drops.retain(|counted| counted.outcome == Outcome::Dropped);
    let counted: Vec<_> = drops
        .iter()
        .map(|drop| (drop.jail.0, drop.family, drop.packets))
        .collect();
    assert_eq!(
        counted,
        [
            (0, Family::Ipv4, 3),
            (0, Family::Ipv6, 0),
            (1, Family::Ipv4, 0),
            (1, Family::Ipv6, 1)
        ]
    );
    assert_eq!(drops[0].bytes, 3 * frame.len() as u64);
}

#[test]
fn a_full_map_is_reported_by_address_and_setting() {
    require_root();
    let scope = Scope::tcp(vec![25..=25]);
    let jail = JailScope {
        name: "spam".to_owned(),
        scope,
    };
    let mut xdp = Xdp::load(
        &[jail],
        Sizes {
            addresses: 2,
            networks: 2,
        },
    )
    .unwrap();
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
