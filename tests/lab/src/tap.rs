//! A tap on a host's cable: which of its connections to a port get an answer at all.
//!
//! It sees packets as they leave and arrive at the sender's side, by AF_PACKET. So what it says about drops does not rest on the
//! word of the firewall that is meant to drop them.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::namespace::Namespace;

/// Counts TCP packets between a host and one port of others, as long as it exists.
#[derive(Debug)]
pub struct Tap {
    flows: Arc<Mutex<Flows>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

/// The packets of one or more connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets that went out to the port.
    pub sent: u64,
    /// Packets that came back.
    pub received: u64,
    /// Those of `sent` whose connection never got a packet back.
    pub unanswered: u64,
}

impl Tap {
    /// Taps all interfaces of a host, for connections of its own to `port`.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the socket.
    pub fn start(host: &Namespace, port: u16) -> Result<Self> {
        let socket = host.enter(listen)?.context("cannot open a packet socket")?;
        let flows = Arc::new(Mutex::new(Flows::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (flows, stop) = (Arc::clone(&flows), Arc::clone(&stop));
            move || watch(&socket, port, &flows, &stop)
        });
        Ok(Self {
            flows,
            stop,
            thread: Some(thread),
        })
    }

    /// Forgets what was seen of an address so far: its count begins anew.
    pub fn restart(&self, source: IpAddr) {
        self.lock().0.retain(|flow, _| flow.source != source);
    }

    /// What was seen of an address.
    #[must_use]
    pub fn count(&self, source: IpAddr) -> Count {
        self.lock().count(source)
    }

    fn lock(&self) -> MutexGuard<'_, Flows> {
        self.flows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("blocker-lab: the tap failed, its counts are too low: {error:#}");
        }
    }
}

/// One side's address and port; the other side is the tapped port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Flow {
    source: IpAddr,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Out,
    Back,
}

#[derive(Debug, Default)]
struct Flows(HashMap<Flow, Count>);

impl Flows {
    fn see(&mut self, flow: Flow, direction: Direction) {
        let count = self.0.entry(flow).or_default();
        match direction {
            Direction::Out => count.sent += 1,
            Direction::Back => count.received += 1,
        }
    }

    fn count(&self, source: IpAddr) -> Count {
        let mut sum = Count::default();
        for count in self
            .0
            .iter()
            .filter_map(|(flow, count)| (flow.source == source).then_some(count))
        {
            sum.sent += count.sent;
            sum.received += count.received;
            if count.received == 0 {
                sum.unanswered += count.sent;
            }
        }
        sum
    }
}

fn listen() -> nix::Result<OwnedFd> {
    let protocol = SockProtocol::EthAll;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    // Wakes the thread often enough to see that it shall stop.
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(50))?;
    Ok(socket)
}

fn watch(socket: &OwnedFd, port: u16, flows: &Mutex<Flows>, stop: &AtomicBool) -> Result<()> {
    // More than the headers is not looked at, so longer frames may be cut.
    let mut frame = [0; 256];
    while !stop.load(Ordering::Relaxed) {
        let length = match recv(socket.as_raw_fd(), &mut frame, MsgFlags::empty()) {
            Ok(length) => length,
            Err(Errno::EAGAIN | Errno::EINTR) => continue,
            Err(error) => return Err(io::Error::from(error).into()),
        };
        if let Some((flow, direction)) = parse(&frame[..length], port) {
            flows
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .see(flow, direction);
        }
    }
    Ok(())
}

fn parse(frame: &[u8], port: u16) -> Option<(Flow, Direction)> {
    // Lax: the frame may be cut off behind its headers.
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let (from, to) = match packet.net? {
        LaxNetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        LaxNetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        LaxNetSlice::Arp(_) => return None,
    };
    let Some(TransportSlice::Tcp(tcp)) = packet.transport else {
        return None;
    };
    if tcp.destination_port() == port {
        let flow = Flow {
            source: from,
            port: tcp.source_port(),
        };
        return Some((flow, Direction::Out));
    }
    let flow = Flow {
        source: to,
        port: tcp.destination_port(),
    };
    (tcp.source_port() == port).then_some((flow, Direction::Back))
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    fn frame(from: ([u8; 4], u16), to: ([u8; 4], u16)) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(from.0, to.0, 64)
            .tcp(from.1, to.1, 1, 1024)
            .write(&mut frame, &[0; 500])
            .unwrap();
        frame
    }

    #[test]
    fn packets_are_told_apart_by_direction() {
        let spammer = ([192, 0, 2, 7], 40_000);
        let relay = ([192, 0, 2, 1], 25);
        let flow = Flow {
            source: spammer.0.into(),
            port: 40_000,
        };
        assert_eq!(parse(&frame(spammer, relay)[..256], 25), Some((flow, Direction::Out)));
        assert_eq!(parse(&frame(relay, spammer)[..256], 25), Some((flow, Direction::Back)));
        assert_eq!(parse(&frame(spammer, ([192, 0, 2, 1], 22)), 25), None);
        assert_eq!(parse(&[0; 20], 25), None);
    }

    #[test]
    fn only_connections_without_any_answer_are_unanswered() {
        let source = IpAddr::from([192, 0, 2, 7]);
        let mut flows = Flows::default();
        for (port, directions) in [
            (1, &[Direction::Out, Direction::Out][..]),
            (2, &[Direction::Out, Direction::Back]),
        ] {
            for &direction in directions {
                flows.see(Flow { source, port }, direction);
            }
        }
        let expected = Count {
            sent: 3,
            received: 1,
            unanswered: 2,
        };
        assert_eq!(flows.count(source), expected);
        assert_eq!(flows.count(IpAddr::from([192, 0, 2, 8])), Count::default());
    }
}
