//! Kinds of IPv6 packets: extension headers, fragments, and what else comes with IPv6.

use etherparse::IpNumber;

use super::kind::Kind;
use super::standing::{DNS, MAIL};
use crate::behaviour::frames::{
    Extension, QINQ, VLAN, authentication, destination_options, fragment, hop_by_hop, ip, ip_behind, routing, tcp, udp,
};

pub(super) fn kinds() -> Vec<Kind> {
    let mut all = extension_headers();
    all.extend(fragments());
    all.extend([
        Kind::free("ICMPv6 echo request", MAIL, |source| {
            ip(source, IpNumber::IPV6_ICMP, &[128, 0, 0, 0, 0, 25, 0, 25])
        }),
        Kind::free("nothing behind the header", MAIL, |source| {
            ip(source, IpNumber(59), &[])
        }),
        Kind::free("IPv6 in IPv6", MAIL, |source| {
            let inner = ip(source, IpNumber::TCP, &tcp(25));
            ip(source, IpNumber::IPV6, &inner.bytes()[14..])
        }),
    ]);
    all
}

/// A kind with TCP to port 25, or UDP to port 53, behind these headers.
fn behind(name: &str, protocol: IpNumber, headers: Vec<Extension>) -> Kind {
    let (jail, payload) = match protocol {
        IpNumber::UDP => (DNS, udp(53, &[])),
        _ => (MAIL, tcp(25)),
    };
    Kind::covered(name, jail, move |source| {
        ip_behind(source, &headers, protocol, &payload)
    })
}

fn extension_headers() -> Vec<Kind> {
    let several = || {
        vec![
            hop_by_hop(),
            destination_options(1),
            routing(),
            fragment(0, true),
            authentication(),
            destination_options(2),
        ]
    };
    let eight = || {
        let mut headers = vec![hop_by_hop()];
        headers.extend(vec![destination_options(1); 7]);
        headers
    };
    let tcp_behind = |name, headers| behind(name, IpNumber::TCP, headers);
    vec![
        tcp_behind("SYN behind hop-by-hop options", vec![hop_by_hop()]),
        tcp_behind("SYN behind a routing header", vec![routing()]),
        tcp_behind("SYN behind destination options", vec![destination_options(1)]),
        tcp_behind(
            "SYN behind 256 bytes of destination options",
            vec![destination_options(32)],
        ),
        // nf_tables looks no further than AH. Nor does the kernel's stack, which refuses it unless IPsec was agreed on with the host.
        tcp_behind("SYN behind AH", vec![authentication()]).otherwise_in_nftables(),
        tcp_behind("SYN behind six headers of all kinds", several()).otherwise_in_nftables(),
        tcp_behind("SYN behind eight headers", eight()),
        behind("UDP behind hop-by-hop options", IpNumber::UDP, vec![hop_by_hop()]),
        behind("UDP behind six headers of all kinds", IpNumber::UDP, several()).otherwise_in_nftables(),
        Kind::covered("SYN behind a VLAN tag and destination options", MAIL, |source| {
            ip_behind(source, &[destination_options(1)], IpNumber::TCP, &tcp(25)).tagged(VLAN)
        }),
        Kind::covered("SYN behind two VLAN tags and eight headers", MAIL, move |source| {
            let frame = ip_behind(source, &eight(), IpNumber::TCP, &tcp(25));
            frame.tagged(VLAN).tagged(QINQ)
        }),
        Kind::free("SYN to ssh behind six headers of all kinds", MAIL, move |source| {
            ip_behind(source, &several(), IpNumber::TCP, &tcp(22))
        }),
        Kind::free("ICMPv6 behind hop-by-hop options", MAIL, |source| {
            ip_behind(
                source,
                &[hop_by_hop()],
                IpNumber::IPV6_ICMP,
                &[131, 0, 0, 0, 0, 25, 0, 25],
            )
        }),
        Kind::free("ESP behind destination options", MAIL, |source| {
            ip_behind(source, &[destination_options(1)], IpNumber(50), &tcp(25))
        }),
    ]
}

fn fragments() -> Vec<Kind> {
    let fragmented = |protocol: IpNumber, offset, more| {
        move |source| ip_behind(source, &[fragment(offset, more)], protocol, &tcp(25))
    };
    vec![
        behind("first fragment of TCP", IpNumber::TCP, vec![fragment(0, true)]),
        behind(
            "the only fragment of TCP (atomic)",
            IpNumber::TCP,
            vec![fragment(0, false)],
        ),
        behind("first fragment of UDP", IpNumber::UDP, vec![fragment(0, true)]),
        behind(
            "first fragment behind destination options",
            IpNumber::TCP,
            vec![destination_options(1), fragment(0, true)],
        ),
        Kind::free("first fragment of TCP to ssh", MAIL, |source| {
            ip_behind(source, &[fragment(0, true)], IpNumber::TCP, &tcp(22))
        }),
        Kind::covered("later fragment of TCP", MAIL, fragmented(IpNumber::TCP, 185, true)),
        Kind::covered("last fragment of TCP", MAIL, fragmented(IpNumber::TCP, 185, false)),
        Kind::covered("later fragment of TCP behind a VLAN tag", MAIL, move |source| {
            fragmented(IpNumber::TCP, 185, true)(source).tagged(VLAN)
        }),
        Kind::covered("later fragment of TCP behind a routing header", MAIL, |source| {
            ip_behind(source, &[routing(), fragment(185, true)], IpNumber::TCP, &tcp(25))
        }),
        Kind::covered(
            "later fragment of UDP of a UDP scope",
            DNS,
            fragmented(IpNumber::UDP, 1, false),
        ),
        Kind::free(
            "later fragment of UDP of a TCP scope",
            MAIL,
            fragmented(IpNumber::UDP, 185, true),
        ),
        Kind::free(
            "later fragment of TCP of a UDP scope",
            DNS,
            fragmented(IpNumber::TCP, 185, true),
        ),
        Kind::free(
            "later fragment of ICMPv6",
            MAIL,
            fragmented(IpNumber::IPV6_ICMP, 185, true),
        ),
        // Whose ports lie behind the options, only the first fragment says.
        Kind::free(
            "later fragment that names options as its protocol",
            MAIL,
            fragmented(IpNumber(60), 185, true),
        ),
    ]
}
