//! The allowlist as the kernel's two sets hold it: intervals.
//!
//! An interval set refuses intervals that overlap, and a list may say 127.0.0.0/8 and 127.0.0.1; so what overlaps or
//! touches is one interval here. Nothing in the list ends by itself, so nothing is lost by that. The bans' way, a set for
//! each length of prefix, would need a rule for each in every jail, since the counter is the jail's.

use std::net::IpAddr;

use blocker_common::packet::Family;
use ipnet::IpNet;
use nftnl::MsgType;

use super::names;
use super::sys::{AllElements, Element, Role};
use super::transaction::Transaction;
use crate::ban::Subject;

/// Addresses that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    first: IpAddr,
    /// The first behind them, where they do not go on to the end of all addresses.
    behind: Option<IpAddr>,
}

/// The networks as intervals that neither overlap nor touch.
pub fn intervals(networks: &[IpNet]) -> Vec<Interval> {
    let networks = networks
        .iter()
        .map(|&network| Subject::from(network).network())
        .collect();
    let mut disjoint = IpNet::aggregate(&networks);
    disjoint.sort();
    let mut intervals = Vec::<Interval>::new();
    for network in disjoint {
        let (first, behind) = (network.network(), next(network.broadcast()));
        match intervals.last_mut() {
            Some(last) if last.behind == Some(first) => last.behind = behind,
            _ => intervals.push(Interval { first, behind }),
        }
    }
    intervals
}

impl Interval {
    /// The first address.
    pub fn first(&self) -> IpAddr {
        self.first
    }
}

/// Has the two sets hold these and nothing else.
pub fn replace(transaction: &mut Transaction, intervals: &[Interval]) {
    for family in Family::ALL {
        let set = names::allowed(family);
        transaction.add(0, &AllElements { set }, MsgType::Del);
    }
    for &Interval { first, behind } in intervals {
        let set = names::allowed(match first {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        });
        let mut add = |address, role| transaction.add(0, &Element { set, address, role }, MsgType::Add);
        add(first, Role::Member);
        if let Some(behind) = behind {
            add(behind, Role::Behind);
        }
    }
}

/// The address after this one.
fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => u32::from(v4).checked_add(1).map(|bits| IpAddr::V4(bits.into())),
        IpAddr::V6(v6) => u128::from(v6).checked_add(1).map(|bits| IpAddr::V6(bits.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(networks: &[&str]) -> Vec<String> {
        let networks = networks
            .iter()
            .map(|network| network.parse().unwrap())
            .collect::<Vec<_>>();
        let text = |Interval { first, behind }: Interval| match behind {
            Some(behind) => format!("{first}..{behind}"),
            None => format!("{first}.."),
        };
        intervals(&networks).into_iter().map(text).collect()
    }

    #[test]
    fn what_overlaps_or_touches_is_one_interval() {
        assert_eq!(
            of(&["127.0.0.1/32", "127.0.0.0/8", "127.0.0.1/32"]),
            ["127.0.0.0..128.0.0.0"]
        );
        assert_eq!(of(&["11.0.0.0/16", "10.0.0.0/8"]), ["10.0.0.0..11.1.0.0"]);
        assert_eq!(of(&["::1/128", "::2/128", "::4/128"]), ["::1..::3", "::4..::5"]);
    }

    #[test]
    fn the_last_addresses_have_nothing_behind_them() {
        assert_eq!(of(&["255.255.255.254/32", "255.255.255.255/32"]), ["255.255.255.254.."]);
        assert_eq!(of(&["0.0.0.0/0", "::/0"]), ["0.0.0.0..", "::.."]);
        assert_eq!(of(&["255.0.0.0/8", "::/128"]), ["255.0.0.0..", "::..::1"]);
    }

    #[test]
    fn a_network_is_read_as_a_ban_s_would_be() {
        assert_eq!(of(&["::ffff:192.0.2.7/128", "192.0.2.9/24"]), ["192.0.2.0..192.0.3.0"]);
        assert!(of(&[]).is_empty());
    }
}
