//! Frames, put together from etherparse's headers and bytes of one's own where etherparse would refuse to write them.
//!
//! Checksums of TCP, UDP and ICMP are left at zero: they are looked at behind the firewalls, where no frame is watched any more.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use blocker_common::packet::Family;
use blocker_lab::wire::{RECEIVER, SENDER};
use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, Ipv6Header, TcpHeader, UdpHeader};

/// The host that all frames are for.
pub const RELAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The host that all frames are for, by IPv6.
pub const RELAY_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);

/// The port that frames come from.
const SOURCE_PORT: u16 = 40_000;
const ADDRESSES_LEN: usize = 12;
const ETHERNET_LEN: usize = 14;

/// `EtherType` of a customer's VLAN tag, IEEE 802.1Q.
pub const VLAN: u16 = 0x8100;
/// `EtherType` of a provider's VLAN tag, IEEE 802.1ad.
pub const QINQ: u16 = 0x88a8;

/// A frame, from its Ethernet header on.
#[derive(Clone, Debug)]
pub struct Frame {
    bytes: Vec<u8>,
    /// Where the IP header begins.
    ip: usize,
    /// Bytes behind the packet, which the kernel takes off.
    padding: usize,
    family: Family,
}

impl Frame {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes from the IP header on, without padding; none of a frame that was cut before.
    #[must_use]
    pub const fn ip_len(&self) -> usize {
        self.bytes.len().saturating_sub(self.ip + self.padding)
    }

    /// Its IP version.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// Puts a VLAN tag in front of those it has.
    ///
    /// Its network has the number 0, which says that it is in none and the tag is there for the priority (802.1p): so the kernel
    /// takes the frame without an interface for the network, and also where it was built without VLANs.
    #[must_use]
    pub fn tagged(self, ether_type: u16) -> Self {
        self.tagged_with(ether_type, 0)
    }

    /// Puts a tag of the VLAN with this number in front of those it has.
    #[must_use]
    pub fn tagged_with(mut self, ether_type: u16, vlan: u16) -> Self {
        let [[a, b], [c, d]] = [ether_type, vlan].map(u16::to_be_bytes);
        self.bytes.splice(ADDRESSES_LEN..ADDRESSES_LEN, [a, b, c, d]);
        self.ip += 4;
        self
    }

    /// Leaves so many bytes from the IP header on.
    #[must_use]
    pub fn cut(mut self, len: usize) -> Self {
        self.bytes.truncate(self.ip + len);
        self
    }

    /// Leaves so many bytes of the frame.
    #[must_use]
    pub fn cut_whole(mut self, len: usize) -> Self {
        self.bytes.truncate(len);
        self
    }

    /// Replaces bytes, at so many from the IP header on. IPv4's checksum stays right.
    #[must_use]
    pub fn set(mut self, at: usize, bytes: &[u8]) -> Self {
        let at = self.ip + at;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.checksum();
        self
    }

    /// Claims to be a fragment, its offset in units of eight bytes. IPv4 only.
    #[must_use]
    pub fn fragment(self, offset: u16, more: bool) -> Self {
        self.set(6, &(offset | u16::from(more) << 13).to_be_bytes())
    }

    /// Puts options behind the header, in units of four bytes. IPv4 only.
    #[must_use]
    pub fn with_options(mut self, options: &[u8]) -> Self {
        let at = self.ip + Ipv4Header::MIN_LEN;
        self.bytes.splice(at..at, options.iter().copied());
        let len = self.ip_len() as u16;
        let header_words = (Ipv4Header::MIN_LEN + options.len()) / 4;
        self.set(0, &[0x40 | header_words as u8]).set(2, &len.to_be_bytes())
    }

    /// Fills it up to Ethernet's shortest frame, as a card does.
    #[must_use]
    pub fn padded(mut self) -> Self {
        // 64 bytes less the card's checksum; bytes that would be a port of a scope, were they read.
        let len = self.bytes.len();
        self.padding = 60usize.saturating_sub(len);
        self.bytes.resize(len + self.padding, 25);
        self
    }

