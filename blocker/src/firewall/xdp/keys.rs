//! Hosts and networks as the kernel's maps know them.
#![expect(
    unsafe_code,
    reason = "aya asks for a promise about the layout, given beside the type"
)]

use std::net::{Ipv4Addr, Ipv6Addr};

use aya::Pod;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::ban::Subject;

/// A trie's key: how many bits of the octets count.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Prefix<const N: usize> {
    pub(super) prefix_len: u32,
    pub(super) octets: [u8; N],
}

// SAFETY: `repr(C)`, a `u32` and as many bytes as make up whole ones, in all lengths that are used: no padding, and every bit pattern
// is a value.
unsafe impl<const N: usize> Pod for Prefix<N> {}

/// An IPv4 address in a trie of bans, whose values are to be aligned: four zeros fill it up.
pub(super) type Ipv4Prefix = Prefix<8>;
/// An IPv6 address in a trie.
pub(super) type Ipv6Prefix = Prefix<16>;

/// Where a ban is held.
pub(super) enum Place {
    Ipv4Host([u8; 4]),
    Ipv6Subnet([u8; 8]),
    Ipv6Host([u8; 16]),
    Ipv4Network(Ipv4Prefix),
    Ipv6Network(Ipv6Prefix),
}

impl Place {
    pub(super) fn of(subject: Subject) -> Self {
        match subject.network() {
            IpNet::V4(network) => match network.prefix_len() {
                32 => Self::Ipv4Host(network.addr().octets()),
                prefix_len => {
                    let [a, b, c, d] = network.addr().octets();
                    Self::Ipv4Network(Prefix {
                        prefix_len: prefix_len.into(),
                        octets: [a, b, c, d, 0, 0, 0, 0],
                    })
                }
            },
            IpNet::V6(network) => match network.prefix_len() {
                128 => Self::Ipv6Host(network.addr().octets()),
                64 => {
                    let [a, b, c, d, e, f, g, h, ..] = network.addr().octets();
                    Self::Ipv6Subnet([a, b, c, d, e, f, g, h])
                }
                prefix_len => Self::Ipv6Network(Prefix {
                    prefix_len: prefix_len.into(),
                    octets: network.addr().octets(),
                }),
            },
        }
    }
}

/// A key of one of the maps of bans.
pub(super) trait Key {
    /// What is banned by it; none for what no agent has put there.
    fn subject(self) -> Option<Subject>;
}

impl Key for [u8; 4] {
    fn subject(self) -> Option<Subject> {
        Some(Subject::host(Ipv4Addr::from(self).into()))
    }
}

impl Key for [u8; 8] {
    fn subject(self) -> Option<Subject> {
        let mut octets = [0; 16];
        octets[..8].copy_from_slice(&self);
        ipv6(octets, 64)
    }
}

impl Key for [u8; 16] {
    fn subject(self) -> Option<Subject> {
        ipv6(self, 128)
    }
}

impl Key for Ipv4Prefix {
    fn subject(self) -> Option<Subject> {
        let [a, b, c, d, ..] = self.octets;
        let network = Ipv4Net::new(Ipv4Addr::new(a, b, c, d), self.prefix_len.try_into().ok()?);
        network.ok().map(|network| IpNet::V4(network).into())
    }
}

impl Key for Ipv6Prefix {
    fn subject(self) -> Option<Subject> {
        ipv6(self.octets, self.prefix_len.try_into().ok()?)
    }
}

fn ipv6(octets: [u8; 16], prefix_len: u8) -> Option<Subject> {
    let network = Ipv6Net::new(Ipv6Addr::from(octets), prefix_len);
    network.ok().map(|network| IpNet::V6(network).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_subject_comes_back_from_its_key() {
        for text in [
            "192.0.2.7",
            "192.0.2.0/24",
            "0.0.0.0/0",
            "2001:db8::7",
            "2001:db8:1:2::/64",
            "2001:db8::/48",
            "2001:db8::/127",
        ] {
            let subject: Subject = text.parse().unwrap();
            let back = match Place::of(subject) {
                Place::Ipv4Host(key) => key.subject(),
                Place::Ipv6Subnet(key) => key.subject(),
                Place::Ipv6Host(key) => key.subject(),
                Place::Ipv4Network(key) => key.subject(),
                Place::Ipv6Network(key) => key.subject(),
            };
            assert_eq!(back, Some(subject));
        }
    }
}
