//! Attaching the program to an interface.
//!
//! A BPF link (kernel 5.9) is used, never the older netlink call: a link can be pinned and given to the next program, and the kernel
//! refuses it where somebody else's program sits.

use std::fmt;
use std::io;
use std::os::fd::AsFd as _;

use aya::programs::links::FdLink;
use aya::programs::xdp::XdpError;
use aya::programs::{ProgramError, Xdp, XdpMode};
use thiserror::Error;

use super::reason::{self, Refusal};
use crate::firewall::interfaces::Interface;

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

    const fn of_aya(self) -> XdpMode {
        match self {
            Self::Driver => XdpMode::Driver,
            Self::Generic => XdpMode::Skb,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The program on one interface.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The interface's index.
    pub index: u32,
    /// The interface's name.
    pub interface: String,
    /// Where the program runs.
    pub mode: Mode,
    /// Why the driver would not take it, where that is so.
    pub driver_refusal: Option<Refusal>,
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.interface, self.mode.name())
    }
}

/// Why the program could not be attached.
#[derive(Debug, Error)]
pub enum AttachError {
    /// It went away since the interfaces were looked at.
    #[error("the interface `{0}` is gone")]
    Gone(String),
    /// Somebody else's XDP program is there and is left alone.
    #[error("another XDP program is attached to `{interface}` and is left alone: {program}")]
    Occupied {
        /// The interface's name.
        interface: String,
        /// What is known of the program.
        program: String,
    },
    /// Its packets begin with another header than Ethernet's, so the program would let all of them pass.
    #[error("`{0}` is no Ethernet interface (a tunnel?), and the XDP program reads Ethernet frames only")]
    NoEthernet(String),
    /// Neither mode is possible.
    #[error("`{interface}` takes no XDP program: in the driver: {driver}; generic: {generic}")]
    Refused {
        /// The interface's name.
        interface: String,
        /// What the driver answered.
        driver: Refusal,
        /// What the generic hook answered.
        generic: Refusal,
    },
    /// The program itself is at fault.
    #[error(transparent)]
    Program(#[from] anyhow::Error),
}

impl AttachError {
    /// The same in a few words, for a list of interfaces.
    #[must_use]
    pub const fn brief(&self) -> &'static str {
        match self {
            Self::Gone(_) => "it is gone",
            Self::Occupied { .. } => "another XDP program is attached",
            Self::NoEthernet(_) => "no Ethernet headers",
            Self::Refused { .. } => "it takes no XDP program",
            Self::Program(_) => "the XDP program cannot be attached",
        }
    }
}

/// Attaches `program` to `interface`, in the best mode that the interface takes. It goes off again with the link.
pub(super) fn attach(program: &mut Xdp, interface: &Interface) -> Result<(Attachment, FdLink), AttachError> {
    if !interface.has_ethernet_headers {
        return Err(AttachError::NoEthernet(interface.name.clone()));
    }
    let attached = |mode, driver_refusal| Attachment {
        index: interface.index,
        interface: interface.name.clone(),
        mode,
        driver_refusal,
    };
    let driver = match try_mode(program, interface, Mode::Driver)? {
        Ok(link) => return Ok((attached(Mode::Driver, None), link)),
        Err(refusal) => refusal,
    };
    match try_mode(program, interface, Mode::Generic)? {
        Ok(link) => Ok((attached(Mode::Generic, Some(driver)), link)),
        Err(generic) => Err(AttachError::Refused {
            interface: interface.name.clone(),
            driver,
            generic,
        }),
    }
}

/// The inner error is the interface's refusal of this mode, after which another may be tried.
fn try_mode(program: &mut Xdp, interface: &Interface, mode: Mode) -> Result<Result<FdLink, Refusal>, AttachError> {
    let error = match link(program, interface, mode)? {
        Ok(link) => return Ok(Ok(link)),
        Err(error) => error,
    };
    match error.raw_os_error() {
        // EEXIST: a program in the other mode.
        Some(nix::libc::EBUSY | nix::libc::EEXIST) => Err(AttachError::Occupied {
            interface: interface.name.clone(),
            program: reason::occupant(interface),
        }),
        Some(nix::libc::ENODEV) => Err(AttachError::Gone(interface.name.clone())),
        _ => {
            let words = program
                .fd()
                .ok()
                .and_then(|fd| reason::words(fd.as_fd(), interface.index, mode));
            Ok(Err(Refusal::new(interface, mode, &error, words.as_deref())))
        }
    }
}

fn link(program: &mut Xdp, interface: &Interface, mode: Mode) -> Result<io::Result<FdLink>, AttachError> {
    let id = match program.attach_to_if_index(interface.index, mode.of_aya()) {
        Ok(id) => id,
        Err(ProgramError::SyscallError(call)) => return Ok(Err(call.io_error)),
        Err(ProgramError::XdpError(XdpError::NetlinkError(error))) => {
            let error = error
                .raw_os_error()
                .map_or_else(|| io::Error::other(error), io::Error::from_raw_os_error);
            return Ok(Err(error));
        }
        Err(error) => return Err(AttachError::Program(error.into())),
    };
    let link = program.take_link(id).map_err(anyhow::Error::from)?;
    Ok(FdLink::try_from(link).map_err(|_| {
        // Where a driver answers EINVAL, aya tries the netlink call, and here that was granted: the interface has changed its mind in
        // between. What is attached that way would outlive the agent.
        if let Ok(fd) = program.fd() {
            reason::take_off(fd.as_fd(), interface.index, mode);
        }
        io::Error::from_raw_os_error(nix::libc::EINVAL)
    }))
}
