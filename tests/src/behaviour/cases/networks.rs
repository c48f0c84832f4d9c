//! Banned networks: where they begin and end, and one within another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{jail, probe};
use crate::behaviour::{Case, Expected, Lasts, Script, Stage};

const MAIL: u16 = 0;
const SUBMISSION: u16 = 1;

/// Networks of several lengths, hosts among them.
const NETWORKS: [&str; 15] = [
    "100.64.0.0/10",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.128/25",
    "192.0.2.4/30",
    "192.0.2.64/31",
    "192.0.2.99/32",
    "2001:db8:8000::/33",
    "2001:db8:1::/48",
    "2001:db8:2:ff00::/56",
    "2001:db8:3:4::/64",
    "2001:db8:3:6:7::/80",
    "2001:db8:5:6:7:8:9:10/124",
    "2001:db8:5:7::8/127",
    "2001:db8:6:6::7/128",
];

/// Networks of several lengths, each tried with its first and last address and the ones before and after.
pub(super) fn networks() -> Script {
    let all = |networks: &[&str], bans: &[(u16, Lasts)]| -> Vec<_> {
        networks
            .iter()
            .map(|network| ((*network).to_owned(), bans.to_vec()))
            .collect()
    };
    let everybody = ["0.0.0.0/0", "::/0"];
    let strangers = |port, expected| ["8.8.8.8", "2600::1"].map(|source| probe("a stranger", source, port, expected));
    let stage = |name, bans, cases| Stage {
        name,
        bans,
        allowlist: None,
        cases,
    };
    Script {
        name: "networks",
        jails: jails(),
        stages: vec![
            stage(
                "of several lengths",
                all(&NETWORKS, &[(MAIL, Lasts::Hour)]),
                NETWORKS.into_iter().flat_map(borders).collect(),
            ),
            stage("lifted", all(&NETWORKS, &[]), NETWORKS.map(freed).into()),
            stage(
                "everybody",
                all(&everybody, &[(MAIL, Lasts::Forever)]),
                [
                    strangers(25, Expected::dropped(MAIL)),
                    strangers(22, Expected::DELIVERED),
                ]
                .into_iter()
                .flatten()
                .collect(),
            ),
            stage(
                "nobody again",
                all(&everybody, &[]),
                strangers(25, Expected::DELIVERED).into(),
            ),
        ],
    }
}

fn jails() -> Vec<blocker::firewall::JailScope> {
    vec![
        jail("mail", vec![25..=25], Vec::new()),
        jail("submission", vec![587..=587], Vec::new()),
    ]
}

/// The first and the last address of a network, and the ones before and after.
fn borders(network: &str) -> Vec<Case> {
    let net: IpNet = network.parse().expect("the table names networks");
    let last = match net {
        IpNet::V4(net) => net.broadcast().into(),
        IpNet::V6(net) => net.broadcast().into(),
    };
    let first = net.network();
    let case = |what, source: IpAddr, expected| probe(&format!("{network}, {what}"), &source.to_string(), 25, expected);
    vec![
        case("its first address", first, Expected::dropped(MAIL)),
        case("its last address", last, Expected::dropped(MAIL)),
        case("the address before it", beside(first, -1), Expected::DELIVERED),
        case("the address behind it", beside(last, 1), Expected::DELIVERED),
    ]
}

fn beside(address: IpAddr, step: i8) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits().wrapping_add_signed(step.into())).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits().wrapping_add_signed(step.into())).into(),
    }
}

fn freed(network: &str) -> Case {
    let net: IpNet = network.parse().expect("the table names networks");
    probe(network, &net.addr().to_string(), 25, Expected::DELIVERED)
}

