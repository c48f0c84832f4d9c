mod independent;
mod random;

use etherparse::{EtherType, LinkHeader, PacketBuilder, SingleVlanHeader, VlanId};
use proptest::prelude::*;

use super::*;

const SPAMMER_V4: [u8; 4] = [192, 0, 2, 7];
const SPAMMER_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const RELAY_V4: [u8; 4] = [192, 0, 2, 25];
const RELAY_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25];

fn bytes(builder: etherparse::PacketBuilderStep<etherparse::TcpHeader>) -> Vec<u8> {
    let mut frame = Vec::new();
    builder.write(&mut frame, &[]).unwrap();
    frame
}

fn ethernet() -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

fn syn_v4() -> Vec<u8> {
    bytes(ethernet().ipv4(SPAMMER_V4, RELAY_V4, 64).tcp(40_000, 25, 1, 1024).syn())
}

fn syn_v6() -> Vec<u8> {
    bytes(ethernet().ipv6(SPAMMER_V6, RELAY_V6, 64).tcp(40_000, 25, 1, 1024).syn())
}

/// Puts `tags` VLAN tags behind the addresses of an untagged frame.
fn tagged(frame: &[u8], tags: usize) -> Vec<u8> {
    let mut out = frame[..12].to_vec();
    for n in 0..tags {
        let tpid: u16 = if n + 1 < tags { 0x88a8 } else { 0x8100 };
        out.extend_from_slice(&tpid.to_be_bytes());
        out.extend_from_slice(&[0, 42]);
    }
    out.extend_from_slice(&frame[12..]);
    out
}

fn packet(source: Address, protocol: Protocol, destination_port: Option<u16>) -> Parsed {
    Parsed::Packet(Packet {
        source,
        protocol,
        destination_port,
    })
}

fn from_v4(port: u16) -> Parsed {
    packet(Address::ipv4(SPAMMER_V4), Protocol::Tcp, Some(port))
}

fn from_v6(port: u16) -> Parsed {
    packet(Address::ipv6(SPAMMER_V6), Protocol::Tcp, Some(port))
}

fn later_fragment_v6(protocol: Protocol) -> Parsed {
    packet(Address::ipv6(SPAMMER_V6), protocol, None)
}

/// An IPv6 SYN behind extension headers, each given by its number and its bytes without the next header's number.
fn behind(extensions: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let syn = syn_v6();
    let mut frame = syn[..ETHERNET_LEN + 40].to_vec();
    let numbers = extensions.iter().map(|(number, _)| *number).chain([6]);
    let followed = numbers.skip(1);
    for ((_, bytes), next) in extensions.iter().zip(followed) {
        frame.push(next);
        frame.extend_from_slice(bytes);
    }
    if let Some((first, _)) = extensions.first() {
        frame[ETHERNET_LEN + 6] = *first;
    }
    frame.extend_from_slice(&syn[ETHERNET_LEN + 40..]);
    let payload_len = (frame.len() - ETHERNET_LEN - 40) as u16;
    frame[ETHERNET_LEN + 4..ETHERNET_LEN + 6].copy_from_slice(&payload_len.to_be_bytes());
    frame
}

/// Options of so many units of eight bytes.
fn options(units: u8) -> Vec<u8> {
    let mut bytes = vec![units - 1];
    bytes.resize(usize::from(units) * 8 - 1, 0);
    bytes
}

/// A fragment header; the offset counts units of eight bytes.
fn fragment(offset: u16, more: bool) -> Vec<u8> {
    let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
    vec![0, high, low, 0, 0, 0, 9]
}

#[test]
fn reads_source_and_port_of_ipv4() {
    assert_eq!(parse(syn_v4().as_slice()), from_v4(25));
}

#[test]
fn reads_source_and_port_of_ipv6() {
    assert_eq!(parse(syn_v6().as_slice()), from_v6(25));
}

#[test]
fn looks_behind_one_and_two_vlan_tags() {
    for tags in 1..=2 {
        assert_eq!(parse(tagged(&syn_v4(), tags).as_slice()), from_v4(25), "{tags} tags");
        assert_eq!(parse(tagged(&syn_v6(), tags).as_slice()), from_v6(25), "{tags} tags");
    }
}

#[test]
fn our_tagged_frames_are_what_an_independent_writer_makes() {
    let vlan = SingleVlanHeader {
        vlan_id: VlanId::try_new(42).unwrap(),
        ether_type: EtherType::IPV4,
        ..SingleVlanHeader::default()
    };
    let builder = ethernet().vlan(etherparse::VlanHeader::Single(vlan));
    let independent = bytes(builder.ipv4(SPAMMER_V4, RELAY_V4, 64).tcp(40_000, 25, 1, 1024).syn());
    assert_eq!(tagged(&syn_v4(), 1), independent);
    assert!(matches!(
        etherparse::PacketHeaders::from_ethernet_slice(&independent)
            .unwrap()
            .link,
        Some(LinkHeader::Ethernet2(_))
    ));
}

