//! The packets that nearly all are: no VLAN tags, IPv4 options, IPv6 extension headers or fragments.
//!
//! Each of their fields has its fixed place. What this finds is what [`parse`](super::parse) finds, and what it does not know is left to
//! that. Who sent a packet is read only when somebody asks: most packets go to ports that no ban covers.

use super::ip::{IPV4_MIN_LEN, IPV6_LEN, protocol};
use super::{Address, Bytes, ETHERNET_LEN, Family, Protocol, ether_type};

/// Ports at the beginning of a TCP or UDP header.
const PORTS_LEN: usize = 4;
const IPV4: usize = ETHERNET_LEN + IPV4_MIN_LEN + PORTS_LEN;
const IPV6: usize = ETHERNET_LEN + IPV6_LEN + PORTS_LEN;

/// What a verdict needs to know of such a packet, as in [`Packet`](super::Packet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    family: Family,
    /// What it carries.
    pub protocol: Protocol,
    /// Port it goes to.
    pub destination_port: u16,
    /// Bytes of its frame up to its end, as its IP header has it.
    pub end: usize,
}

impl Plain {
    /// Who sent it, as the frame says that it was read from.
    #[inline(always)]
    pub fn source(&self, frame: &(impl Bytes + ?Sized)) -> Option<Address> {
        match self.family {
            Family::Ipv4 => {
                let [.., a, b, c, d] = frame.head::<{ ETHERNET_LEN + 16 }>()?;
                Some(Address::ipv4([a, b, c, d]))
            }
            Family::Ipv6 => {
                let head = frame.head::<{ ETHERNET_LEN + 24 }>()?;
                let mut source = [0; 16];
                source.copy_from_slice(&head[ETHERNET_LEN + 8..]);
                Some(Address::ipv6(source))
            }
        }
    }
}

/// The IPv4 packet in a frame, where each of its fields is in its usual place.
#[inline(always)]
pub fn plain_ipv4(frame: &(impl Bytes + ?Sized)) -> Option<Plain> {
    let head = frame.head::<IPV4>()?;
    if u16::from_be_bytes([head[ETHERNET_LEN - 2], head[ETHERNET_LEN - 1]]) != ether_type::IPV4 {
        return None;
    }
    const HERE: usize = ETHERNET_LEN;
    let total_len = usize::from(u16::from_be_bytes([head[HERE + 2], head[HERE + 3]]));
    // Version 4, a header of five words; no fragment, or the first.
    let is_plain = head[HERE] == 0x45 && head[HERE + 6] & 0x1f == 0 && head[HERE + 7] == 0;
    if !is_plain || total_len < IPV4_MIN_LEN + PORTS_LEN {
        return None;
    }
    Some(Plain {
        family: Family::Ipv4,
        protocol: protocol(head[HERE + 9])?,
        destination_port: u16::from_be_bytes([head[IPV4 - 2], head[IPV4 - 1]]),
        end: HERE + total_len,
    })
}

/// The IPv6 packet in a frame, where each of its fields is in its usual place.
#[inline(always)]
pub fn plain_ipv6(frame: &(impl Bytes + ?Sized)) -> Option<Plain> {
    let head = frame.head::<IPV6>()?;
    if u16::from_be_bytes([head[ETHERNET_LEN - 2], head[ETHERNET_LEN - 1]]) != ether_type::IPV6 {
        return None;
    }
    const HERE: usize = ETHERNET_LEN;
    let len = usize::from(u16::from_be_bytes([head[HERE + 4], head[HERE + 5]]));
    if head[HERE] >> 4 != 6 || len < PORTS_LEN {
        return None;
    }
    Some(Plain {
        family: Family::Ipv6,
        protocol: protocol(head[HERE + 6])?,
        destination_port: u16::from_be_bytes([head[IPV6 - 2], head[IPV6 - 1]]),
        end: HERE + IPV6_LEN + len,
    })
}
