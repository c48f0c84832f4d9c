//! Requests to the kernel over netlink, and its answers.
//!
//! The answers are taken apart only as far as blocker reads them, so that whatever a newer kernel adds cannot make one unreadable. What is
//! asked and what an answer means may not enter. nftables' transactions have a socket of their own: of one datagram each, however long.

use std::io;
use std::time::Duration;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NlaBuffer,
    NlasIterator,
};
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};

/// The kernel answers at once; without an answer for this long, none will come.
const PATIENCE: Duration = Duration::from_secs(5);
/// Twice what the kernel puts into one datagram of a listing.
const DATAGRAM: usize = 64 << 10;
/// Length of a netlink message's header.
const HEADER: usize = 16;
/// `NLMSGERR_ATTR_MSG` in `linux/netlink.h`.
const MESSAGE: u16 = 1;

/// The kernel's no to a request.
#[derive(Debug)]
pub struct Refused {
    /// The error's number.
    pub error: io::Error,
    /// What the kernel or the driver says to it, in its own words: the extended acknowledgement.
    pub words: Option<String>,
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self { error, words: None }
    }
}

/// A socket for requests, in the network namespace of the thread that opened it.
pub struct Requests {
    socket: Socket,
    number: u32,
}

/// What came of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// It is all there is.
    Whole,
    /// Something changed meanwhile.
    Torn,
}

impl Requests {
    /// Opens it, to the part of the kernel with this number in `linux/netlink.h`.
    pub fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        let patience = TimeVal::seconds(PATIENCE.as_secs().cast_signed());
        setsockopt(&socket, sockopt::ReceiveTimeout, &patience)?;
        // What these two bring is for the messages only.
        let _ = socket.set_ext_ack(true);
        let _ = socket.set_cap_ack(true);
        Ok(Self { socket, number: 0 })
    }

    /// Asks for a list, and gives the payloads of its messages. A list that changed while it was read is read again.
    pub fn list(&mut self, kind: u16, payload: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        for _ in 0..10 {
            let mut messages = Vec::new();
            if self.each(kind, payload, |message| messages.push(message))? == Listed::Whole {
                return Ok(messages);
            }
        }
        Err(io::Error::other("the list changes faster than it can be read"))
    }

    /// Asks for a list once, and hands over the payload of each of its messages.
    pub fn each(&mut self, kind: u16, payload: &[u8], mut each: impl FnMut(Vec<u8>)) -> io::Result<Listed> {
        let number = self.send(kind, netlink_packet_core::NLM_F_DUMP, payload)?;
        let mut is_torn = false;
        loop {
            for message in split(&self.receive()?) {
                if message.number != number {
                    continue;
                }
                is_torn |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.kind {
                    // What goes wrong within a list is told at its end.
                    NLMSG_DONE => {
                        return match refusal(&message) {
                            Some(refused) => Err(refused.error),
                            None if is_torn => Ok(Listed::Torn),
                            None => Ok(Listed::Whole),
                        };
                    }
                    NLMSG_ERROR => return Err(refusal(&message).map_or_else(unreadable, |refused| refused.error)),
                    _ => each(message.payload),
                }
            }
        }
    }

    /// Has the kernel do something.
    pub fn carry_out(&mut self, kind: u16, payload: &[u8]) -> Result<(), Refused> {
        let number = self.send(kind, NLM_F_ACK, payload)?;
        loop {
            for message in split(&self.receive()?) {
                if message.number == number && message.kind == NLMSG_ERROR {
                    return refusal(&message).map_or(Ok(()), Err);
                }
            }
        }
    }

    fn send(&mut self, kind: u16, flags: u16, payload: &[u8]) -> io::Result<u32> {
        self.number = self.number.wrapping_add(1);
        let length = u32::try_from(HEADER + payload.len()).map_err(io::Error::other)?;
        let mut message = Vec::with_capacity(HEADER + payload.len());
        message.extend(length.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend((NLM_F_REQUEST | flags).to_ne_bytes());
        message.extend(self.number.to_ne_bytes());
        message.extend(0u32.to_ne_bytes());
        message.extend(payload);
        self.socket.send_to(&message, &SocketAddr::new(0, 0), 0)?;
        Ok(self.number)
    }

    /// One datagram of the kernel's.
    fn receive(&self) -> io::Result<Vec<u8>> {
        loop {
            let mut datagram = Vec::with_capacity(DATAGRAM);
            match self.socket.recv_from(&mut datagram, 0) {
                Ok((_, from)) if from.port_number() == 0 => return Ok(datagram),
                // From another process, or a signal came in between.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A message out of a datagram.
struct Message {
    kind: u16,
    flags: u16,
    number: u32,
    payload: Vec<u8>,
}

fn split(mut datagram: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Ok(message) = NetlinkBuffer::new_checked(datagram) {
        messages.push(Message {
            kind: message.message_type(),
            flags: message.flags(),
            number: message.sequence_number(),
            payload: message.payload().to_vec(),
        });
        let length = (message.length() as usize).next_multiple_of(4);
        datagram = datagram.get(length..).unwrap_or_default();
    }
    messages
}

/// What an answer refuses; `None` where it says yes.
fn refusal(message: &Message) -> Option<Refused> {
    let code = number(&message.payload)?.cast_signed();
    // Behind the code stands the header of the request, and then, where the flag says so, what there is to say.
    let words = (message.flags & NLM_F_ACK_TLVS != 0)
        .then(|| message.payload.get(4 + HEADER..))
        .flatten()
        .and_then(|rest| {
            attributes(rest)
                .find(|attribute| attribute.kind() == MESSAGE)
                .map(|words| text(words.value()))
        });
    (code != 0).then(|| Refused {
        error: io::Error::from_raw_os_error(code.saturating_neg()),
        words,
    })
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer cannot be read")
}

/// The attributes in `bytes`, up to the first that is malformed.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = NlaBuffer<&[u8]>> {
    NlasIterator::new(bytes).map_while(Result::ok)
}

/// An attribute, with the padding behind it.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    // The kernel's attributes are numbered in 14 bits and short here: a name, a number, a few of them.
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = Vec::with_capacity(usize::from(length).next_multiple_of(4));
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A number of 32 bits at the beginning of `bytes`.
pub fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().copied().map(u32::from_ne_bytes)
}

/// Text that ends with a zero.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refusal_carries_the_kernels_own_words() {
        let mut payload = (-34i32).to_ne_bytes().to_vec();
        payload.extend([0; HEADER]);
        payload.extend(attribute(MESSAGE, b"Peer MTU is too large to set XDP\0"));
        let message = Message {
            kind: NLMSG_ERROR,
            flags: NLM_F_ACK_TLVS,
            number: 1,
            payload,
        };
        let refused = refusal(&message).unwrap();
        assert_eq!(refused.error.raw_os_error(), Some(nix::libc::ERANGE));
        assert_eq!(refused.words.unwrap(), "Peer MTU is too large to set XDP");
    }

    proptest! {
        #[test]
        fn no_datagram_makes_reading_panic(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
            for message in split(&datagram) {
                let _ = refusal(&message);
                attributes(&message.payload).for_each(|attribute| drop(text(attribute.value())));
            }
            let _ = attributes(&datagram).count();
        }
    }
}
