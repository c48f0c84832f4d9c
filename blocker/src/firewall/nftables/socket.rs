//! The netlink socket to the kernel's netfilter, and the answers that come out of it.

use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::errno::Errno;
use nix::libc::NLMSG_ERROR;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, sendmsg, setsockopt,
    socket, sockopt,
};

/// Room for what is sent: a transaction is one datagram and must fit as a whole.
const SEND_BUFFER: usize = 256 << 20;

/// Room for the answers: the kernel queues all errors of a transaction before the first can be read.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Length of the header that every netlink message starts with.
const HEADER: usize = 16;

/// One answer of the kernel.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The message with this number was carried out.
    Done(u32),
    /// The message with this number was refused.
    Refused(u32, Errno),
    /// What was asked for: a whole netlink message.
    Data(Vec<u8>),
}

/// All that the kernel answered to what was sent.
#[derive(Debug, Default)]
pub struct Answers {
    /// In the order in which they came.
    pub all: Vec<Answer>,
    /// There were more, for which there was no room.
    pub lost: bool,
}

/// A netlink socket to netfilter, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Opens it.
    pub fn open() -> nix::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            flags,
            SockProtocol::NetlinkNetFilter,
        )?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        // Without the capability over the machine, as in a container, the ordinary limits apply: then a transaction
        // that is too long is refused and sent in halves.
        setsockopt(&fd, sockopt::SndBufForce, &SEND_BUFFER)
            .or_else(|_| setsockopt(&fd, sockopt::SndBuf, &SEND_BUFFER))?;
        setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE_BUFFER)
            .or_else(|_| setsockopt(&fd, sockopt::RcvBuf, &RECEIVE_BUFFER))?;
        Ok(Self(fd))
    }

    /// Sends one datagram and takes all the kernel's answers to it.
    ///
    /// The kernel does what a datagram says before the call that sends it returns, and the answers are there by then.
    /// So nothing is waited for: answers are read until there are none.
    pub fn exchange<'a>(&self, pages: impl IntoIterator<Item = &'a [u8]>) -> nix::Result<Answers> {
        // What an exchange that broke off may have left.
        self.receive()?;
        let pages = pages.into_iter().map(IoSlice::new).collect::<Vec<_>>();
        let kernel = NetlinkAddr::new(0, 0);
        uninterrupted(|| sendmsg(self.0.as_raw_fd(), &pages, &[], MsgFlags::empty(), Some(&kernel)))?;
        self.receive()
    }

    fn receive(&self) -> nix::Result<Answers> {
        let mut answers = Answers::default();
        let mut buffer = vec![0; 64 << 10];
        loop {
            match uninterrupted(|| recvfrom::<NetlinkAddr>(self.0.as_raw_fd(), &mut buffer)) {
                Ok((length, Some(from))) if from.pid() == 0 => {
                    split(buffer.get(..length).unwrap_or(&buffer), &mut answers.all);
                }
                // From another process.
                Ok(_) => {}
                Err(Errno::EAGAIN) => return Ok(answers),
                Err(Errno::ENOBUFS) => answers.lost = true,
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// Repeats a call for as long as signals interrupt it.
fn uninterrupted<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// Splits a datagram into the messages in it.
fn split(mut datagram: &[u8], answers: &mut Vec<Answer>) {
    while let Some((length, kind, seq)) = header(datagram) {
        let Some(message) = datagram.get(..length).filter(|_| length >= HEADER) else {
            return;
        };
        if kind == NLMSG_ERROR as u16 {
            let errno = i32::from_ne_bytes(field(message, HEADER).unwrap_or_default());
            answers.push(match errno {
                0 => Answer::Done(seq),
                errno => Answer::Refused(seq, Errno::from_raw(-errno)),
            });
        } else {
            answers.push(Answer::Data(message.to_vec()));
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

/// Length, kind and number of the message that starts here.
fn header(datagram: &[u8]) -> Option<(usize, u16, u32)> {
    let length = u32::from_ne_bytes(field(datagram, 0)?);
    let kind = u16::from_ne_bytes(field(datagram, 4)?);
    let seq = u32::from_ne_bytes(field(datagram, 8)?);
    Some((usize::try_from(length).ok()?, kind, seq))
}

fn field<const N: usize>(message: &[u8], at: usize) -> Option<[u8; N]> {
    message.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, seq: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(seq.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes
    }

    fn answers(datagram: &[u8]) -> Vec<Answer> {
        let mut answers = Vec::new();
        split(datagram, &mut answers);
        answers
    }

    #[test]
    fn a_datagram_may_hold_several_answers() {
        let data = message(0x0a12, 7, b"\x01\0\0\0payload");
        let mut datagram = message(NLMSG_ERROR as u16, 5, &0i32.to_ne_bytes());
        datagram.extend(message(NLMSG_ERROR as u16, 6, &(-2i32).to_ne_bytes()));
        datagram.extend(&data);
        datagram.push(0);
        assert_eq!(
            answers(&datagram),
            [Answer::Done(5), Answer::Refused(6, Errno::ENOENT), Answer::Data(data)]
        );
    }

    #[test]
    fn broken_datagrams_end_the_reading() {
        let whole = message(NLMSG_ERROR as u16, 5, &0i32.to_ne_bytes());
        assert_eq!(answers(&whole[..whole.len() - 1]), []);
        for length in [0u32, 15, u32::MAX] {
            let mut broken = whole.clone();
            broken[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(answers(&broken), []);
        }
    }
}
