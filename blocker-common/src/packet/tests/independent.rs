//! What etherparse, which others wrote, reads from a frame; ours may not contradict it.
//!
//! The fuzz target `packet` takes this file in too.

use etherparse::{
    EtherType, IpNumber, Ipv6ExtensionSlice, LaxEtherPayloadSlice, LaxIpv4Slice, LaxIpv6Slice, LaxLinkExtSlice,
    LaxSlicedPacket, LinkSlice, err,
};

use super::{Address, MAX_EXTENSION_HEADERS, Packet, Parsed, Protocol, parse, plain_ipv4, plain_ipv6};

/// VLAN tags that are to be looked behind.
const MAX_VLAN_TAGS: usize = 2;

/// What a frame is by etherparse.
enum Reading {
    /// This packet, and nothing else.
    Packet(Packet),
    /// No packet that bans speak of, or none that can be read.
    NoPacket,
    /// From here; what it is, etherparse does not say.
    From(Address),
    /// It does not say.
    Unknown,
}

/// Reads a frame both ways, and the short way where that can.
///
/// # Panics
///
/// Where ours contradicts etherparse, or itself.
pub(super) fn check(frame: &[u8]) {
    let ours = parse(frame);
    if let Some(plain) = plain_ipv4(frame).or_else(|| plain_ipv6(frame)) {
        let packet = Packet {
            source: plain.source(frame).expect("it was read"),
            protocol: plain.protocol,
            destination_port: Some(plain.destination_port),
        };
        assert_eq!(ours, Parsed::Packet(packet), "the short way is not the long one");
    }
    match read(frame) {
        Reading::Packet(packet) => assert_eq!(ours, Parsed::Packet(packet), "etherparse is on the right"),
        Reading::NoPacket => assert!(!matches!(ours, Parsed::Packet(_)), "to etherparse it is none: {ours:?}"),
        Reading::From(source) => {
            if let Parsed::Packet(packet) = ours {
                assert_eq!(packet.source, source, "etherparse is on the right");
            }
        }
        Reading::Unknown => {}
    }
}

fn read(frame: &[u8]) -> Reading {
    let Ok(packet) = LaxSlicedPacket::from_ethernet(frame) else {
        return Reading::NoPacket;
    };
    if packet.link_exts.len() > MAX_VLAN_TAGS || !behind_vlan_tags_alone(&packet) {
        return Reading::NoPacket;
    }
    match packet.ether_payload() {
        Some(LaxEtherPayloadSlice {
            ether_type: EtherType::IPV4,
            payload,
            ..
        }) => ipv4(payload),
        Some(LaxEtherPayloadSlice {
            ether_type: EtherType::IPV6,
            payload,
            ..
        }) => ipv6(payload),
        _ => Reading::NoPacket,
    }
}

/// Etherparse also looks behind MACsec, and a kind of VLAN tag that was never standardised.
fn behind_vlan_tags_alone(packet: &LaxSlicedPacket<'_>) -> bool {
    let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link else {
        return false;
    };
    let mut ether_type = ethernet.ether_type();
    packet.link_exts.iter().all(|tag| {
        let LaxLinkExtSlice::Vlan(tag) = tag else {
            return false;
        };
        let known = matches!(ether_type, EtherType::VLAN_TAGGED_FRAME | EtherType::PROVIDER_BRIDGING);
        ether_type = tag.ether_type();
        known
    })
}

fn ipv4(bytes: &[u8]) -> Reading {
    let ip = match LaxIpv4Slice::from_slice(bytes) {
        // Beside the point: what is wrong with an AH.
        Ok((ip, _)) => ip,
        // A later fragment is known by the first 20 bytes, also where its options are cut.
        Err(err::ipv4::HeaderSliceError::Len(_)) => return Reading::Unknown,
        Err(err::ipv4::HeaderSliceError::Content(_)) => return Reading::NoPacket,
    };
    let header = ip.header();
    let total_len = usize::from(header.total_len());
    let Some(protocol) = protocol(header.protocol()) else {
        return Reading::NoPacket;
    };
    // Etherparse takes a length that cannot be for one that was not filled in; ours only one of zero.
    if total_len != 0 && total_len < header.slice().len() {
        return Reading::NoPacket;
    }
    let source = Address::ipv4(header.source());
    if header.fragments_offset().value() != 0 {
        return later_fragment(source, protocol);
    }
    ports(source, protocol, ip.payload().payload)
}

fn ipv6(bytes: &[u8]) -> Reading {
    let Ok((ip, error)) = LaxIpv6Slice::from_slice(bytes) else {
        return Reading::NoPacket;
    };
    let source = Address::ipv6(ip.header().source());
    if error.is_some() {
        // Hop-by-hop options that are not the first header, for one: ours reads on, as kernels do.
        return Reading::From(source);
    }
    for (n, extension) in ip.extensions().clone().into_iter().enumerate() {
        if n == MAX_EXTENSION_HEADERS {
            return Reading::NoPacket;
        }
        match extension {
            Ipv6ExtensionSlice::Fragment(fragment) if fragment.fragment_offset().value() != 0 => {
                return match protocol(fragment.next_header()) {
                    Some(protocol) => later_fragment(source, protocol),
                    None => Reading::NoPacket,
                };
            }
            // RFC 4302 wants a multiple of eight with IPv6, which etherparse does not mind.
            Ipv6ExtensionSlice::Authentication(header) if header.slice().len() % 8 != 0 => return Reading::NoPacket,
            _ => {}
        }
    }
    let payload = ip.payload();
    match protocol(payload.ip_number) {
        Some(protocol) => ports(source, protocol, payload.payload),
        None => Reading::NoPacket,
    }
}

fn protocol(number: IpNumber) -> Option<Protocol> {
    match number {
        IpNumber::TCP => Some(Protocol::Tcp),
        IpNumber::UDP => Some(Protocol::Udp),
        _ => None,
    }
}

fn later_fragment(source: Address, protocol: Protocol) -> Reading {
    Reading::Packet(Packet {
        source,
        protocol,
        destination_port: None,
    })
}

/// Etherparse has no ports of a header that is cut behind them, or of a first fragment's; where they stand it says.
fn ports(source: Address, protocol: Protocol, payload: &[u8]) -> Reading {
    match payload {
        [_, _, high, low, ..] => Reading::Packet(Packet {
            source,
            protocol,
            destination_port: Some(u16::from_be_bytes([*high, *low])),
        }),
        _ => Reading::NoPacket,
    }
}
