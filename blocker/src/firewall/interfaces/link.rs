//! The list of interfaces, as the kernel gives it.

use std::io;

use netlink_sys::protocols::NETLINK_ROUTE;

use crate::netlink::{Requests, attribute, attributes, number, text};

/// `RTM_GETLINK` in `linux/rtnetlink.h`.
const GET: u16 = 18;
/// Length of `struct ifinfomsg`, which each message begins with.
const FIXED: usize = 16;
/// `IFF_UP` in `linux/if.h`.
const UP: u32 = 1;
/// `ARPHRD_ETHER` and `ARPHRD_LOOPBACK` in `linux/if_arp.h`: loopback has Ethernet headers too.
const WITH_ETHERNET_HEADERS: [u16; 2] = [1, 772];

/// Attributes, as numbered in `linux/if_link.h`.
mod number_of {
    pub(super) const NAME: u16 = 3;
    pub(super) const MTU: u16 = 4;
    pub(super) const LINK_INFO: u16 = 18;
    pub(super) const LINK_INFO_KIND: u16 = 1;
    pub(super) const EXTENDED_MASK: u16 = 29;
    pub(super) const XDP: u16 = 43;
    /// `IFLA_XDP_PROG_ID`, and those for the driver and for generic mode.
    pub(super) const XDP_PROGRAMS: [u16; 3] = [4, 5, 6];
}

/// `RTEXT_FILTER_SKIP_STATS`: counters are half of each message, and nobody reads them.
const WITHOUT_STATISTICS: u32 = 1 << 3;

/// A network interface at the moment it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// What it is known by: the one thing that stays while it exists.
    pub index: u32,
    /// Its name now.
    pub name: String,
    /// What the kernel calls its kind (`veth`, `vlan`, `bridge`); `None` for a card.
    pub kind: Option<String>,
    /// Whether its packets begin with an Ethernet header. Those of tunnels do not.
    pub has_ethernet_headers: bool,
    /// Whether it was set up, with `ip link set up` or by the network's configuration.
    pub is_up: bool,
    /// The longest packet that it takes, in bytes.
    pub mtu: u32,
    /// The kernel's number of the XDP program that is attached to it.
    pub program: Option<u32>,
}

/// The interfaces in the network namespace of the calling thread, by ascending index.
///
/// # Errors
///
/// When the kernel does not give the list.
pub fn list() -> io::Result<Vec<Interface>> {
    let mut request = vec![0; FIXED];
    request.extend(attribute(number_of::EXTENDED_MASK, &WITHOUT_STATISTICS.to_ne_bytes()));
    let messages = Requests::open(NETLINK_ROUTE)?.list(GET, &request)?;
    let mut interfaces: Vec<Interface> = messages.iter().filter_map(|message| parse(message)).collect();
    interfaces.sort_by_key(|interface| interface.index);
    Ok(interfaces)
}

/// `None` for what is no interface.
fn parse(message: &[u8]) -> Option<Interface> {
    let hardware = u16::from_ne_bytes(*message.get(2..)?.first_chunk()?);
    let index = number(message.get(4..)?)?;
    let flags = number(message.get(8..)?)?;
    let mut interface = Interface {
        index,
        name: String::new(),
        kind: None,
        has_ethernet_headers: WITH_ETHERNET_HEADERS.contains(&hardware),
        is_up: flags & UP != 0,
        mtu: 0,
        program: None,
    };
    for attribute in attributes(message.get(FIXED..)?) {
        let value = attribute.value();
        match attribute.kind() {
            number_of::NAME => interface.name = text(value),
            number_of::MTU => interface.mtu = number(value)?,
            number_of::LINK_INFO => {
                interface.kind = attributes(value)
                    .find(|inner| inner.kind() == number_of::LINK_INFO_KIND)
                    .map(|kind| text(kind.value()));
            }
            number_of::XDP => {
                interface.program = attributes(value)
                    .find(|inner| number_of::XDP_PROGRAMS.contains(&inner.kind()))
                    .and_then(|program| number(program.value()));
            }
            _ => {}
        }
    }
    (!interface.name.is_empty()).then_some(interface)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_loopback_with_ethernet_headers() {
        let interfaces = list().unwrap();
        let loopback = interfaces.iter().find(|interface| interface.name == "lo").unwrap();
        assert!(loopback.has_ethernet_headers);
        assert!(loopback.mtu >= 1500, "{loopback:?}");
        assert_eq!(loopback.kind, None);
    }

    #[test]
    fn an_interface_is_read_with_its_kind_and_program() {
        let mut message = vec![0, 0, 1, 0];
        message.extend(7u32.to_ne_bytes());
        message.extend((UP | 0x1000).to_ne_bytes());
        message.extend([0; 4]);
        message.extend(attribute(number_of::NAME, b"eth0\0"));
        message.extend(attribute(number_of::MTU, &9000u32.to_ne_bytes()));
        message.extend(attribute(
            number_of::LINK_INFO,
            &attribute(number_of::LINK_INFO_KIND, b"veth\0"),
        ));
        let mut xdp = attribute(2, &[1]);
        xdp.extend(attribute(4, &42u32.to_ne_bytes()));
        message.extend(attribute(number_of::XDP, &xdp));
        let expected = Interface {
            index: 7,
            name: "eth0".to_owned(),
            kind: Some("veth".to_owned()),
            has_ethernet_headers: true,
            is_up: true,
            mtu: 9000,
            program: Some(42),
        };
        assert_eq!(parse(&message), Some(expected));
        assert_eq!(parse(&message[..10]), None, "cut off");
    }
}
