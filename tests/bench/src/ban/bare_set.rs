//! A set like the one that holds IPv4 bans, and nothing but the netlink messages that fill it, written down beforehand.
//!
//! Messages as in `linux/netfilter/nf_tables.h`, with as many elements in each and as many in a transaction as blocker sends at a time.
//! What blocker does beyond that is its own, and its table has more sets, which the kernel goes through for each message.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context as _, Result, ensure};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, setsockopt, socket,
    sockopt,
};

const NFNL_SUBSYS_NFTABLES: u16 = 10;
const NFNL_MSG_BATCH_BEGIN: u16 = 0x10;
const NFNL_MSG_BATCH_END: u16 = 0x11;
const NFT_MSG_NEWSETELEM: u16 = 12;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const NFPROTO_INET: u8 = 1;
const NLA_F_NESTED: u16 = 1 << 15;
const HOUR: u64 = 3_600_000;

/// Elements in one message, and in one transaction.
const TOGETHER: usize = 400;
const BANS: usize = 30_000;
const SEND_BUFFER: usize = 256 << 20;

/// Transactions that fill a set.
pub(super) struct Transactions(Vec<Vec<u8>>);

impl Transactions {
    /// For the set of this name in the table `inet filter`.
    pub(super) fn new(set: &str, addresses: impl Iterator<Item = Ipv4Addr>) -> Self {
        let addresses: Vec<_> = addresses.collect();
        let of_some = |addresses: &[Ipv4Addr]| {
            let mut bytes = message(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES, &[]);
            for (n, addresses) in addresses.chunks(TOGETHER).enumerate() {
                let ack = if n == 0 { NLM_F_ACK } else { 0 };
                let flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL | ack;
                let kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM;
                bytes.extend(message(kind, flags, NFPROTO_INET, 0, &elements(set, addresses)));
            }
            bytes.extend(message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, NFNL_SUBSYS_NFTABLES, &[]));
            bytes
        };
        Self(addresses.chunks(BANS).map(of_some).collect())
    }

    /// Has the kernel carry them out, in the calling thread's network namespace.
    pub(super) fn carry_out(&self) -> Result<()> {
        let socket = open().context("cannot open a netlink socket")?;
        let mut answer = [0; 4096];
        for transaction in &self.0 {
            sendto(
                socket.as_raw_fd(),
                transaction,
                &NetlinkAddr::new(0, 0),
                MsgFlags::empty(),
            )?;
            let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
            let code = answer
                .get(16..20)
                .filter(|_| length >= 20)
                .and_then(|bytes| bytes.try_into().ok());
            let code = i32::from_ne_bytes(code.context("the kernel's answer is too short")?);
            ensure!(code == 0, "the kernel refused elements: {}", Errno::from_raw(-code));
        }
        Ok(())
    }
}

fn open() -> nix::Result<OwnedFd> {
    let protocol = SockProtocol::NetlinkNetFilter;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    setsockopt(&socket, sockopt::SndBufForce, &SEND_BUFFER)?;
    Ok(socket)
}

/// A netlink message with netfilter's header.
fn message(kind: u16, flags: u16, family: u8, resource: u16, body: &[u8]) -> Vec<u8> {
    let length = (20 + body.len()) as u32;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(body);
    bytes
}

fn elements(set: &str, addresses: &[Ipv4Addr]) -> Vec<u8> {
    let text = |text: &str| [text.as_bytes(), &[0]].concat();
    let timeout = attribute(4, &HOUR.to_be_bytes());
    let element = |address: &Ipv4Addr| {
        let key = attribute(1 | NLA_F_NESTED, &attribute(1, &address.octets()));
        attribute(1 | NLA_F_NESTED, &[key.as_slice(), &timeout].concat())
    };
    let elements: Vec<u8> = addresses.iter().flat_map(element).collect();
    [
        attribute(1, &text("filter")),
        attribute(2, &text(set)),
        attribute(3 | NLA_F_NESTED, &elements),
    ]
    .concat()
}

/// An attribute, filled up to whole words.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (4 + value.len()) as u16;
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_filled_up_to_whole_words() {
        assert_eq!(attribute(1, b"ab\0"), [7, 0, 1, 0, b'a', b'b', 0, 0]);
        let one = Transactions::new("s", [Ipv4Addr::LOCALHOST].into_iter());
        assert_eq!(one.0.len(), 1);
        assert_eq!(one.0[0].len() % 4, 0);
    }

    #[test]
    fn bans_are_sent_in_as_many_transactions_as_blocker_s() {
        let hosts = (0..BANS as u32 + 1).map(Ipv4Addr::from_bits);
        assert_eq!(Transactions::new("s", hosts).0.len(), 2);
    }
}
