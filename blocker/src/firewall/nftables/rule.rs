//! Rules, put together from the few conditions that this firewall asks.
//!
//! A rule that reads an address says of which family it is, also in a chain that only that family enters: without it nft
//! would list the address as bare bytes.

use std::ffi::CStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use blocker_common::packet::{Family, Protocol};
use nftnl::expr::{Bitwise, Lookup, NetworkHeaderField, Payload, Verdict};
use nftnl::{Chain, Rule, nft_expr};
use nix::libc::{IPPROTO_TCP, IPPROTO_UDP, NFPROTO_IPV4, NFPROTO_IPV6};

use super::sys::{Counter, Enter, Ipv6FragmentOffset};

/// A rule in the making. What is asked first is asked of every packet that comes to it.
pub struct Draft<'a>(Rule<'a>);

impl<'a> Draft<'a> {
    /// A rule at the chain's end that asks nothing yet.
    pub fn new(chain: &'a Chain<'a>) -> Self {
        Self(Rule::new(chain))
    }

    /// The packet is of this family.
    pub fn of(mut self, family: Family) -> Self {
        self.0.add_expr(&nft_expr!(meta nfproto));
        self.0.add_expr(&nft_expr!(
            cmp == match family {
                Family::Ipv4 => NFPROTO_IPV4 as u8,
                Family::Ipv6 => NFPROTO_IPV6 as u8,
            }
        ));
        self
    }

    /// It carries this protocol, behind whatever extension headers.
    pub fn carrying(mut self, protocol: Protocol) -> Self {
        self.0.add_expr(&nft_expr!(meta l4proto));
        self.0.add_expr(&nft_expr!(
            cmp == match protocol {
                Protocol::Tcp => IPPROTO_TCP as u8,
                Protocol::Udp => IPPROTO_UDP as u8,
            }
        ));
        self
    }

    /// It goes to one of these ports.
    pub fn to(mut self, protocol: Protocol, ports: &RangeInclusive<u16>) -> Self {
        self = self.carrying(protocol);
        // Both protocols have the port in the same place.
        self.0.add_expr(&nft_expr!(payload tcp dport));
        if ports.start() == ports.end() {
            self.0.add_expr(&nft_expr!(cmp == ports.start().to_be()));
        } else {
            self.0.add_expr(&nft_expr!(cmp >= ports.start().to_be()));
            self.0.add_expr(&nft_expr!(cmp <= ports.end().to_be()));
        }
        self
    }

    /// It is a fragment and not the first.
    pub fn later_fragment(mut self, family: Family) -> Self {
        self = self.of(family);
        let offset: u16 = match family {
            Family::Ipv4 => {
                // Whatever the fields are called, they count bytes.
                self.0.add_expr(&Payload::Network(NetworkHeaderField::Raw {
                    offset_bits: 6,
                    length_bits: 2,
                }));
                0x1fff
            }
            Family::Ipv6 => {
                self.0.add_expr(&Ipv6FragmentOffset);
                0xfff8
            }
        };
        self.0.add_expr(&Bitwise::new(offset.to_be(), 0u16));
        self.0.add_expr(&nft_expr!(cmp != 0u16));
        self
    }

    /// Its source, or so many bits of it, is in the set.
    pub fn from(self, family: Family, prefix_len: u8, set: &Lookup) -> Self {
        let mut draft = self.source(family, prefix_len);
        draft.0.add_expr(set);
        draft
    }

    /// Enters its source, or so many bits of it, in the set. A rule of its own, since it ends where the set has no room.
    pub fn enter(self, family: Family, prefix_len: u8, set: &CStr) -> Rule<'a> {
        let mut draft = self.source(family, prefix_len);
        draft.0.add_expr(&Enter { set });
        draft.0
    }

    /// Reads its source, or so many bits of it.
    fn source(mut self, family: Family, prefix_len: u8) -> Self {
        self = self.of(family);
        match family {
            Family::Ipv4 => self.0.add_expr(&nft_expr!(payload ipv4 saddr)),
            Family::Ipv6 => self.0.add_expr(&nft_expr!(payload ipv6 saddr)),
        }
        if let Some((mask, zero)) = mask(family, prefix_len) {
            self.0.add_expr(&Bitwise::new(mask, zero));
        }
        self
    }

    /// Counts it.
    pub fn count(mut self, counter: &CStr) -> Self {
        self.0.add_expr(&Counter::of(counter));
        self
    }

    /// What becomes of a packet of which all this holds.
    pub fn then(mut self, verdict: Verdict) -> Rule<'a> {
        self.0.add_expr(&verdict);
        self.0
    }
}

/// What leaves so many bits of an address, and an address without any; nothing where all bits are left.
fn mask(family: Family, prefix_len: u8) -> Option<(IpAddr, IpAddr)> {
    let behind = |bits: u32| bits.saturating_sub(u32::from(prefix_len));
    match family {
        Family::Ipv4 => match behind(32) {
            0 => None,
            behind => {
                let mask = Ipv4Addr::from(u32::MAX.checked_shl(behind).unwrap_or_default());
                Some((mask.into(), Ipv4Addr::UNSPECIFIED.into()))
            }
        },
        Family::Ipv6 => match behind(128) {
            0 => None,
            behind => {
                let mask = Ipv6Addr::from(u128::MAX.checked_shl(behind).unwrap_or_default());
                Some((mask.into(), Ipv6Addr::UNSPECIFIED.into()))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_leaves_as_many_bits_as_the_prefix_has() {
        let mask = |family, prefix_len| mask(family, prefix_len).map(|(mask, _)| mask.to_string());
        assert_eq!(mask(Family::Ipv4, 32), None);
        assert_eq!(mask(Family::Ipv4, 20).as_deref(), Some("255.255.240.0"));
        assert_eq!(mask(Family::Ipv4, 0).as_deref(), Some("0.0.0.0"));
        assert_eq!(mask(Family::Ipv6, 128), None);
        assert_eq!(mask(Family::Ipv6, 64).as_deref(), Some("ffff:ffff:ffff:ffff::"));
        assert_eq!(mask(Family::Ipv6, 0).as_deref(), Some("::"));
    }
}
