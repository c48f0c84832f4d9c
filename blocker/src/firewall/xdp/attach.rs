//! Attaching the program to an interface.
//!
//! A BPF link (kernel 5.9) is used, never the older netlink call: a link goes with the process that holds it, and the kernel
//! refuses it where somebody else's program sits.

use std::fmt;
use std::io;

use aya::programs::xdp::XdpLinkId;
use aya::programs::{ProgramError, Xdp, XdpMode};
use thiserror::Error;

/// Where in the kernel the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// In the card's driver, before a packet buffer exists.
    Driver,
    /// In the kernel's generic hook, for drivers without XDP.
    Generic,
}

impl Mode {
    /// The mode's name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Driver => "driver",
            Self::Generic => "generic",
        }
    }
}

/// The program on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The interface's name.
    pub interface: String,
    /// Where the program runs.
    pub mode: Mode,
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.interface, self.mode.name())
    }
}

/// Why the program could not be attached.
#[derive(Debug, Error)]
pub enum AttachError {
    /// No interface of this name.
    #[error("there is no interface `{0}`; `ip link` lists those there are")]
    NoSuchInterface(String),
    /// Somebody else's XDP program is there and is left alone.
    #[error("another XDP program is attached to `{0}` and is left alone; `ip link show {0}` names it")]
    Occupied(String),
    /// Its packets begin with another header than Ethernet's, so the program would let all of them pass.
    #[error("`{0}` is no Ethernet interface (a tunnel?), and the XDP program reads Ethernet frames only")]
    NoEthernet(String),
    /// Neither mode is possible.
    #[error("`{interface}` takes no XDP program: in the driver: {driver}; generic: {generic}")]
    Refused {
        /// The interface's name.
        interface: String,
        /// What the driver answered.
        driver: io::Error,
        /// What the generic hook answered.
        generic: io::Error,
    },
    /// The program itself is at fault.
    #[error(transparent)]
    Program(#[from] anyhow::Error),
}

/// Attaches `program` to `interface`, in the best mode that the interface takes.
pub(super) fn attach(program: &mut Xdp, interface: &str) -> Result<(Attachment, XdpLinkId), AttachError> {
    if !has_ethernet_headers(interface) {
        return Err(AttachError::NoEthernet(interface.to_owned()));
    }
    let attached = |mode| Attachment {
        interface: interface.to_owned(),
        mode,
    };
    let driver = match try_mode(program, interface, XdpMode::Driver)? {
        Ok(link) => return Ok((attached(Mode::Driver), link)),
        Err(error) => error,
    };
    match try_mode(program, interface, XdpMode::Skb)? {
        Ok(link) => Ok((attached(Mode::Generic), link)),
        Err(generic) => Err(AttachError::Refused {
            interface: interface.to_owned(),
            driver,
            generic,
        }),
    }
}

/// Whether the interface's packets begin with an Ethernet header, by its `ARPHRD_` type (`linux/if_arp.h`): Ethernet is 1, and
/// loopback, 772, has them too. An interface that is not there is for the attaching itself to find.
fn has_ethernet_headers(interface: &str) -> bool {
    let kind = std::fs::read_to_string(format!("/sys/class/net/{interface}/type"));
    kind.map_or(true, |kind| ["1", "772"].contains(&kind.trim()))
}

/// The inner error is the interface's refusal of this mode, after which another may be tried.
fn try_mode(program: &mut Xdp, interface: &str, mode: XdpMode) -> Result<io::Result<XdpLinkId>, AttachError> {
    match program.attach(interface, mode) {
        Ok(link) => Ok(Ok(link)),
        Err(ProgramError::UnknownInterface { name }) => Err(AttachError::NoSuchInterface(name)),
        Err(ProgramError::SyscallError(call)) => match call.io_error.raw_os_error() {
            // EEXIST: a program in the other mode.
            Some(nix::libc::EBUSY | nix::libc::EEXIST) => Err(AttachError::Occupied(interface.to_owned())),
            _ => Ok(Err(call.io_error)),
        },
        Err(ProgramError::XdpError(error)) => Ok(Err(io::Error::other(error))),
        Err(error) => Err(AttachError::Program(error.into())),
    }
}