    /// RFC 1071, over as much of the header as there is. Of a header that is none, the checksum does not matter.
    fn checksum(&mut self) {
        let Some(header) = self.bytes.get_mut(self.ip..) else {
            return;
        };
        let len = header.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
        if self.family != Family::Ipv4 || len < Ipv4Header::MIN_LEN || header.len() < len {
            return;
        }
        header[10..12].fill(0);
        let words = header[..len].chunks_exact(2);
        let sum: u32 = words
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
            .sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        header[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    }
}

/// An IP packet without options or extension headers.
#[must_use]
pub fn ip(source: IpAddr, protocol: IpNumber, payload: &[u8]) -> Frame {
    match source {
        IpAddr::V4(source) => {
            let header = Ipv4Header::new(payload.len() as u16, 64, protocol, source.octets(), RELAY.octets());
            let header = header.expect("the payload is short");
            ethernet(EtherType::IPV4, &[&header.to_bytes(), payload].concat(), Family::Ipv4)
        }
        IpAddr::V6(_) => ip_behind(source, &[], protocol, payload),
    }
}

/// An IPv6 packet with extension headers, each given by its number and its bytes without the next header's number.
#[must_use]
pub fn ip_behind(source: IpAddr, extensions: &[Extension], protocol: IpNumber, payload: &[u8]) -> Frame {
    let IpAddr::V6(source) = source else {
        panic!("{source} has no extension headers");
    };
    let numbers: Vec<u8> = extensions
        .iter()
        .map(|(number, _)| *number)
        .chain([protocol.0])
        .collect();
    let mut rest = Vec::new();
    for ((_, bytes), next) in extensions.iter().zip(&numbers[1..]) {
        rest.push(*next);
        rest.extend_from_slice(bytes);
    }
    rest.extend_from_slice(payload);
    let header = Ipv6Header {
        payload_length: rest.len() as u16,
        next_header: IpNumber(numbers[0]),
        hop_limit: 64,
        source: source.octets(),
        destination: RELAY_V6.octets(),
        ..Ipv6Header::default()
    };
    ethernet(EtherType::IPV6, &[&header.to_bytes()[..], &rest].concat(), Family::Ipv6)
}

/// An ARP request for the relay's hardware address.
#[must_use]
pub fn arp(source: Ipv4Addr) -> Frame {
    let mut packet = vec![0, 1, 8, 0, 6, 4, 0, 1];
    packet.extend_from_slice(&SENDER);
    packet.extend_from_slice(&source.octets());
    packet.extend_from_slice(&[0; 6]);
    packet.extend_from_slice(&RELAY.octets());
    ethernet(EtherType::ARP, &packet, Family::Ipv4)
}

fn ethernet(ether_type: EtherType, packet: &[u8], family: Family) -> Frame {
    let header = Ethernet2Header {
        source: SENDER,
        destination: RECEIVER,
        ether_type,
    };
    let mut frame = Frame {
        bytes: [&header.to_bytes()[..], packet].concat(),
        ip: ETHERNET_LEN,
        padding: 0,
        family,
    };
    if ether_type == EtherType::IPV4 {
        frame.checksum();
    }
    frame
}

/// A SYN.
#[must_use]
pub fn syn(source: IpAddr, port: u16) -> Frame {
    ip(source, IpNumber::TCP, &tcp(port))
}

/// A TCP header of a SYN.
#[must_use]
pub fn tcp(port: u16) -> Vec<u8> {
    segment(port, |header| header.syn = true, &[])
}

/// A TCP segment.
#[must_use]
pub fn segment(port: u16, flags: fn(&mut TcpHeader), data: &[u8]) -> Vec<u8> {
    let mut header = TcpHeader::new(SOURCE_PORT, port, 1, 1024);
    flags(&mut header);
    [&header.to_bytes(), data].concat()
}

/// A UDP datagram.
#[must_use]
pub fn udp(port: u16, data: &[u8]) -> Vec<u8> {
    let header = UdpHeader {
        source_port: SOURCE_PORT,
        destination_port: port,
        length: (UdpHeader::LEN + data.len()) as u16,
        checksum: 0,
    };
    [&header.to_bytes(), data].concat()
}

/// An IPv6 extension header: its number, and its bytes without the next header's number.
pub type Extension = (u8, Vec<u8>);

/// Hop-by-hop options, RFC 8200, 4.3: padding. The kernel accepts 7 bytes of it at most.
#[must_use]
pub fn hop_by_hop() -> Extension {
    (0, vec![0, 1, 4, 0, 0, 0, 0])
}

/// Destination options, RFC 8200, 4.6: so many units of eight bytes, of padding.
#[must_use]
pub fn destination_options(units: u8) -> Extension {
    (60, sized(units - 1, usize::from(units) * 8))
}

/// A routing header, RFC 8200, 4.4, of two addresses and a type for experiments (253) with no segments left.
#[must_use]
pub fn routing() -> Extension {
    let mut bytes = sized(4, 40);
    bytes[1] = 253;
    (43, bytes)
}

/// An authentication header, RFC 4302, with a check value of 12 bytes.
#[must_use]
pub fn authentication() -> Extension {
    (51, sized(4, 24))
}

/// A fragment header, RFC 8200, 4.5; the offset counts units of eight bytes.
#[must_use]
pub fn fragment(offset: u16, more: bool) -> Extension {
    let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
    (44, vec![0, high, low, 0, 0, 0, 9])
}

/// A header of `len` bytes without the first of them, that says so in its second, and zeros.
fn sized(says: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![says];
    bytes.resize(len - 1, 0);
    bytes
}
