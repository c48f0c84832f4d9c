//! Kinds of packets that are cut short or contradict themselves: they pass, and XDP counts them by the reason.
//!
//! Cut within the Ethernet header is none of them: no packet socket sends such a frame and no test run takes it.

use blocker_common::packet::Unparsed;
use etherparse::IpNumber;

use super::kind::Kind;
use super::standing::{DNS, MAIL};
use crate::behaviour::frames::{
    QINQ, VLAN, destination_options, fragment, hop_by_hop, ip, ip_behind, routing, syn, tcp, udp,
};

/// Where an Ethernet header ends, and each VLAN tag behind it.
const ETHERNET_LEN: usize = 14;
const TAGGED_LEN: usize = 18;
const TWICE_TAGGED_LEN: usize = 22;

/// Of every IP version: cut within tags and ports.
fn of_both() -> Vec<Kind> {
    let tags = |len| move |source| syn(source, 25).tagged(VLAN).tagged(QINQ).cut_whole(len);
    vec![
        Kind::unparsed("cut before the VLAN tag", Unparsed::Vlan, MAIL, tags(ETHERNET_LEN)).refused(),
        Kind::unparsed("cut within the VLAN tag", Unparsed::Vlan, MAIL, tags(TAGGED_LEN - 1)).refused(),
        Kind::unparsed(
            "cut within the second VLAN tag",
            Unparsed::Vlan,
            MAIL,
            tags(TWICE_TAGGED_LEN - 2),
        )
        .refused(),
        Kind::unparsed("a third VLAN tag of a network", Unparsed::Vlan, MAIL, |source| {
            syn(source, 25).tagged(VLAN).tagged(VLAN).tagged_with(QINQ, 42)
        })
        .refused(),
        // The kernel takes any number of tags off, as long as they name no network.
        Kind::unparsed(
            "a third VLAN tag for the priority alone",
            Unparsed::Vlan,
            MAIL,
            |source| syn(source, 25).tagged(VLAN).tagged(VLAN).tagged(QINQ),
        )
        .otherwise_in_nftables(),
        Kind::unparsed("no TCP header", Unparsed::Tcp, MAIL, |source| {
            ip(source, IpNumber::TCP, &[])
        }),
        Kind::unparsed("cut within TCP's ports", Unparsed::Tcp, MAIL, |source| {
            ip(source, IpNumber::TCP, &tcp(25)[..3])
        }),
        Kind::unparsed("cut within UDP's ports", Unparsed::Udp, DNS, |source| {
            ip(source, IpNumber::UDP, &udp(53, &[])[..3])
        }),
        Kind::unparsed("TCP's ports in the padding", Unparsed::Tcp, MAIL, |source| {
            ip(source, IpNumber::TCP, &tcp(25)[..2]).padded()
        }),
    ]
}

pub(super) fn ipv4() -> Vec<Kind> {
    let cut = |len| move |source| syn(source, 25).cut(len);
    let of_first_byte = |first: u8| move |source| syn(source, 25).set(0, &[first]);
    let of_length = |len: u16| move |source| syn(source, 25).set(2, &len.to_be_bytes());
    let mut all = of_both();
    all.extend([
        Kind::unparsed("no IP header", Unparsed::Ipv4, MAIL, cut(0)).refused(),
        Kind::unparsed("cut within the IP header", Unparsed::Ipv4, MAIL, cut(19)).refused(),
        Kind::unparsed("cut within the IP options", Unparsed::Tcp, MAIL, |source| {
            syn(source, 25).with_options(&[1; 40]).cut(50)
        })
        .refused(),
        Kind::unparsed(
            "cut within TCP's ports, though longer by its IP header",
            Unparsed::Tcp,
            MAIL,
            cut(22),
        )
        .refused(),
        Kind::covered("cut behind TCP's ports, though longer by its IP header", MAIL, cut(24)).refused(),
        Kind::unparsed(
            "IP version 6 by its first byte",
            Unparsed::Ipv4,
            MAIL,
            of_first_byte(0x65),
        )
        .refused(),
        Kind::unparsed("a header of 16 bytes", Unparsed::Ipv4, MAIL, of_first_byte(0x44)).refused(),
        Kind::unparsed("a header of no bytes", Unparsed::Ipv4, MAIL, of_first_byte(0x40)).refused(),
        Kind::unparsed(
            "a header of 60 bytes in a packet of 40",
            Unparsed::Ipv4,
            MAIL,
            of_first_byte(0x4f),
        )
        .refused(),
        Kind::unparsed("a packet shorter than its header", Unparsed::Ipv4, MAIL, of_length(19)).refused(),
        Kind::unparsed("a packet of its header alone", Unparsed::Tcp, MAIL, of_length(20)),
        Kind::unparsed(
            "a packet that ends within TCP's ports",
            Unparsed::Tcp,
            MAIL,
            of_length(23),
        ),
        Kind::unparsed("first fragment without TCP's ports", Unparsed::Tcp, MAIL, |source| {
            ip(source, IpNumber::TCP, &tcp(25)[..3]).fragment(0, true)
        }),
        // Of packets beyond 64 KiB (BIG TCP) the kernel knows the length from elsewhere; this one it refuses.
        Kind::covered("a packet of length 0", MAIL, of_length(0)).refused(),
    ]);
    all
}

