//! Every kind of packet, from sources of every standing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::kind::Kind;
use super::{ipv4, ipv6, jail, malformed, transport};
use crate::behaviour::{Lasts, Script, Stage};

/// Covers TCP ports 25 and 465.
pub(super) const MAIL: u16 = 0;
/// Covers UDP port 53. Between the two stands a jail for TCP port 587 that bans nobody.
pub(super) const DNS: u16 = 2;

/// How a source stands with the firewall.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is banned.
    Banned,
    /// It was banned until a moment ago.
    Expired,
    /// It is banned, and the allowlist covers it.
    Allowed,
    /// The firewall has never heard of it.
    Unknown,
}

impl Standing {
    const ALL: [Self; 4] = [Self::Banned, Self::Expired, Self::Allowed, Self::Unknown];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Banned => "banned",
            Self::Expired => "expired",
            Self::Allowed => "allowed",
            Self::Unknown => "unknown",
        }
    }

    /// A source that stands so with a jail.
    const fn ipv4(self, jail: u16) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10 + 10 * jail as u8 + self as u8))
    }

    /// A source that stands so with a jail: in a /64 that is banned as a whole.
    const fn ipv6(self, jail: u16) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, jail, self as u16, 0, 0, 0, 7))
    }

    const fn lasts(self) -> Option<Lasts> {
        match self {
            Self::Banned | Self::Allowed => Some(Lasts::Hour),
            Self::Expired => Some(Lasts::Over),
            Self::Unknown => None,
        }
    }
}

/// Every kind of packet, from sources of every standing.
pub(super) fn packets() -> Script {
    let mut bans = Vec::new();
    for jail in [MAIL, DNS] {
        for standing in Standing::ALL {
            let Some(lasts) = standing.lasts() else { continue };
            let subnet = format!("{}/64", standing.ipv6(jail));
            for subject in [standing.ipv4(jail).to_string(), subnet] {
                bans.push((subject, vec![(jail, lasts)]));
            }
        }
    }
    let of_ipv4 = [transport::kinds(), ipv4::kinds(), malformed::ipv4()];
    let of_ipv6 = [transport::kinds(), ipv6::kinds(), malformed::ipv6()];
    let cases = |family, kinds: [Vec<Kind>; 3], source: fn(Standing, u16) -> IpAddr| {
        let one =
            move |kind: Kind| Standing::ALL.map(|standing| kind.of(family, standing, source(standing, kind.jail)));
        kinds.into_iter().flatten().flat_map(one).collect::<Vec<_>>()
    };
    let mut all = cases("IPv4", of_ipv4, Standing::ipv4);
    all.extend(cases("IPv6", of_ipv6, Standing::ipv6));
    Script {
        name: "packets",
        jails: vec![
            jail("mail", vec![25..=25, 465..=465], Vec::new()),
            jail("submission", vec![587..=587], Vec::new()),
            jail("dns", Vec::new(), vec![53..=53]),
        ],
        stages: vec![Stage {
            name: "of every kind",
            bans,
            allowlist: Some(vec!["192.0.2.12", "192.0.2.32", "2001:db8:0:2::7", "2001:db8:2:2::/64"]),
            cases: all,
        }],
    }
}
