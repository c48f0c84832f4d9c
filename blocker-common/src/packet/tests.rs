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

fn from_v4(port: u16) -> Parsed {
    Parsed::Tcp(Tcp {
        source: Address::ipv4(SPAMMER_V4),
        destination_port: port,
    })
}

fn from_v6(port: u16) -> Parsed {
    Parsed::Tcp(Tcp {
        source: Address::ipv6(SPAMMER_V6),
        destination_port: port,
    })
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
fn a_third_vlan_tag_is_foreign() {
    assert_eq!(parse(tagged(&syn_v4(), 3).as_slice()), Parsed::Foreign);
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
fn a_later_fragment_is_not_read_as_if_it_had_ports() {
    let mut frame = syn_v4();
    frame[ETHERNET_LEN + 7] = 1;
    assert_eq!(parse(frame.as_slice()), Parsed::Foreign);
}

#[test]
fn a_first_fragment_is_read_by_its_ports() {
    let mut frame = syn_v4();
    frame[ETHERNET_LEN + 6] = 0x20; // more fragments
    assert_eq!(parse(frame.as_slice()), from_v4(25));
}

#[test]
fn udp_icmp_and_arp_are_foreign() {
    let mut udp = Vec::new();
    ethernet()
        .ipv4(SPAMMER_V4, RELAY_V4, 64)
        .udp(40_000, 25)
        .write(&mut udp, &[])
        .unwrap();
    assert_eq!(parse(udp.as_slice()), Parsed::Foreign);

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
            0..18 => Parsed::Unparsed(Unparsed::Ethernet),
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

    #[test]
    fn agrees_with_an_independent_parser_on_addresses_and_ports(
        source in any::<[u8; 4]>(), destination in any::<[u8; 4]>(), port in any::<u16>(), tags in 0usize..3,
    ) {
        let plain = bytes(ethernet().ipv4(source, destination, 64).tcp(1, port, 1, 1));
        let frame = tagged(&plain, tags);
        let independent = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(etherparse::TransportSlice::Tcp(tcp)) = independent.transport else {
            return Err(TestCaseError::fail("etherparse sees no TCP"));
        };
        let expected = Tcp { source: Address::ipv4(source), destination_port: tcp.destination_port() };
        prop_assert_eq!(parse(frame.as_slice()), Parsed::Tcp(expected));
    }
}
