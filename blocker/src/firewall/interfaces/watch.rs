//! Waits until an interface may have come, gone, or changed.
//!
//! The kernel's events only wake: what they say is not read, so that none can be missed, misread or made up. Where so many came
//! that the kernel dropped some (ENOBUFS), that is one more reason to look.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Longest wait between two looks: for what no event tells, such as a default route that appears.
const PATROL: Duration = Duration::from_secs(60);
/// Events come in bunches, and on a machine that starts containers in great numbers: what comes within this time is one.
const BUNCH: Duration = Duration::from_millis(100);
/// Datagrams thrown away at a time, so that a storm of events cannot keep the watcher from handing on the first.
const AT_A_TIME: usize = 4096;
/// `RTNLGRP_LINK` in `linux/rtnetlink.h`.
const LINKS: u32 = 1;

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The interfaces are to be looked at again.
    Look,
    /// The signal to stop was given.
    Stop,
}

/// Listens for changes of interfaces, in the network namespace of the thread that opened it.
pub struct LinkWatch {
    socket: Socket,
}

impl LinkWatch {
    /// Begins to listen. What changes from now on ends the next [`LinkWatch::wait`], also when it has not begun yet; so open first and
    /// look then.
    ///
    /// # Errors
    ///
    /// When the kernel grants no netlink socket.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.add_membership(LINKS)?;
        socket.set_non_blocking(true)?;
        Ok(Self { socket })
    }

    /// Waits for a change, for a minute at most; or until `stop` can be read.
    ///
    /// # Errors
    ///
    /// When the kernel fails to wait.
    pub fn wait(&mut self, stop: BorrowedFd<'_>) -> io::Result<Woken> {
        let [stopped, changed] = readable([stop, self.socket.as_fd()], PATROL)?;
        if stopped {
            return Ok(Woken::Stop);
        }
        if changed {
            let [stopped] = readable([stop], BUNCH)?;
            if stopped {
                return Ok(Woken::Stop);
            }
            self.throw_away()?;
        }
        Ok(Woken::Look)
    }

    /// Empties the socket.
    fn throw_away(&self) -> io::Result<()> {
        let mut datagram = Vec::with_capacity(64);
        for _ in 0..AT_A_TIME {
            datagram.clear();
            match self.socket.recv(&mut datagram, 0) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Waits until one of these can be read, and says which.
fn readable<const N: usize>(descriptors: [BorrowedFd<'_>; N], longest: Duration) -> io::Result<[bool; N]> {
    let mut waits = descriptors.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
    match poll(&mut waits, PollTimeout::try_from(longest).unwrap_or(PollTimeout::MAX)) {
        Ok(_) => Ok(waits.map(|wait| wait.any().unwrap_or(false))),
        Err(Errno::EINTR) => Ok([false; N]),
        Err(error) => Err(error.into()),
    }
}
