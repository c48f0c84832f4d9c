//! An open connection, with both of its ends in the test's hands.

use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use blocker_lab::network::{HONEST, RELAY, RELAY_V6};
use blocker_lab::smtp;
use blocker_tests::relay::Relay;

/// Longest wait for a word from the other side.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Session {
    /// Whoever is not the relay.
    host: TcpStream,
    relay: TcpStream,
    /// Of the relay and of the host, as long as they had any.
    ports: [u16; 2],
}

impl Session {
    /// A connection from this address to a port of the relay.
    pub(crate) fn open(relay: &Relay, source: IpAddr, port: u16) -> Self {
        let from = match source {
            IpAddr::V4(HONEST) => relay.lab.honest(),
            _ => relay.lab.spam(),
        };
        let to = match source {
            IpAddr::V4(_) => SocketAddr::new(RELAY.into(), port),
            IpAddr::V6(_) => SocketAddr::new(RELAY_V6.into(), port),
        };
        let host = from.enter(|| smtp::connect(source, to, PATIENCE).unwrap()).unwrap();
        Self::between(host, relay.accept(port))
    }

    /// What these two say to each other.
    pub(crate) fn between(host: TcpStream, relay: TcpStream) -> Self {
        for end in [&host, &relay] {
            end.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        let ports = [&relay, &host].map(|end| end.local_addr().unwrap().port());
        Self { host, relay, ports }
    }

    /// Proves that each end hears what the other one says.
    pub(crate) fn goes_on(&self) {
        for (mut from, mut to) in [(&self.relay, &self.host), (&self.host, &self.relay)] {
            from.write_all(b"x").unwrap();
            to.read_exact(&mut [0]).unwrap();
        }
    }

    /// Proves that the relay's process reads an error, the host is told, and the kernel has nothing of it any more.
    pub(crate) fn ends_within_a_second(&self, relay: &Relay) {
        let begun = Instant::now();
        let heard = (&self.relay).read(&mut [0]).unwrap_err();
        assert_eq!(heard.kind(), ErrorKind::ConnectionAborted, "{heard}");
        assert!(!self.is_there(relay));
        let heard = (&self.host).read(&mut [0]).unwrap_err();
        assert_eq!(heard.kind(), ErrorKind::ConnectionReset, "{heard}");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
    }

    /// Whether the relay's kernel has its end.
    pub(crate) fn is_there(&self, relay: &Relay) -> bool {
        let ports = self.ports.map(|port| format!(":{port:04X}"));
        let look = || {
            let tables = ["tcp", "tcp6"].map(|table| format!("/proc/thread-self/net/{table}"));
            let text = tables
                .map(|table| fs::read_to_string(table).unwrap_or_default())
                .concat();
            text.lines().any(|line| {
                let mut columns = line.split_whitespace().skip(1);
                let ends = [columns.next().unwrap_or_default(), columns.next().unwrap_or_default()];
                ends.iter().zip(&ports).all(|(end, port)| end.ends_with(port))
            })
        };
        relay.lab.relay().enter(look).unwrap()
    }
}