#[test]
fn a_third_vlan_tag_is_told() {
    assert_eq!(parse(tagged(&syn_v4(), 3).as_slice()), Parsed::Unparsed(Unparsed::Vlan));
}

#[test]
fn finds_the_port_behind_ipv4_options() {
    let options = etherparse::Ipv4Options::try_from(&[1u8; 40][..]).unwrap();
    let header = etherparse::Ipv4Header {
        options,
        ..etherparse::Ipv4Header::new(20, 64, etherparse::IpNumber::TCP, SPAMMER_V4, RELAY_V4).unwrap()
    };
    let builder = ethernet().ip(etherparse::IpHeaders::Ipv4(
        header,
        etherparse::Ipv4Extensions::default(),
    ));
    let frame = bytes(builder.tcp(40_000, 587, 1, 1024).syn());
    assert_eq!(parse(frame.as_slice()), from_v4(587));
}

#[test]
fn a_later_fragment_has_a_protocol_and_no_port() {
    let mut frame = syn_v4();
    frame[ETHERNET_LEN + 7] = 1;
    let source = Address::ipv4(SPAMMER_V4);
    assert_eq!(parse(frame.as_slice()), packet(source, Protocol::Tcp, None));
    frame[ETHERNET_LEN + 9] = 17;
    assert_eq!(parse(frame.as_slice()), packet(source, Protocol::Udp, None));
    frame[ETHERNET_LEN + 9] = 50;
    assert_eq!(parse(frame.as_slice()), Parsed::Foreign);
}

#[test]
fn looks_behind_every_kind_of_ipv6_extension_header() {
    let authentication = {
        let mut bytes = vec![4];
        bytes.resize(23, 0);
        bytes
    };
    for extensions in [
        vec![(0, options(1))],
        vec![(43, options(2))],
        vec![(60, options(32))],
        vec![(51, authentication.clone())],
        vec![(44, fragment(0, true))],
        vec![
            (0, options(1)),
            (60, options(1)),
            (43, options(3)),
            (44, fragment(0, false)),
            (51, authentication),
            (60, options(1)),
        ],
    ] {
        let numbers: Vec<u8> = extensions.iter().map(|(number, _)| *number).collect();
        assert_eq!(parse(behind(&extensions).as_slice()), from_v6(25), "{numbers:?}");
    }
}

#[test]
fn a_later_ipv6_fragment_has_the_protocol_that_its_header_names() {
    let mut frame = behind(&[(60, options(1)), (44, fragment(1, true))]);
    assert_eq!(parse(frame.as_slice()), later_fragment_v6(Protocol::Tcp));
    frame[ETHERNET_LEN + 48] = 17;
    assert_eq!(parse(frame.as_slice()), later_fragment_v6(Protocol::Udp));
    // What it carries begins with options: whose ports those are, only the first fragment says.
    frame[ETHERNET_LEN + 48] = 60;
    assert_eq!(parse(frame.as_slice()), Parsed::Foreign);
}

#[test]
fn extension_headers_are_followed_to_a_bounded_depth() {
    let chain = |len: usize| behind(&vec![(60, options(1)); len]);
    assert_eq!(parse(chain(MAX_EXTENSION_HEADERS).as_slice()), from_v6(25));
    assert_eq!(
        parse(chain(MAX_EXTENSION_HEADERS + 1).as_slice()),
        Parsed::Unparsed(Unparsed::ExtensionHeaders)
    );
}

#[test]
fn an_extension_header_longer_than_its_packet_or_cut_short_is_told() {
    let mut frame = behind(&[(60, options(1))]);
    frame[ETHERNET_LEN + 41] = 200;
    assert_eq!(parse(frame.as_slice()), Parsed::Unparsed(Unparsed::ExtensionHeader));
    let frame = behind(&[(60, options(1))]);
    assert_eq!(
        parse(&frame[..ETHERNET_LEN + 43]),
        Parsed::Unparsed(Unparsed::ExtensionHeader)
    );
    assert_eq!(parse(&frame[..ETHERNET_LEN + 50]), Parsed::Unparsed(Unparsed::Tcp));
}

#[test]
fn esp_and_an_end_without_anything_behind_are_foreign() {
    for number in [50, 59, 135, 255] {
        let mut frame = syn_v6();
        frame[ETHERNET_LEN + 6] = number;
        assert_eq!(parse(frame.as_slice()), Parsed::Foreign, "{number}");
    }
}

