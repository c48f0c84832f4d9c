//! A wire: two hosts and a cable between them, for frames made by hand.
//!
//! No switch stands between them, which would take VLAN tags off, and no address is given to either: whatever arrives was sent
//! by [`Wire::send`], but for the kernel's own multicast.

use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context as _, Result, ensure};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, SockaddrLike as _, bind, send, socket};

use crate::command::ip_batch;
use crate::namespace::Namespace;
use crate::network::prepare_ipv6;
use crate::registry::Record;
use crate::{command, registry};

/// The receiver's hardware address: frames to another one are not its kernel's to read.
pub const RECEIVER: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The sender's hardware address.
pub const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Two hosts, each with its end of the cable as `eth0`.
#[derive(Debug)]
pub struct Wire {
    socket: OwnedFd,
    // Dropped in this order: the record has to outlive the namespaces it names.
    receiver: Namespace,
    _sender: Namespace,
    _record: Record,
}

impl Wire {
    /// Takes away what killed runs left, makes the hosts and connects them.
    ///
    /// # Errors
    ///
    /// When not root, or when the machine refuses a namespace, the cable or the socket.
    pub fn new() -> Result<Self> {
        ensure!(
            nix::unistd::geteuid().is_root(),
            "network namespaces need root: run this as root or through sudo"
        );
        let record = Record::open(registry::FOLDER.as_ref())?;
        let receiver = Namespace::new(&record, "receiver")?;
        let sender = Namespace::new(&record, "sender")?;
        let (near, far) = (sender.name(), receiver.name());
        command::ip(&format!(
            "-n {near} link add eth0 address {} type veth peer name eth0 address {} netns {far}",
            text(SENDER),
            text(RECEIVER),
        ))?;
        ensure!(receiver.enter(prepare_ipv6)?, "this kernel has no IPv6");
        for host in [&receiver, &sender] {
            ip_batch(host.name(), "link set eth0 up\n")?;
        }
        let socket = sender.enter(open)?.context("cannot open a packet socket")?;
        Ok(Self {
            socket,
            receiver,
            _sender: sender,
            _record: record,
        })
    }

    /// The host that frames arrive at, by its `eth0`.
    #[must_use]
    pub const fn receiver(&self) -> &Namespace {
        &self.receiver
    }

    /// Puts a frame on the wire as it is, from its Ethernet header on.
    ///
    /// # Errors
    ///
    /// When the kernel does not send it: it is shorter than an Ethernet header, or longer than the wire takes.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = send(self.socket.as_raw_fd(), frame, MsgFlags::empty())?;
        ensure!(sent == frame.len(), "{sent} of {} bytes were sent", frame.len());
        Ok(())
    }
}

/// A socket that sends by `eth0` and receives nothing.
fn open() -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
    bind(socket.as_raw_fd(), &eth0()?)?;
    Ok(socket)
}

/// The interface as a packet socket knows it, by its number. Its list of addresses is where it can be had without unsafe code.
fn eth0() -> Result<LinkAddr> {
    let mut all = getifaddrs()?.filter(|interface| interface.interface_name == "eth0");
    let link = all.find_map(|interface| {
        let address = interface.address?;
        (address.family() == Some(AddressFamily::Packet)).then(|| address.as_link_addr().copied())?
    });
    link.context("the interface eth0 has no hardware address")
}

fn text(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}