pub(super) fn ipv6() -> Vec<Kind> {
    let cut = |len| move |source| syn(source, 25).cut(len);
    let of_length = |len: u16| move |source| syn(source, 25).set(4, &len.to_be_bytes());
    let nine = || vec![destination_options(1); 9];
    let header = Unparsed::ExtensionHeader;
    let mut all = of_both();
    all.extend([
        Kind::unparsed("no IP header", Unparsed::Ipv6, MAIL, cut(0)).refused(),
        Kind::unparsed("cut within the IP header", Unparsed::Ipv6, MAIL, cut(39)).refused(),
        Kind::unparsed(
            "cut within TCP's ports, though longer by its IP header",
            Unparsed::Tcp,
            MAIL,
            cut(43),
        )
        .refused(),
        Kind::unparsed("IP version 4 by its first byte", Unparsed::Ipv6, MAIL, |source| {
            syn(source, 25).set(0, &[0x45])
        })
        .refused(),
        Kind::unparsed(
            "a packet that ends within TCP's ports",
            Unparsed::Tcp,
            MAIL,
            of_length(3),
        ),
        // The kernel takes it for a packet of its header alone.
        Kind::covered("a packet of length 0", MAIL, of_length(0)).otherwise_in_nftables(),
        Kind::unparsed("hop-by-hop options longer than the packet", header, MAIL, |source| {
            ip_behind(source, &[hop_by_hop()], IpNumber::TCP, &tcp(25)).set(41, &[200])
        })
        .refused(),
        Kind::unparsed("destination options longer than the packet", header, MAIL, |source| {
            ip_behind(source, &[destination_options(1)], IpNumber::TCP, &tcp(25)).set(41, &[200])
        }),
        Kind::unparsed("a routing header longer than the packet", header, MAIL, |source| {
            ip_behind(source, &[routing()], IpNumber::TCP, &tcp(25)).set(41, &[200])
        }),
        Kind::unparsed("an extension header of 3 bytes", header, MAIL, |source| {
            ip(source, IpNumber(60), &[6, 0, 0])
        }),
        Kind::unparsed(
            "a fragment header that the packet ends within",
            header,
            MAIL,
            |source| ip_behind(source, &[fragment(0, true)], IpNumber::TCP, &tcp(25)).set(4, &7u16.to_be_bytes()),
        ),
        Kind::unparsed(
            "cut within destination options, though longer by its IP header",
            header,
            MAIL,
            |source| ip_behind(source, &[destination_options(2)], IpNumber::TCP, &tcp(25)).cut(43),
        )
        .refused(),
        Kind::unparsed("first fragment without TCP's ports", Unparsed::Tcp, MAIL, |source| {
            ip_behind(source, &[fragment(0, true)], IpNumber::TCP, &tcp(25)[..3])
        }),
        // The kernel follows any number of them.
        Kind::unparsed(
            "SYN behind nine headers",
            Unparsed::ExtensionHeaders,
            MAIL,
            move |source| ip_behind(source, &nine(), IpNumber::TCP, &tcp(25)),
        )
        .otherwise_in_nftables(),
        Kind::unparsed(
            "ICMPv6 behind nine headers",
            Unparsed::ExtensionHeaders,
            MAIL,
            move |source| ip_behind(source, &nine(), IpNumber::IPV6_ICMP, &[128, 0, 0, 0]),
        ),
    ]);
    all
}
