//! Scopes: single ports, ranges, all ports, two protocols, and as many different ones as there may be.

use std::net::IpAddr;

use blocker_common::map::MAX_SCOPES;
use etherparse::IpNumber;

use super::{jail, probe};
use crate::behaviour::frames::{ip, udp};
use crate::behaviour::{Case, Expected, Lasts, Script, Stage};

const RANGES: u16 = 0;
const ALL: u16 = 1;
const BOTH: u16 = 2;

/// The scopes that one jail may have.
pub(super) fn ports() -> Script {
    let mut cases = Vec::new();
    for (ranges, all, both) in [
        ("192.0.2.7", "192.0.2.8", "192.0.2.9"),
        ("2001:db8:0:7::1", "2001:db8:0:8::1", "2001:db8:0:9::1"),
    ] {
        for port in [0, 24, 26, 3999, 4003, 65534] {
            cases.push(probe("one beyond a range", ranges, port, Expected::DELIVERED));
        }
        for port in [25, 4000, 4001, 4002, 65535] {
            cases.push(probe("in a range", ranges, port, Expected::dropped(RANGES)));
        }
        for port in [0, 1, 22, 25, 65535] {
            cases.push(probe("all ports", all, port, Expected::dropped(ALL)));
            cases.push(datagram("all ports", all, port, Expected::dropped(ALL)));
        }
        cases.push(probe("both protocols", both, 53, Expected::dropped(BOTH)));
        cases.push(datagram("both protocols", both, 53, Expected::dropped(BOTH)));
        cases.push(probe("UDP's port alone", both, 5353, Expected::DELIVERED));
        cases.push(datagram("UDP's port alone", both, 5353, Expected::dropped(BOTH)));
        cases.push(Case::new(
            format!("all ports, what has none, {all}"),
            ip(address(all), IpNumber(50), &[0; 8]),
            Expected::DELIVERED,
        ));
    }
    // A later fragment belongs to whatever port the first one named.
    let later = |protocol| ip(address("192.0.2.8"), protocol, &[0; 8]).fragment(1, true);
    cases.push(Case::new(
        "all ports, later fragment of TCP",
        later(IpNumber::TCP),
        Expected::dropped(ALL),
    ));
    cases.push(Case::new(
        "all ports, later fragment of UDP",
        later(IpNumber::UDP),
        Expected::dropped(ALL),
    ));
    cases.push(Case::new(
        "all ports, later fragment of ICMP",
        later(IpNumber::ICMP),
        Expected::DELIVERED,
    ));
    let bans = [
        ("192.0.2.7", RANGES),
        ("192.0.2.8", ALL),
        ("192.0.2.9", BOTH),
        ("2001:db8:0:7::/64", RANGES),
        ("2001:db8:0:8::/64", ALL),
        ("2001:db8:0:9::/64", BOTH),
    ];
    Script {
        name: "scopes",
        jails: vec![
            jail("ranges", vec![25..=25, 4000..=4002, 65535..=65535], Vec::new()),
            jail("all", vec![0..=65535], vec![0..=65535]),
            jail("both", vec![53..=53], vec![53..=53, 5353..=5353]),
        ],
        stages: vec![Stage {
            name: "ports and ranges of one jail",
            bans: bans
                .map(|(subject, jail)| (subject.to_owned(), vec![(jail, Lasts::Hour)]))
                .into(),
            allowlist: None,
            cases,
        }],
    }
}

/// As many different scopes as the kernel can tell apart, each with a banned host, and a host that all of them ban.
pub(super) fn thirty_two() -> Script {
    let scopes = MAX_SCOPES as u16;
    let port = |jail| 1000 + jail;
    let host = |jail| format!("198.51.100.{jail}");
    let everywhere = "2001:db8:0:f::/64";
    let mut bans: Vec<_> = (0..scopes)
        .map(|jail| (host(jail), vec![(jail, Lasts::Hour)]))
        .collect();
    // Every second ban is over, so each scope has to keep its own end.
    let lasts = |jail| if jail % 2 == 0 { Lasts::Hour } else { Lasts::Over };
    bans.push((
        everywhere.to_owned(),
        (0..scopes).map(|jail| (jail, lasts(jail))).collect(),
    ));
    let mut cases = Vec::new();
    for jail in 0..scopes {
        let next = (jail + 1) % scopes;
        let case = |what: &str, port, expected| probe(&format!("scope {jail}, {what}"), &host(jail), port, expected);
        cases.push(case("its port", port(jail), Expected::dropped(jail)));
        cases.push(case("the next one's port", port(next), Expected::DELIVERED));
        let (what, expected) = match lasts(jail) {
            Lasts::Over => ("over for a host in all scopes", Expected::DELIVERED),
            Lasts::Hour | Lasts::Forever => ("in force for a host in all scopes", Expected::dropped(jail)),
        };
        cases.push(probe(
            &format!("scope {jail}, {what}"),
            "2001:db8:0:f::7",
            port(jail),
            expected,
        ));
    }
    let name = |jail| format!("jail{jail}");
    Script {
        name: "32 scopes",
        jails: (0..scopes)
            .map(|n| jail(&name(n), vec![port(n)..=port(n)], Vec::new()))
            .collect(),
        stages: vec![Stage {
            name: "each with a banned host",
            bans,
            allowlist: None,
            cases,
        }],
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("the table names addresses")
}

fn datagram(name: &str, source: &str, port: u16, expected: Expected) -> Case {
    let frame = ip(address(source), IpNumber::UDP, &udp(port, &[]));
    Case::new(format!("{name}, {source}, UDP port {port}"), frame, expected)
}