/// Networks within networks, the narrower ones over or for other ports.
pub(super) fn nested() -> Script {
    let ban = |subject: &str, jail, lasts| (subject.to_owned(), vec![(jail, lasts)]);
    let (mail, submission, free) = (
        Expected::dropped(MAIL),
        Expected::dropped(SUBMISSION),
        Expected::DELIVERED,
    );
    let mut stages = vec![
        Stage {
            name: "the narrower is over",
            bans: vec![
                ban("198.51.100.0/24", MAIL, Lasts::Hour),
                ban("198.51.100.64/26", MAIL, Lasts::Over),
                ban("198.51.100.66", MAIL, Lasts::Over),
                ban("2001:db8:1::/48", MAIL, Lasts::Hour),
                ban("2001:db8:1:2::/64", MAIL, Lasts::Over),
                ban("2001:db8:1:2::7", MAIL, Lasts::Over),
            ],
            allowlist: None,
            cases: vec![
                probe("in the wider alone", "198.51.100.1", 25, mail),
                probe("in the narrower too", "198.51.100.65", 25, mail),
                probe("host whose own ban is over", "198.51.100.66", 25, mail),
                probe("in the wider alone", "2001:db8:1:1::7", 25, mail),
                probe("in the /64 that is over", "2001:db8:1:2::8", 25, mail),
                probe("host whose own ban is over", "2001:db8:1:2::7", 25, mail),
            ],
        },
        Stage {
            name: "the narrower is for another port",
            bans: vec![
                ban("203.0.113.0/24", MAIL, Lasts::Hour),
                ban("203.0.113.128/25", SUBMISSION, Lasts::Hour),
                ban("203.0.113.20", SUBMISSION, Lasts::Hour),
                ban("2001:db8:3::/48", MAIL, Lasts::Hour),
                ban("2001:db8:3:8000::/49", SUBMISSION, Lasts::Hour),
                ban("2001:db8:3:2::/64", SUBMISSION, Lasts::Hour),
                ban("2001:db8:3:4::7", SUBMISSION, Lasts::Hour),
            ],
            allowlist: None,
            cases: vec![
                probe("in the wider alone, its port", "203.0.113.1", 25, mail),
                probe("in the wider alone, the other port", "203.0.113.1", 587, free),
                probe("in both, the wider one's port", "203.0.113.130", 25, mail),
                probe("in both, the narrower one's port", "203.0.113.130", 587, submission),
                probe("host, the wider one's port", "203.0.113.20", 25, mail),
                probe("host, its own port", "203.0.113.20", 587, submission),
                probe("in the wider alone, the other port", "2001:db8:3:1::7", 587, free),
                probe("in both, the wider one's port", "2001:db8:3:8001::7", 25, mail),
                probe(
                    "in both, the narrower one's port",
                    "2001:db8:3:8001::7",
                    587,
                    submission,
                ),
                probe("in the /64, the wider one's port", "2001:db8:3:2::7", 25, mail),
                probe("in the /64, its own port", "2001:db8:3:2::7", 587, submission),
                probe("host, the wider one's port", "2001:db8:3:4::7", 25, mail),
                probe("host, its own port", "2001:db8:3:4::7", 587, submission),
                probe("neighbour of the host, the host's port", "2001:db8:3:4::8", 587, free),
            ],
        },
    ];
    stages.push(eight_deep());
    stages.push(Stage {
        name: "the wider is lifted",
        bans: vec![
            ("203.0.113.0/24".to_owned(), Vec::new()),
            ("2001:db8:3::/48".to_owned(), Vec::new()),
        ],
        allowlist: None,
        cases: vec![
            probe("the wider one's port", "203.0.113.130", 25, free),
            probe("the narrower one's port", "203.0.113.130", 587, submission),
            probe("the wider one's port", "2001:db8:3:8001::7", 25, free),
            probe("the narrower one's port", "2001:db8:3:8001::7", 587, submission),
        ],
    });
    Script {
        name: "nested networks",
        jails: jails(),
        stages,
    }
}

/// Eight networks around one address, and only the widest is in force: as many as XDP looks at.
fn eight_deep() -> Stage {
    let chain = |address: &str, prefixes: std::ops::Range<u8>| {
        let widest = prefixes.start;
        let ban = |prefix| {
            let lasts = if prefix == widest { Lasts::Hour } else { Lasts::Over };
            let network = format!("{address}/{prefix}");
            (network, vec![(MAIL, lasts)])
        };
        prefixes.map(ban).collect::<Vec<_>>()
    };
    let mut bans = chain("100.64.0.0", 16..24);
    bans.extend(chain("2001:db8:9::", 50..58));
    Stage {
        name: "eight around one address, all but the widest over",
        bans,
        allowlist: None,
        cases: vec![
            probe("within all", "100.64.0.7", 25, Expected::dropped(MAIL)),
            probe("within all", "2001:db8:9::7", 25, Expected::dropped(MAIL)),
            probe("beside the widest", "100.65.0.7", 25, Expected::DELIVERED),
            probe("beside the widest", "2001:db8:9:4000::7", 25, Expected::DELIVERED),
        ],
    }
}
