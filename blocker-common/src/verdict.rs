//! The verdict on a packet, as a pure function of the packet and the tables.
//!
//! The port is looked up first: a packet to a port in no scope costs one array look-up and nothing else. The clock is read only
//! once a ban was hit, so honest traffic does not pay for it.

use crate::map::{Ban, Scopes};
use crate::packet::{Address, Bytes, Family, Parsed, Unparsed, parse};

/// The tables and the clock that a verdict consults.
pub trait Tables {
    /// Scopes that the TCP port belongs to.
    fn tcp_scopes(&self, port: u16) -> Scopes;
    /// The ban held for an address, expired or not.
    fn ban(&self, source: &Address) -> Option<Ban>;
    /// Now, in nanoseconds of `CLOCK_MONOTONIC`.
    fn now(&self) -> u64;
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on to the kernel's own stack.
    Pass,
    /// It goes on because it could not be parsed: blocker fails open.
    PassUnparsed(Unparsed),
    /// It ends here, on behalf of a jail.
    Drop {
        /// Index of the jail.
        jail: u32,
        /// The packet's IP version.
        family: Family,
    },
}

/// Judges a frame.
#[inline(always)]
pub fn verdict(frame: &(impl Bytes + ?Sized), tables: &impl Tables) -> Verdict {
    let tcp = match parse(frame) {
        Parsed::Tcp(tcp) => tcp,
        Parsed::Foreign => return Verdict::Pass,
        Parsed::Unparsed(layer) => return Verdict::PassUnparsed(layer),
    };
    let scopes = tables.tcp_scopes(tcp.destination_port);
    if scopes == 0 {
        return Verdict::Pass;
    }
    let Some(ban) = tables.ban(&tcp.source) else {
        return Verdict::Pass;
    };
    if ban.scopes & scopes == 0 || ban.until <= tables.now() {
        return Verdict::Pass;
    }
    Verdict::Drop {
        jail: ban.jail,
        family: tcp.source.family(),
    }
}

#[cfg(test)]
mod tests;
