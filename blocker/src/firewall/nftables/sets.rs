//! The sets of banned hosts and networks: one for each jail, family and length of prefix.

use std::collections::HashMap;
use std::ffi::{CStr, CString};

use blocker_common::packet::Family;
use ipnet::IpNet;

use crate::ban::{JailId, Subject};

/// What one set is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The jail whose bans it holds.
    pub jail: JailId,
    /// The family of its addresses.
    pub family: Family,
    /// How many bits of each count.
    pub prefix_len: u8,
}

impl Place {
    /// Where a jail's ban of this host or network is held.
    pub fn of(jail: JailId, subject: Subject) -> Self {
        let network = subject.network();
        Self {
            jail,
            family: match network {
                IpNet::V4(_) => Family::Ipv4,
                IpNet::V6(_) => Family::Ipv6,
            },
            prefix_len: network.prefix_len(),
        }
    }

    /// Every place that a jail can have.
    pub fn all(jail: JailId) -> impl Iterator<Item = Self> {
        let of = move |family| {
            move |prefix_len| Self {
                jail,
                family,
                prefix_len,
            }
        };
        (0..=32).map(of(Family::Ipv4)).chain((0..=128).map(of(Family::Ipv6)))
    }

    /// The places that a jail has from the start: for hosts, and for what IPv6 is banned by. Most have no others.
    pub fn usual(jail: JailId) -> [Self; 3] {
        [(Family::Ipv4, 32), (Family::Ipv6, 64), (Family::Ipv6, 128)].map(|(family, prefix_len)| Self {
            jail,
            family,
            prefix_len,
        })
    }
}

/// The sets that the kernel has, by their names.
#[derive(Debug, Default)]
pub struct Sets(HashMap<Place, CString>);

impl Sets {
    /// Every set, with its name.
    pub fn all(&self) -> impl Iterator<Item = (Place, &CStr)> {
        self.0.iter().map(|(place, name)| (*place, name.as_c_str()))
    }

    /// The set's name, if the kernel has it.
    pub fn name(&self, place: Place) -> Option<&CStr> {
        self.0.get(&place).map(CString::as_c_str)
    }

    /// The set's name, after the kernel was told of it if it has none.
    pub fn name_or_lay(&mut self, place: Place, lay: impl FnOnce() -> CString) -> &CStr {
        self.0.entry(place).or_insert_with(lay)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Notes sets that the kernel has confirmed.
    pub fn note(&mut self, laid: Self) {
        self.0.extend(laid.0);
    }
}
