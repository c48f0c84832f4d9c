//! From the bytes of a frame to the few facts a verdict needs.
//!
//! Read are Ethernet II, up to two VLAN tags (IEEE 802.1Q and 802.1ad), IPv4 (RFC 791) and IPv6 (RFC 8200) with its extension
//! headers, and the ports of TCP (RFC 9293) and UDP (RFC 768). What is none of these passes as [`Parsed::Foreign`]; what claims to
//! be one of these and is cut short or contradicts itself passes as [`Parsed::Unparsed`], so that it can be counted.

mod address;
mod ip;
mod plain;

pub use self::address::{Address, Family};
pub use self::ip::MAX_EXTENSION_HEADERS;
pub use self::plain::{Plain, plain_ipv4, plain_ipv6};

/// `EtherType` values, IEEE 802 numbers.
mod ether_type {
    pub const IPV4: u16 = 0x0800;
    pub const IPV6: u16 = 0x86dd;
    pub const VLAN: u16 = 0x8100;
    pub const QINQ: u16 = 0x88a8;
}

/// Length of an Ethernet header without tags.
const ETHERNET_LEN: usize = 14;
/// VLAN tags that are looked behind.
const MAX_VLAN_TAGS: usize = 2;
const VLAN_LEN: usize = 4;

/// Read access to the bytes of a frame.
pub trait Bytes {
    /// The `N` bytes from `offset`, or `None` where the frame ends before.
    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;

    /// The first `N` bytes, or `None` where they are not to be had at once.
    fn head<const N: usize>(&self) -> Option<[u8; N]>;
}

impl Bytes for [u8] {
    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }

    fn head<const N: usize>(&self) -> Option<[u8; N]> {
        self.first_chunk().copied()
    }
}

/// A transport protocol that bans speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, RFC 9293.
    Tcp,
    /// UDP, RFC 768.
    Udp,
}

/// What a verdict needs to know of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who sent it.
    pub source: Address,
    /// What it carries.
    pub protocol: Protocol,
    /// Port it goes to; a fragment that is not the first does not say.
    pub destination_port: Option<u16>,
}

/// Why a packet could not be read: it is cut short, or not what it claims to be.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparsed {
    /// Shorter than an Ethernet header.
    Ethernet = 0,
    /// Cut within a VLAN tag, or more of them than are looked behind.
    Vlan = 1,
    /// IPv4 header cut short, of another version, or with an impossible length.
    Ipv4 = 2,
    /// IPv6 header cut short or of another version.
    Ipv6 = 3,
    /// IPv6 extension header cut short, or longer than its packet.
    ExtensionHeader = 4,
    /// More IPv6 extension headers than [`MAX_EXTENSION_HEADERS`].
    ExtensionHeaders = 5,
    /// TCP header cut before the end of its ports.
    Tcp = 6,
    /// UDP header cut before the end of its ports.
    Udp = 7,
}

impl Unparsed {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Ethernet,
        Self::Vlan,
        Self::Ipv4,
        Self::Ipv6,
        Self::ExtensionHeader,
        Self::ExtensionHeaders,
        Self::Tcp,
        Self::Udp,
    ];

    /// The reason's name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet",
            Self::Vlan => "vlan",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::ExtensionHeader => "ipv6_extension_header",
            Self::ExtensionHeaders => "ipv6_extension_headers",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A packet that bans may speak of, or a fragment of one.
    Packet(Packet),
    /// Something that bans do not speak of.
    Foreign,
    /// Not what it claims to be.
    Unparsed(Unparsed),
}

/// Reads a frame from its Ethernet header on.
#[inline(always)]
pub fn parse(frame: &(impl Bytes + ?Sized)) -> Parsed {
    let Some(mut ether_type) = be16(frame, ETHERNET_LEN - 2) else {
        return Parsed::Unparsed(Unparsed::Ethernet);
    };
    let mut offset = ETHERNET_LEN;
    for _ in 0..MAX_VLAN_TAGS {
        if !is_vlan(ether_type) {
            break;
        }
        let Some(inner) = be16(frame, offset + 2) else {
            return Parsed::Unparsed(Unparsed::Vlan);
        };
        ether_type = inner;
        offset += VLAN_LEN;
    }
    match ether_type {
        ether_type::IPV4 => ip::ipv4(frame, offset),
        ether_type::IPV6 => ip::ipv6(frame, offset),
        ether_type if is_vlan(ether_type) => Parsed::Unparsed(Unparsed::Vlan),
        _ => Parsed::Foreign,
    }
}

#[inline(always)]
const fn is_vlan(ether_type: u16) -> bool {
    matches!(ether_type, ether_type::VLAN | ether_type::QINQ)
}

#[inline(always)]
fn be16(frame: &(impl Bytes + ?Sized), offset: usize) -> Option<u16> {
    frame.array::<2>(offset).map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests;
