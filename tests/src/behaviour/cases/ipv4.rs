//! Kinds of IPv4 packets: options, fragments, and what else comes with IPv4.

use std::net::IpAddr;

use etherparse::IpNumber;

use super::kind::Kind;
use super::standing::{DNS, MAIL};
use crate::behaviour::frames::{VLAN, arp, ip, syn, tcp, udp};

/// What a later fragment may look like: bytes that would be a port of every scope, were they read.
const MIDDLE: [u8; 16] = [0, 25, 0, 25, 0, 53, 0, 53, 0, 25, 0, 25, 0, 53, 0, 53];

pub(super) fn kinds() -> Vec<Kind> {
    let mut all = vec![
        Kind::covered("SYN behind 4 bytes of options", MAIL, |source| {
            syn(source, 25).with_options(&[1; 4])
        }),
        Kind::covered("SYN behind 40 bytes of options", MAIL, |source| {
            syn(source, 25).with_options(&[1; 40])
        }),
        Kind::covered("SYN behind options and a VLAN tag", MAIL, |source| {
            syn(source, 25).with_options(&[1; 40]).tagged(VLAN)
        }),
        Kind::covered("UDP behind options", DNS, |source| {
            ip(source, IpNumber::UDP, &udp(53, &[])).with_options(&[1; 8])
        }),
        Kind::free("SYN to ssh behind options", MAIL, |source| {
            syn(source, 22).with_options(&[1; 8])
        }),
        Kind::free("ICMP echo request", MAIL, |source| {
            ip(source, IpNumber::ICMP, &[8, 0, 0, 0, 0, 25, 0, 25])
        }),
        Kind::free("AH, which is not looked behind in IPv4", MAIL, |source| {
            let authentication = [&[6, 4, 0, 0][..], &[0; 20], &tcp(25)].concat();
            ip(source, IpNumber::AUTHENTICATION_HEADER, &authentication)
        }),
        Kind::free("IPv4 in IPv4", MAIL, |source| {
            let inner = syn(source, 25);
            ip(source, IpNumber::IPV4, &inner.bytes()[14..])
        }),
        Kind::free("ARP", MAIL, |source| match source {
            IpAddr::V4(source) => arp(source),
            IpAddr::V6(_) => unreachable!("IPv6 has no ARP"),
        }),
    ];
    all.extend(fragments());
    all
}

fn fragments() -> Vec<Kind> {
    let later = |protocol: IpNumber, more| move |source| ip(source, protocol, &MIDDLE).fragment(185, more);
    vec![
        Kind::covered("first fragment of TCP", MAIL, |source| {
            syn(source, 25).fragment(0, true)
        }),
        Kind::covered("first fragment of TCP behind options", MAIL, |source| {
            syn(source, 25).with_options(&[1; 12]).fragment(0, true)
        }),
        Kind::covered("first fragment of UDP", DNS, |source| {
            ip(source, IpNumber::UDP, &udp(53, &[0; 16])).fragment(0, true)
        }),
        Kind::free("first fragment of TCP to ssh", MAIL, |source| {
            syn(source, 22).fragment(0, true)
        }),
        Kind::covered("later fragment of TCP", MAIL, later(IpNumber::TCP, true)),
        Kind::covered("last fragment of TCP", MAIL, later(IpNumber::TCP, false)),
        Kind::covered("later fragment of TCP behind a VLAN tag", MAIL, move |source| {
            later(IpNumber::TCP, true)(source).tagged(VLAN)
        }),
        Kind::covered("later fragment of TCP behind options", MAIL, |source| {
            ip(source, IpNumber::TCP, &MIDDLE)
                .with_options(&[1; 4])
                .fragment(9, true)
        }),
        Kind::covered("the second 8 bytes of a TCP segment", MAIL, |source| {
            ip(source, IpNumber::TCP, &tcp(25)[8..]).fragment(1, false)
        }),
        Kind::covered("later fragment of UDP of a UDP scope", DNS, later(IpNumber::UDP, false)),
        Kind::free("later fragment of UDP of a TCP scope", MAIL, later(IpNumber::UDP, true)),
        Kind::free("later fragment of TCP of a UDP scope", DNS, later(IpNumber::TCP, true)),
        Kind::free("later fragment of ICMP", MAIL, later(IpNumber::ICMP, true)),
        Kind::free("later fragment of ESP", MAIL, later(IpNumber(50), false)),
    ]
}
