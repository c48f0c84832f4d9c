//! Hosts by number, and frames from them.
//!
//! The first so many are banned, those behind them are not. Their addresses are scattered over 45.0.0.0/8 and over 2001:db8::/32, as a
//! hash scatters them over its table anyway.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use blocker::ban::{Change, Enforced, Expiry, Ipv6Prefix, JailId, Subject};
use blocker_lab::network::{RELAY, RELAY_V6};
use etherparse::PacketBuilder;

/// The port that bans are for.
pub(crate) const PORT: u16 = 25;
/// A port that no ban is for.
pub(crate) const OTHER_PORT: u16 = 8025;

/// Ethernet's shortest frame, without the card's checksum.
const SHORTEST: usize = 60;
const ETHERNET_LEN: usize = 14;

/// An IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Ipv4,
    Ipv6,
}

impl Version {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }

    /// As the sender knows it.
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Ipv4 => 4,
            Self::Ipv6 => 6,
        }
    }

    const fn ip_len(self) -> usize {
        match self {
            Self::Ipv4 => 20,
            Self::Ipv6 => 40,
        }
    }
}

/// The four bytes that make the host of this number, as the sender in `tests/bench/ebpf` reckons them.
const fn address(number: u32) -> u32 {
    0x2d00_0000 | (number.wrapping_mul(0x9e_3779) & 0x00ff_ffff)
}

/// The host of this number.
pub(crate) fn ipv4(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(address(number))
}

/// The host of this number, each in a /64 of its own.
pub(crate) fn ipv6(number: u32) -> Ipv6Addr {
    of_bytes(address(number))
}

/// The IPv6 host whose four bytes behind the first 32 bits are these.
fn of_bytes(bytes: u32) -> Ipv6Addr {
    Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(bytes) << 64 | 7)
}

/// Bans of so many hosts, by jail 0.
pub(crate) fn bans(version: Version, count: u32, until: Expiry) -> Vec<Change> {
    let change = |number| Change {
        subject: match version {
            Version::Ipv4 => Subject::host(ipv4(number).into()),
            Version::Ipv6 => Subject::around(ipv6(number).into(), Ipv6Prefix::SUBNET),
        },
        bans: vec![Enforced { jail: JailId(0), until }],
    };
    (0..count).map(change).collect()
}

/// A SYN from a host to the relay, with right checksums.
#[derive(Clone, Debug)]
pub(crate) struct Syn {
    pub(crate) bytes: Vec<u8>,
}

impl Syn {
    /// From the host of this number.
    pub(crate) fn from(version: Version, number: u32, port: u16) -> Result<Self> {
        Self::from_bytes(version, address(number), port)
    }

    fn from_bytes(version: Version, source: u32, port: u16) -> Result<Self> {
        // To the hardware address of a loopback, which is all zeros.
        let frame = PacketBuilder::ethernet2([2; 6], [0; 6]);
        let frame = match version {
            Version::Ipv4 => frame.ipv4(source.to_be_bytes(), RELAY.octets(), 64),
            Version::Ipv6 => frame.ipv6(of_bytes(source).octets(), RELAY_V6.octets(), 64),
        };
        let mut bytes = Vec::new();
        let syn = frame.tcp(40_000, port, 1, 1024).syn();
        syn.write(&mut bytes, &[]).context("a SYN cannot be written")?;
        bytes.resize(bytes.len().max(SHORTEST), 0);
        Ok(Self { bytes })
    }

    /// What the sender needs to write checksums: the sums over everything but the four bytes, of the IP header and of TCP.
    pub(crate) fn sums(version: Version, port: u16) -> Result<(u32, u32)> {
        let without = Self::from_bytes(version, 0, port)?;
        let sum_at = |offset: usize| {
            let checksum = without
                .bytes
                .get(offset..offset + 2)
                .and_then(|bytes| bytes.try_into().ok());
            u32::from(!u16::from_be_bytes(checksum.unwrap_or_default()))
        };
        let ip = match version {
            Version::Ipv4 => sum_at(ETHERNET_LEN + 10),
            Version::Ipv6 => 0,
        };
        Ok((ip, sum_at(ETHERNET_LEN + version.ip_len() + 16)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn hosts_are_different_and_scattered() {
        let all: HashSet<Ipv4Addr> = (0..100_000).map(ipv4).collect();
        assert_eq!(all.len(), 100_000);
        let nets: HashSet<u8> = all.iter().map(|address| address.octets()[1]).collect();
        assert_eq!(nets.len(), 256);
        assert_eq!(ipv6(0).to_string(), "2001:db8:2d00::7");
    }

    #[test]
    fn sums_make_the_checksums_of_any_source() {
        let folded = |sum: u32| {
            let sum = (sum >> 16) + (sum & 0xffff);
            !(((sum >> 16) + (sum & 0xffff)) as u16)
        };
        for version in [Version::Ipv4, Version::Ipv6] {
            let (ip, tcp) = Syn::sums(version, PORT).unwrap();
            let syn = Syn::from(version, 4711, PORT).unwrap().bytes;
            let halves = (address(4711) >> 16) + (address(4711) & 0xffff);
            let at = ETHERNET_LEN + version.ip_len() + 16;
            assert_eq!(folded(tcp + halves).to_be_bytes(), syn[at..at + 2], "{version:?}");
            if version == Version::Ipv4 {
                assert_eq!(folded(ip + halves).to_be_bytes(), syn[24..26]);
            }
        }
    }
}
