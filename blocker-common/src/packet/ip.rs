//! IPv4 and IPv6 headers, and what lies between them and the ports.
//!
//! A packet ends where its IP header says, also where the frame goes on: short ones are padded to Ethernet's 60 bytes, and padding
//! must not be read as ports. A length of zero says nothing: the kernel uses it for packets of more than 64 KiB (BIG TCP), RFC 2675
//! for jumbograms.

use super::{Address, Bytes, Packet, Parsed, Protocol, Unparsed};

/// Header numbers, from IANA's registry of protocol numbers.
mod next_header {
    pub const HOP_BY_HOP: u8 = 0;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const DESTINATION_OPTIONS: u8 = 60;
}

pub(super) const IPV4_MIN_LEN: usize = 20;
pub(super) const IPV6_LEN: usize = 40;
/// More than the longest headers take together.
const OFFSET_MASK: usize = 0x7fff;
const _: () = assert!(22 + IPV6_LEN + MAX_EXTENSION_HEADERS * 2048 < OFFSET_MASK);
/// IPv6 extension headers that are looked behind. RFC 8200 names five, two of which may come twice.
pub const MAX_EXTENSION_HEADERS: usize = 8;

/// Reads an IPv4 packet (RFC 791).
#[inline(always)]
pub(super) fn ipv4(frame: &(impl Bytes + ?Sized), offset: usize) -> Parsed {
    let Some(header) = frame.array::<IPV4_MIN_LEN>(offset) else {
        return Parsed::Unparsed(Unparsed::Ipv4);
    };
    // Masked, so that the verifier sees the bound: 0 to 60 bytes.
    let header_len = usize::from(header[0] & 0x0f) << 2;
    if header[0] >> 4 != 4 || header_len < IPV4_MIN_LEN {
        return Parsed::Unparsed(Unparsed::Ipv4);
    }
    let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if total_len != 0 && total_len < header_len {
        return Parsed::Unparsed(Unparsed::Ipv4);
    }
    let Some(protocol) = protocol(header[9]) else {
        return Parsed::Foreign;
    };
    let source = Address::ipv4([header[12], header[13], header[14], header[15]]);
    if u16::from_be_bytes([header[6], header[7]]) & 0x1fff != 0 {
        return later_fragment(source, protocol);
    }
    let payload_len = if total_len == 0 {
        usize::MAX
    } else {
        total_len - header_len
    };
    ports(frame, offset + header_len, payload_len, source, protocol)
}

/// Reads an IPv6 packet (RFC 8200).
#[inline(always)]
pub(super) fn ipv6(frame: &(impl Bytes + ?Sized), mut offset: usize) -> Parsed {
    let Some(header) = frame.array::<IPV6_LEN>(offset) else {
        return Parsed::Unparsed(Unparsed::Ipv6);
    };
    if header[0] >> 4 != 6 {
        return Parsed::Unparsed(Unparsed::Ipv6);
    }
    let mut source = [0; 16];
    source.copy_from_slice(&header[8..24]);
    let source = Address::ipv6(source);
    offset += IPV6_LEN;
    let end = match u16::from_be_bytes([header[4], header[5]]) {
        0 => usize::MAX,
        len => offset + usize::from(len),
    };
    let mut next = header[6];
    for _ in 0..MAX_EXTENSION_HEADERS {
        let kind = EXTENSION_HEADERS[usize::from(next)];
        if kind == extension_header::NONE {
            break;
        }
        let Some([following, len, high, low]) = frame.array::<4>(offset) else {
            return Parsed::Unparsed(Unparsed::ExtensionHeader);
        };
        if next == next_header::AUTHENTICATION && len % 2 != 0 {
            return Parsed::Unparsed(Unparsed::ExtensionHeader);
        }
        // One expression for all kinds, since the verifier follows each way through a branch on its own.
        let len = ((usize::from(len) >> (kind & 0x0f)) + 1) << 3;
        if offset + len > end {
            return Parsed::Unparsed(Unparsed::ExtensionHeader);
        }
        if next == next_header::FRAGMENT && u16::from_be_bytes([high, low]) & 0xfff8 != 0 {
            return match protocol(following) {
                Some(protocol) => later_fragment(source, protocol),
                None => Parsed::Foreign,
            };
        }
        // Masked, so that the verifier sees a bound: so far no chain of headers can lead.
        offset = (offset + len) & OFFSET_MASK;
        next = following;
    }
    match protocol(next) {
        Some(protocol) => ports(frame, offset, end.saturating_sub(offset), source, protocol),
        None if EXTENSION_HEADERS[usize::from(next)] == extension_header::NONE => Parsed::Foreign,
        None => Parsed::Unparsed(Unparsed::ExtensionHeaders),
    }
}

/// How the length of an extension header is told: by how many bits its second byte is to be shifted to the right, so that it counts
/// units of eight bytes behind the first.
mod extension_header {
    /// It does, as RFC 8200 has it.
    pub const EIGHTS: u8 = 0;
    /// It counts units of four, less two: RFC 4302, which wants a multiple of eight with IPv6.
    pub const FOURS: u8 = 1;
    /// It counts nothing: the header has eight bytes.
    pub const FIXED: u8 = 8;
    /// It is no extension header.
    pub const NONE: u8 = 0xff;
}

/// How the length of the extension header of each number is told.
static EXTENSION_HEADERS: [u8; 256] = {
    let mut kinds = [extension_header::NONE; 256];
    kinds[next_header::HOP_BY_HOP as usize] = extension_header::EIGHTS;
    kinds[next_header::ROUTING as usize] = extension_header::EIGHTS;
    kinds[next_header::DESTINATION_OPTIONS as usize] = extension_header::EIGHTS;
    kinds[next_header::AUTHENTICATION as usize] = extension_header::FOURS;
    kinds[next_header::FRAGMENT as usize] = extension_header::FIXED;
    kinds
};

#[inline(always)]
pub(super) const fn protocol(number: u8) -> Option<Protocol> {
    match number {
        next_header::TCP => Some(Protocol::Tcp),
        next_header::UDP => Some(Protocol::Udp),
        _ => None,
    }
}

#[inline(always)]
const fn later_fragment(source: Address, protocol: Protocol) -> Parsed {
    Parsed::Packet(Packet {
        source,
        protocol,
        destination_port: None,
    })
}

/// Both protocols begin with the source's and the destination's port.
#[inline(always)]
fn ports(
    frame: &(impl Bytes + ?Sized),
    offset: usize,
    payload_len: usize,
    source: Address,
    protocol: Protocol,
) -> Parsed {
    match frame.array::<4>(offset) {
        Some([_, _, high, low]) if payload_len >= 4 => Parsed::Packet(Packet {
            source,
            protocol,
            destination_port: Some(u16::from_be_bytes([high, low])),
        }),
        _ => Parsed::Unparsed(match protocol {
            Protocol::Tcp => Unparsed::Tcp,
            Protocol::Udp => Unparsed::Udp,
        }),
    }
}
