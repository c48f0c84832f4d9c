//! The machine's TCP sockets, as the kernel tells of them over sock_diag(7), and their end.
//!
//! A socket is ended by its whole identity, with the kernel's cookie for it: so never another one that has its addresses and ports by now.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{Emitable as _, Parseable as _};
use netlink_packet_sock_diag::constants::{
    AF_INET, AF_INET6, IPPROTO_TCP, SOCK_DESTROY, SOCK_DIAG_BY_FAMILY, TCP_CLOSE_WAIT, TCP_ESTABLISHED,
};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags, Timer};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use nix::errno::Errno;

use crate::netlink::Requests;

/// States in which somebody may wait for the other side. Those that wait for nothing but time are none of them.
const OPEN: StateFlags = StateFlags::ESTABLISHED
    .union(StateFlags::FIN_WAIT1)
    .union(StateFlags::FIN_WAIT2)
    .union(StateFlags::CLOSE_WAIT)
    .union(StateFlags::LAST_ACK)
    .union(StateFlags::CLOSING);

/// One of our sockets that has somebody on the other side.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Connection {
    family: u8,
    id: SocketId,
}

impl Connection {
    /// Whose address is on the other side.
    pub(super) const fn host(&self) -> IpAddr {
        self.id.destination_address
    }

    /// The port on this side.
    pub(super) const fn port(&self) -> u16 {
        self.id.source_port
    }
}

/// What became of a connection that was to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is ended.
    Made,
    /// It had ended by itself.
    Gone,
}

/// Why sockets are not told of, or not ended.
#[derive(Debug)]
pub(super) enum Fault {
    /// This kernel cannot do it.
    Unsupported,
    /// The agent may not do it.
    NotPermitted,
    /// Something that may be otherwise the next time.
    Other(io::Error),
}

impl Fault {
    fn of_list(error: io::Error) -> Self {
        match errno(&error) {
            // It lacks the protocol, or the part for TCP.
            Errno::EPROTONOSUPPORT | Errno::ENOENT => Self::Unsupported,
            Errno::EPERM => Self::NotPermitted,
            _ => Self::Other(error),
        }
    }
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

/// The sockets in the network namespace of the thread that opened it.
pub(super) struct Sockets {
    requests: Requests,
    /// Whether the kernel has ended one.
    has_ended: bool,
}

impl Sockets {
    pub(super) fn open() -> Result<Self, Fault> {
        let requests = Requests::open(NETLINK_SOCK_DIAG).map_err(Fault::of_list)?;
        Ok(Self {
            requests,
            has_ended: false,
        })
    }

    /// Hands over every connection that there is.
    pub(super) fn each(&mut self, mut each: impl FnMut(Connection)) -> Result<(), Fault> {
        for (family, any) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            let request = request(family, OPEN, any);
            // One that comes meanwhile is none that a ban in force covers.
            let listed = self.requests.each(SOCK_DIAG_BY_FAMILY, &request, |answer| {
                if let Some(connection) = parse(&answer) {
                    each(connection);
                }
            });
            listed.map_err(Fault::of_list)?;
        }
        Ok(())
    }

    /// Ends a connection: who waits for it here reads an error, and the other side gets a reset.
    pub(super) fn end(&mut self, connection: &Connection) -> Result<End, Fault> {
        let request = request(connection.family, StateFlags::empty(), connection.id.clone());
        let Err(refused) = self.requests.carry_out(SOCK_DESTROY, &request) else {
            self.has_ended = true;
            return Ok(End::Made);
        };
        match errno(&refused.error) {
            Errno::ENOENT => Ok(End::Gone),
            // Older kernels refuse one that waits for nothing but time by now in the same words as those that can end none.
            Errno::EOPNOTSUPP if self.has_ended => Ok(End::Gone),
            Errno::EOPNOTSUPP => Err(Fault::Unsupported),
            Errno::EPERM => Err(Fault::NotPermitted),
            _ => Err(Fault::Other(refused.error)),
        }
    }
}

fn request(family: u8, states: StateFlags, socket_id: SocketId) -> Vec<u8> {
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states,
        socket_id,
    };
    let mut bytes = vec![0; request.buffer_len()];
    request.emit(&mut bytes);
    bytes
}

