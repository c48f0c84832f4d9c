//! From the bytes of a frame to the few facts a verdict needs.
//!
//! Read are Ethernet II, up to two VLAN tags (IEEE 802.1Q and 802.1ad), IPv4 (RFC 791) and IPv6 (RFC 8200), and the ports of
//! TCP (RFC 9293). What is none of these passes as [`Parsed::Foreign`]; what claims to be one of these and is cut short or
//! contradicts itself passes as [`Parsed::Unparsed`], so that it can be counted.

/// `EtherType` values, IEEE 802 numbers.
mod ether_type {
    pub const IPV4: u16 = 0x0800;
    pub const IPV6: u16 = 0x86dd;
    pub const VLAN: u16 = 0x8100;
    pub const QINQ: u16 = 0x88a8;
}

/// TCP's number among the IP protocols.
const TCP: u8 = 6;
/// Length of an Ethernet header without tags.
const ETHERNET_LEN: usize = 14;
/// VLAN tags that are looked behind.
const MAX_VLAN_TAGS: usize = 2;
const VLAN_LEN: usize = 4;
const IPV4_MIN_LEN: usize = 20;
const IPV6_LEN: usize = 40;

/// Read access to the bytes of a frame.
pub trait Bytes {
    /// The `N` bytes from `offset`, or `None` where the frame ends before.
    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

impl Bytes for [u8] {
    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }
}

/// IP version of a packet.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    Ipv4 = 0,
    /// IPv6.
    Ipv6 = 1,
}

impl Family {
    /// The family's name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// A source address.
///
/// No enum with a payload of its own for each version: the verifier rejects a program that copies the bytes which the shorter
/// one leaves unset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    family: Family,
    /// In network byte order; of IPv4 the first four, and zeros.
    octets: [u8; 16],
}

impl Address {
    /// An IPv4 address in network byte order.
    #[inline(always)]
    #[must_use]
    pub const fn ipv4(octets: [u8; 4]) -> Self {
        let [a, b, c, d] = octets;
        Self {
            family: Family::Ipv4,
            octets: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        }
    }

    /// An IPv6 address in network byte order.
    #[inline(always)]
    #[must_use]
    pub const fn ipv6(octets: [u8; 16]) -> Self {
        Self {
            family: Family::Ipv6,
            octets,
        }
    }

    /// The address's IP version.
    #[inline(always)]
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// The bytes of an IPv4 address in network byte order; of another, its first four.
    #[inline(always)]
    #[must_use]
    pub const fn ipv4_octets(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.octets;
        [a, b, c, d]
    }

    /// The bytes of an IPv6 address in network byte order; of an IPv4 address, its four and zeros.
    #[inline(always)]
    #[must_use]
    pub const fn ipv6_octets(&self) -> &[u8; 16] {
        &self.octets
    }
}

/// What a verdict needs to know of a TCP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp {
    /// Who sent it.
    pub source: Address,
    /// Port it goes to.
    pub destination_port: u16,
}

/// The layer at which a packet turned out not to be what it claims.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparsed {
    /// Shorter than an Ethernet header, or cut within a VLAN tag.
    Ethernet = 0,
    /// IPv4 header cut short, of another version, or with an impossible length.
    Ipv4 = 1,
    /// IPv6 header cut short or of another version.
    Ipv6 = 2,
    /// TCP header cut before the end of its ports.
    Tcp = 3,
}

impl Unparsed {
    /// Every layer, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Ethernet, Self::Ipv4, Self::Ipv6, Self::Tcp];

    /// The layer's name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Tcp => "tcp",
        }
    }
}

/// What a frame turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A TCP packet, or the fragment of one that carries its ports.
    Tcp(Tcp),
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
        if ether_type != ether_type::VLAN && ether_type != ether_type::QINQ {
            break;
        }
        let Some(inner) = be16(frame, offset + 2) else {
            return Parsed::Unparsed(Unparsed::Ethernet);
        };
        ether_type = inner;
        offset += VLAN_LEN;
    }
    match ether_type {
        ether_type::IPV4 => ipv4(frame, offset),
        ether_type::IPV6 => ipv6(frame, offset),
        _ => Parsed::Foreign,
    }
}

#[inline(always)]
fn ipv4(frame: &(impl Bytes + ?Sized), offset: usize) -> Parsed {
    let Some(header) = frame.array::<IPV4_MIN_LEN>(offset) else {
        return Parsed::Unparsed(Unparsed::Ipv4);
    };
    // Masked, so that the verifier sees the bound: 0 to 60 bytes.
    let header_len = usize::from(header[0] & 0x0f) << 2;
    if header[0] >> 4 != 4 || header_len < IPV4_MIN_LEN {
        return Parsed::Unparsed(Unparsed::Ipv4);
    }
    let fragment_offset = u16::from_be_bytes([header[6], header[7]]) & 0x1fff;
    if header[9] != TCP || fragment_offset != 0 {
        return Parsed::Foreign;
    }
    let source = Address::ipv4([header[12], header[13], header[14], header[15]]);
    tcp(frame, offset + header_len, source)
}

#[inline(always)]
fn ipv6(frame: &(impl Bytes + ?Sized), offset: usize) -> Parsed {
    let Some(header) = frame.array::<IPV6_LEN>(offset) else {
        return Parsed::Unparsed(Unparsed::Ipv6);
    };
    if header[0] >> 4 != 6 {
        return Parsed::Unparsed(Unparsed::Ipv6);
    }
    if header[6] != TCP {
        return Parsed::Foreign;
    }
    let mut source = [0; 16];
    source.copy_from_slice(&header[8..24]);
    tcp(frame, offset + IPV6_LEN, Address::ipv6(source))
}

#[inline(always)]
fn tcp(frame: &(impl Bytes + ?Sized), offset: usize, source: Address) -> Parsed {
    match frame.array::<4>(offset) {
        Some(ports) => Parsed::Tcp(Tcp {
            source,
            destination_port: u16::from_be_bytes([ports[2], ports[3]]),
        }),
        None => Parsed::Unparsed(Unparsed::Tcp),
    }
}

#[inline(always)]
fn be16(frame: &(impl Bytes + ?Sized), offset: usize) -> Option<u16> {
    frame.array::<2>(offset).map(u16::from_be_bytes)
}

#[cfg(test)]
mod tests;
