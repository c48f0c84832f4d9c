//! The allowlist: it always wins, from the moment it is told to until it is told otherwise.

use super::{jail, probe};
use crate::behaviour::{Case, Expected, Lasts, Script, Stage};

const MAIL: u16 = 0;

pub(super) fn allowlist() -> Script {
    let (dropped, allowed, free) = (Expected::dropped(MAIL), Expected::allowed(MAIL), Expected::DELIVERED);
    let ban = |subject: &str, lasts| (subject.to_owned(), vec![(MAIL, lasts)]);
    let stage = |name, allowlist: &[&'static str], cases: Vec<Case>| Stage {
        name,
        bans: Vec::new(),
        allowlist: Some(allowlist.to_vec()),
        cases,
    };
    let hosts = |expected| ["192.0.2.7", "2001:db8::7"].map(|source| probe("a banned host", source, 25, expected));
    let networks = |inner, outer| {
        vec![
            probe("in the network's allowed part", "198.51.100.5", 25, inner),
            probe("in the rest of the network", "198.51.100.17", 25, outer),
            probe("in the network's allowed part", "2001:db8:1:5::7", 25, inner),
            probe("in the rest of the network", "2001:db8:1:10::7", 25, outer),
        ]
    };
    let mut first = stage("empty", &[], hosts(dropped).into());
    first.bans = vec![
        ban("192.0.2.7", Lasts::Hour),
        ban("2001:db8::/64", Lasts::Hour),
        ban("198.51.100.0/24", Lasts::Hour),
        ban("2001:db8:1::/48", Lasts::Forever),
        ban("192.0.2.9", Lasts::Over),
    ];
    first.cases.extend(networks(dropped, dropped));
    Script {
        name: "allowlist",
        jails: vec![jail("mail", vec![25..=25], vec![25..=25])],
        stages: vec![
            first,
            stage("a host is added", &["192.0.2.7", "2001:db8::7"], {
                let mut cases: Vec<Case> = hosts(allowed).into();
                cases.push(probe("its neighbour in the banned /64", "2001:db8::8", 25, dropped));
                cases.push(probe("allowed, to a port in no scope", "192.0.2.7", 22, free));
                cases.extend(networks(dropped, dropped));
                cases
            }),
            stage("a host is taken away", &[], hosts(dropped).into()),
            stage(
                "a network within a banned network is added",
                &["198.51.100.0/28", "2001:db8:1::/60"],
                networks(allowed, dropped),
            ),
            stage(
                "a wider one is added around it",
                &["198.51.100.0/28", "198.51.0.0/16", "2001:db8:1::/60", "2001:db8::/32"],
                {
                    let mut cases = networks(allowed, allowed);
                    cases.push(probe("a host in the wider network", "2001:db8::7", 25, allowed));
                    cases
                },
            ),
            stage(
                "the narrower one is taken away",
                &["198.51.0.0/16", "2001:db8::/32"],
                networks(allowed, allowed),
            ),
            stage(
                "the wider one is taken away",
                &["198.51.100.0/28", "2001:db8:1::/60"],
                networks(allowed, dropped),
            ),
            stage("everybody", &["0.0.0.0/0", "::/0"], {
                let mut cases = networks(allowed, allowed);
                cases.extend(hosts(allowed));
                cases.push(probe("one whose ban is over", "192.0.2.9", 25, free));
                cases.push(probe("one who is not banned", "192.0.2.8", 25, free));
                cases
            }),
            stage("empty again", &[], {
                let mut cases = networks(dropped, dropped);
                cases.extend(hosts(dropped));
                cases.push(probe("one whose ban is over", "192.0.2.9", 25, free));
                cases
            }),
        ],
    }
}