/// `None` for what is no connection that somebody here has. What stands behind the fixed part is not read.
fn parse(answer: &[u8]) -> Option<Connection> {
    let told = InetResponseHeader::parse(answer).ok()?;
    // The kernel lists those that wait for nothing but time with those in FIN_WAIT2.
    let waits_for_time = told.timer == Some(Timer::TimeWait);
    // One that nobody has taken from its listener yet has no file either. One that its process has closed is left to the kernel: nobody
    // waits for it, and before 6.11 the kernel keeps it for ever if it is ended (bac76cf89816, "tcp: fix forever orphan socket caused by
    // tcp_abort").
    let is_somebodys = told.inode != 0 || matches!(told.state, TCP_ESTABLISHED | TCP_CLOSE_WAIT);
    (is_somebodys && !waits_for_time).then_some(Connection {
        family: told.family,
        id: told.socket_id,
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use proptest::prelude::*;

    use super::*;

    fn connections() -> Vec<Connection> {
        let mut all = Vec::new();
        Sockets::open()
            .unwrap()
            .each(|connection| all.push(connection))
            .unwrap();
        all
    }

    #[test]
    fn both_ends_of_a_connection_are_told_and_a_listener_is_not() {
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let listener = TcpListener::bind((address, 0)).unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            let ports = [&client, &server].map(|stream| stream.local_addr().unwrap().port());
            let all = connections();
            let told = |port: u16| all.iter().filter(|connection| connection.port() == port).count();
            assert_eq!(ports.map(told), [1, 1], "{address}");
            let told = all.iter().find(|connection| connection.port() == ports[1]).unwrap();
            assert_eq!(told.host(), address.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn a_connection_that_its_process_has_closed_is_left_to_the_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let is_told = || connections().iter().any(|connection| connection.port() == port);
        assert!(is_told());
        // The client reads nothing, so that there is something left to be sent.
        server.set_nonblocking(true).unwrap();
        while server.write(&[0; 65_536]).is_ok() {}
        drop(server);
        assert!(!is_told());
        drop(client);
    }

    #[test]
    fn a_connection_that_nobody_has_taken_yet_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let _client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        assert!(connections().iter().any(|connection| connection.port() == port));
    }

    #[test]
    fn a_connection_that_has_ended_by_itself_is_no_error_whoever_has_its_ports_now() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_server, _) = listener.accept().unwrap();
        let port = client.local_addr().unwrap().port();
        let mut told = connections()
            .into_iter()
            .find(|connection| connection.port() == port)
            .unwrap();
        // As if another had come in its place.
        told.id.cookie[0] ^= 1;
        let mut sockets = Sockets::open().unwrap();
        assert_eq!(sockets.end(&told).unwrap(), End::Gone);
        client.set_nonblocking(true).unwrap();
        assert_eq!(
            client.read(&mut [0]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock,
            "it lives"
        );
        told.id.cookie[0] ^= 1;
        if !nix::unistd::geteuid().is_root() {
            assert!(matches!(sockets.end(&told), Err(Fault::NotPermitted)));
            return;
        }
        assert_eq!(sockets.end(&told).unwrap(), End::Made);
        assert_eq!(sockets.end(&told).unwrap(), End::Gone);
        assert_eq!(
            client.read(&mut [0]).unwrap_err().kind(),
            io::ErrorKind::ConnectionAborted
        );
    }

    #[test]
    fn a_kernel_that_lacks_the_part_for_a_protocol_says_so() {
        let mut unknown = request(AF_INET, OPEN, SocketId::new_v4());
        unknown[1] = 250;
        let mut requests = Requests::open(NETLINK_SOCK_DIAG).unwrap();
        let error = requests.each(SOCK_DIAG_BY_FAMILY, &unknown, |_| {}).unwrap_err();
        assert!(matches!(Fault::of_list(error), Fault::Unsupported));
    }

    proptest! {
        #[test]
        fn no_answer_makes_reading_panic(answer in prop::collection::vec(any::<u8>(), 0..200), family in 0..12_u8) {
            let _ = parse(&answer);
            let mut answer = answer;
            if let Some(first) = answer.first_mut() {
                *first = family;
            }
            if let Some(connection) = parse(&answer) {
                let _ = request(connection.family, OPEN, connection.id);
            }
        }
    }
}