#[test]
fn padding_behind_a_packet_is_not_read_as_ports() {
    let mut frame = syn_v4();
    frame[ETHERNET_LEN + 2..ETHERNET_LEN + 4].copy_from_slice(&20u16.to_be_bytes());
    assert_eq!(parse(frame.as_slice()), Parsed::Unparsed(Unparsed::Tcp));
    let mut frame = syn_v6();
    frame[ETHERNET_LEN + 4..ETHERNET_LEN + 6].copy_from_slice(&3u16.to_be_bytes());
    assert_eq!(parse(frame.as_slice()), Parsed::Unparsed(Unparsed::Tcp));
}

#[test]
fn a_length_of_zero_says_nothing() {
    let mut frame = syn_v4();
    frame[ETHERNET_LEN + 2..ETHERNET_LEN + 4].fill(0);
    assert_eq!(parse(frame.as_slice()), from_v4(25));
    let mut frame = syn_v6();
    frame[ETHERNET_LEN + 4..ETHERNET_LEN + 6].fill(0);
    assert_eq!(parse(frame.as_slice()), from_v6(25));
}

#[test]
fn an_ipv4_packet_shorter_than_its_header_is_told() {
    let mut frame = syn_v4();
    frame[ETHERNET_LEN + 2..ETHERNET_LEN + 4].copy_from_slice(&19u16.to_be_bytes());
    assert_eq!(parse(frame.as_slice()), Parsed::Unparsed(Unparsed::Ipv4));
}

#[test]
fn a_first_fragment_is_read_by_its_ports() {
    let mut frame = syn_v4();
    frame[ETHERNET_LEN + 6] = 0x20; // more fragments
    assert_eq!(parse(frame.as_slice()), from_v4(25));
}

#[test]
fn reads_the_port_of_udp() {
    let mut udp = Vec::new();
    let builder = ethernet().ipv4(SPAMMER_V4, RELAY_V4, 64).udp(40_000, 53);
    builder.write(&mut udp, &[]).unwrap();
    let source = Address::ipv4(SPAMMER_V4);
    assert_eq!(parse(udp.as_slice()), packet(source, Protocol::Udp, Some(53)));
    assert_eq!(parse(&udp[..ETHERNET_LEN + 23]), Parsed::Unparsed(Unparsed::Udp));
}

#[test]
fn icmp_and_arp_are_foreign() {
    let mut icmp = Vec::new();
    let echo = ethernet().ipv4(SPAMMER_V4, RELAY_V4, 64).icmpv4_echo_request(1, 1);
    echo.write(&mut icmp, &[]).unwrap();
    assert_eq!(parse(icmp.as_slice()), Parsed::Foreign);

    let mut arp = syn_v4();
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    assert_eq!(parse(arp.as_slice()), Parsed::Foreign);
}

#[test]
fn every_cut_of_a_frame_names_the_layer_that_is_short() {
    let whole = tagged(&syn_v4(), 1);
    for len in 0..whole.len() {
        let expected = match len {
            0..14 => Parsed::Unparsed(Unparsed::Ethernet),
            14..18 => Parsed::Unparsed(Unparsed::Vlan),
            18..38 => Parsed::Unparsed(Unparsed::Ipv4),
            38..42 => Parsed::Unparsed(Unparsed::Tcp),
            _ => from_v4(25),
        };
        assert_eq!(parse(&whole[..len]), expected, "cut to {len} bytes");
    }
    let whole = syn_v6();
    assert_eq!(parse(&whole[..ETHERNET_LEN + 39]), Parsed::Unparsed(Unparsed::Ipv6));
    assert_eq!(parse(&whole[..ETHERNET_LEN + 43]), Parsed::Unparsed(Unparsed::Tcp));
}

#[test]
fn an_ip_header_of_another_version_or_an_impossible_length_is_unparsed() {
    for first in [0x65, 0x44, 0x40, 0x05] {
        let mut frame = syn_v4();
        frame[ETHERNET_LEN] = first;
        assert_eq!(
            parse(frame.as_slice()),
            Parsed::Unparsed(Unparsed::Ipv4),
            "{first:#04x}"
        );
    }
    let mut frame = syn_v6();
    frame[ETHERNET_LEN] = 0x45;
    assert_eq!(parse(frame.as_slice()), Parsed::Unparsed(Unparsed::Ipv6));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(frame in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(frame.as_slice());
    }
}

#[test]
fn the_packets_that_nearly_all_are_are_read_at_once() {
    for (frame, parsed) in [(syn_v4(), from_v4(25)), (syn_v6(), from_v6(25))] {
        let plain = plain_ipv4(frame.as_slice()).or_else(|| plain_ipv6(frame.as_slice()));
        let plain = plain.unwrap();
        let source = plain.source(frame.as_slice()).unwrap();
        let Parsed::Packet(packet) = parsed else {
            panic!("{parsed:?}")
        };
        let plain = (source, plain.protocol, Some(plain.destination_port));
        assert_eq!(plain, (packet.source, packet.protocol, packet.destination_port));
    }
}
