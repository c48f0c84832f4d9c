//! Packets that no socket would send: fragments, and IPv6 with extension headers.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result, ensure};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sendto, socket};

use crate::namespace::{dropped, eventually};

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// What a packet carries.
#[derive(Debug)]
pub enum Payload {
    /// A SYN.
    Tcp { port: u16 },
    /// A SYN behind an extension header that may be anywhere.
    ExtendedTcp { port: u16 },
    /// The first fragment of a SYN.
    FirstTcp { port: u16 },
    /// A SYN that says it is a fragment, the first and the last (RFC 6946).
    AtomicTcp { port: u16 },
    /// Another fragment, whose first bytes would be a SYN to port 25.
    LaterTcp,
    /// The same of UDP.
    LaterUdp,
    /// The same of a protocol without ports.
    LaterIcmp,
}

impl Payload {
    fn protocol(&self) -> u8 {
        match self {
            Self::Tcp { .. }
            | Self::ExtendedTcp { .. }
            | Self::FirstTcp { .. }
            | Self::AtomicTcp { .. }
            | Self::LaterTcp => TCP,
            Self::LaterUdp => UDP,
            Self::LaterIcmp => ICMP,
        }
    }

    /// In units of eight bytes, and whether more fragments follow.
    fn fragment(&self) -> Option<(u16, bool)> {
        match self {
            Self::Tcp { .. } | Self::ExtendedTcp { .. } => None,
            Self::FirstTcp { .. } => Some((0, true)),
            Self::AtomicTcp { .. } => Some((0, false)),
            Self::LaterTcp | Self::LaterUdp | Self::LaterIcmp => Some((4, true)),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let port = match self {
            Self::Tcp { port } | Self::ExtendedTcp { port } | Self::FirstTcp { port } | Self::AtomicTcp { port } => {
                *port
            }
            Self::LaterTcp | Self::LaterUdp | Self::LaterIcmp => 25,
        };
        // Without a checksum: what passes is delivered, and nobody answers.
        let mut bytes = vec![0; 24];
        bytes[..2].copy_from_slice(&40_000u16.to_be_bytes());
        bytes[2..4].copy_from_slice(&port.to_be_bytes());
        bytes[12..14].copy_from_slice(&[0x60, 0x02]);
        bytes
    }
}

/// Whether such a packet from this address to the address itself gets through the firewall, to where the kernel puts
/// fragments together or hands packets to their protocols.
pub fn passes(address: &str, payload: &Payload) -> Result<bool> {
    let address: IpAddr = address.parse()?;
    let (delivered_before, dropped_before) = (delivered(address)?, dropped()?);
    send(address, payload)?;
    let mut passed = false;
    eventually("the packet's end", || {
        passed = delivered(address)? > delivered_before;
        Ok(passed || dropped()? > dropped_before)
    })?;
    ensure!(
        !passed || dropped()? == dropped_before,
        "a packet that is delivered is not dropped"
    );
    Ok(passed)
}

fn send(address: IpAddr, payload: &Payload) -> Result<()> {
    let (family, packet) = match address {
        IpAddr::V4(address) => (AddressFamily::Inet, ipv4(address.octets(), payload)),
        IpAddr::V6(address) => (AddressFamily::Inet6, ipv6(address.octets(), payload)),
    };
    let fd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Raw)?;
    let to = SockaddrStorage::from(SocketAddr::new(address, 0));
    sendto(fd.as_raw_fd(), &packet, &to, MsgFlags::empty())?;
    Ok(())
}

/// The kernel fills in length and checksum.
fn ipv4(address: [u8; 4], payload: &Payload) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 7, 0, 0, 64, payload.protocol(), 0, 0];
    if let Some((offset, more)) = payload.fragment() {
        packet[6..8].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
    }
    packet.extend(address);
    packet.extend(address);
    packet.extend(payload.bytes());
    packet
}

fn ipv6(address: [u8; 16], payload: &Payload) -> Vec<u8> {
    let mut extension = Vec::new();
    let mut next = payload.protocol();
    if let Some((offset, more)) = payload.fragment() {
        extension.extend([next, 0]);
        extension.extend((offset << 3 | u16::from(more)).to_be_bytes());
        extension.extend([0, 0, 0, 7]);
        next = FRAGMENT;
    }
    if matches!(payload, Payload::ExtendedTcp { .. }) {
        // Eight bytes of which the last four are padding, PadN.
        extension.extend([next, 0, 1, 4, 0, 0, 0, 0]);
        next = DESTINATION_OPTIONS;
    }
    let bytes = payload.bytes();
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(
        u16::try_from(extension.len() + bytes.len())
            .unwrap_or_default()
            .to_be_bytes(),
    );
    packet.extend([next, 64]);
    packet.extend(address);
    packet.extend(address);
    packet.extend(extension);
    packet.extend(bytes);
    packet
}

/// Packets that have got behind the firewall so far.
fn delivered(address: IpAddr) -> Result<u64> {
    // Of this thread: the process as a whole is in another namespace.
    const FOLDER: &str = "/proc/thread-self/net";
    match address {
        IpAddr::V4(_) => {
            let text = std::fs::read_to_string(format!("{FOLDER}/snmp"))?;
            let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
            let (names, values) = (lines.next().context("names")?, lines.next().context("values")?);
            let mut sum = 0;
            for (name, value) in names.split(' ').zip(values.split(' ')) {
                if matches!(name, "InDelivers" | "ReasmReqds") {
                    sum += value.parse::<u64>()?;
                }
            }
            Ok(sum)
        }
        IpAddr::V6(_) => {
            let text = std::fs::read_to_string(format!("{FOLDER}/snmp6"))?;
            let mut sum = 0;
            for line in text.lines() {
                if let Some(("Ip6InDelivers" | "Ip6ReasmReqds", value)) = line.split_once(char::is_whitespace) {
                    sum += value.trim().parse::<u64>()?;
                }
            }
            Ok(sum)
        }
    }
}
