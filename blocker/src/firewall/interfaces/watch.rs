//! Tells whether an interface may have come, gone, or changed, or its addresses.
//!
//! What the kernel's events say is not read, only that there were some, so that none can be missed, misread or made up. Where so many
//! came that the kernel dropped some (ENOBUFS), that is one more reason to look.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// Events come in bunches, and in great numbers on a machine that starts containers: so long after one look there is no other.
pub const SPACING: Duration = Duration::from_millis(50);
/// Datagrams thrown away at a time, so that a storm of events cannot keep whoever asks from its other work.
const AT_A_TIME: usize = 4096;
/// `RTNLGRP_LINK`, `RTNLGRP_IPV4_IFADDR` and `RTNLGRP_IPV6_IFADDR` in `linux/rtnetlink.h`.
const GROUPS: [u32; 3] = [1, 5, 9];

/// Listens for changes of interfaces and their addresses, in the network namespace of the thread that opened it.
pub struct LinkWatch {
    socket: Socket,
    /// When something had changed last.
    last: Option<Instant>,
}

impl LinkWatch {
    /// Begins to listen. [`changed`](Self::changed) tells what changes from now on; so open first, and look then.
    ///
    /// # Errors
    ///
    /// When the kernel grants no netlink socket.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        socket.set_non_blocking(true)?;
        Ok(Self { socket, last: None })
    }

    /// Whether something may have changed since this was asked last. Does not wait.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn changed(&mut self, now: Instant) -> io::Result<bool> {
        if self.last.is_some_and(|last| now.duration_since(last) < SPACING) {
            return Ok(false);
        }
        let changed = self.drain()?;
        if changed {
            self.last = Some(now);
        }
        Ok(changed)
    }

    /// What becomes readable when something changes.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Takes what events there are from the kernel, and says whether there were any. Does not wait.
    ///
    /// # Errors
    ///
    /// When the kernel does not say.
    pub fn drain(&mut self) -> io::Result<bool> {
        let mut changed = false;
        let mut datagram = Vec::with_capacity(64);
        for _ in 0..AT_A_TIME {
            datagram.clear();
            match self.socket.recv(&mut datagram, 0) {
                Ok(_) => changed = true,
                Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => changed = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(changed)
    }
}
