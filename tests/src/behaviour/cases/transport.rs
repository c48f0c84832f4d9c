//! Kinds of packets that both IP versions know: TCP, UDP, VLAN tags, and what is neither.

use etherparse::IpNumber;

use super::kind::Kind;
use super::standing::{DNS, MAIL};
use crate::behaviour::frames::{QINQ, VLAN, ip, segment, syn, tcp, udp};

pub(super) fn kinds() -> Vec<Kind> {
    let [mut all, others, tagged] = [tcp_and_udp(), not_covered(), behind_tags()];
    all.extend(others);
    all.extend(tagged);
    all
}

fn tcp_and_udp() -> Vec<Kind> {
    vec![
        Kind::covered("SYN", MAIL, |source| syn(source, 25)),
        Kind::covered("SYN to the scope's other port", MAIL, |source| syn(source, 465)),
        Kind::covered("data on an old connection", MAIL, |source| {
            let data = segment(25, |header| header.ack = true, b"EHLO spam.example\r\n");
            ip(source, IpNumber::TCP, &data)
        }),
        Kind::covered("RST", MAIL, |source| {
            ip(source, IpNumber::TCP, &segment(25, |header| header.rst = true, &[]))
        }),
        Kind::covered("FIN", MAIL, |source| {
            ip(source, IpNumber::TCP, &segment(25, |header| header.fin = true, &[]))
        }),
        Kind::covered("SYN padded to Ethernet's 60 bytes", MAIL, |source| {
            syn(source, 25).padded()
        }),
        Kind::covered("a TCP header cut behind its ports", MAIL, |source| {
            ip(source, IpNumber::TCP, &tcp(25)[..4])
        }),
        Kind::covered("UDP to a UDP scope", DNS, |source| {
            ip(source, IpNumber::UDP, &udp(53, b"?"))
        }),
    ]
}

fn not_covered() -> Vec<Kind> {
    let of = |number: u8| move |source| ip(source, IpNumber(number), &tcp(25));
    vec![
        Kind::free("SYN to another jail's port", MAIL, |source| syn(source, 587)),
        Kind::free("SYN to ssh, which is in no scope", MAIL, |source| syn(source, 22)),
        Kind::free("UDP to the number of a TCP scope's port", MAIL, |source| {
            ip(source, IpNumber::UDP, &udp(25, &[]))
        }),
        Kind::free("TCP to the number of a UDP scope's port", DNS, |source| syn(source, 53)),
        Kind::free("SYN from the scope's port to another", MAIL, |source| {
            syn(source, 40_001).set(source_port_at(source), &25u16.to_be_bytes())
        }),
        Kind::free("ESP", MAIL, of(50)),
        Kind::free("GRE", MAIL, of(47)),
        Kind::free("SCTP", MAIL, of(132)),
        Kind::free("UDP-Lite", MAIL, of(136)),
    ]
}

const fn source_port_at(source: std::net::IpAddr) -> usize {
    if source.is_ipv4() { 20 } else { 40 }
}

fn behind_tags() -> Vec<Kind> {
    vec![
        Kind::covered("SYN behind a VLAN tag", MAIL, |source| syn(source, 25).tagged(VLAN)),
        Kind::covered("SYN behind a provider's tag", MAIL, |source| {
            syn(source, 25).tagged(QINQ)
        }),
        Kind::covered("SYN behind two VLAN tags (QinQ)", MAIL, |source| {
            syn(source, 25).tagged(VLAN).tagged(QINQ)
        }),
        Kind::covered("SYN behind two tags of the old kind", MAIL, |source| {
            syn(source, 25).tagged(VLAN).tagged(VLAN)
        }),
        Kind::covered("UDP behind a VLAN tag", DNS, |source| {
            ip(source, IpNumber::UDP, &udp(53, &[])).tagged(VLAN)
        }),
        Kind::covered("UDP behind two VLAN tags (QinQ)", DNS, |source| {
            ip(source, IpNumber::UDP, &udp(53, &[])).tagged(VLAN).tagged(QINQ)
        }),
        Kind::free("SYN to ssh behind two VLAN tags (QinQ)", MAIL, |source| {
            syn(source, 22).tagged(VLAN).tagged(QINQ)
        }),
        // The kernel gives such frames to packet sockets alone.
        Kind::covered("SYN in a VLAN that the host is not in", MAIL, |source| {
            syn(source, 25).tagged_with(VLAN, 42)
        })
        .refused(),
    ]
}
