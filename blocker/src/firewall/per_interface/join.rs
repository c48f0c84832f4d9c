//! What two firewalls say, as if it were one.

use std::collections::BTreeMap;

use crate::firewall::{Knocks, Rejected};

/// What both firewalls have seen of one host or network.
pub fn added(knocks: Knocks, others: Option<&Knocks>) -> Knocks {
    let Some(others) = others else {
        return knocks;
    };
    Knocks {
        packets: knocks.packets.saturating_add(others.packets),
        last: knocks.last.max(others.last),
        ..knocks
    }
}

/// One rejection a change, in the changes' order.
pub fn merged(mut rejected: Vec<Rejected>, others: Vec<Rejected>) -> Vec<Rejected> {
    let mut places: BTreeMap<usize, usize> = (0..).zip(&rejected).map(|(n, rejected)| (rejected.change, n)).collect();
    for other in others {
        match places.get(&other.change).and_then(|&n| rejected.get_mut(n)) {
            Some(first) => {
                let error = std::mem::replace(&mut first.error, anyhow::Error::msg(""));
                first.error = anyhow::anyhow!("{error:#}; {:#}", other.error);
            }
            None => {
                places.insert(other.change, rejected.len());
                rejected.push(other);
            }
        }
    }
    rejected.sort_by_key(|rejected| rejected.change);
    rejected
}
