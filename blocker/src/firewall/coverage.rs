//! How each interface is covered, for people and for metrics.

use std::fmt;

use super::xdp::Mode;

/// What enforces bans on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// The interface's name.
    pub interface: String,
    /// What enforces bans there.
    pub by: CoveredBy,
}

/// What enforces bans on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoveredBy {
    /// The XDP program.
    Xdp(Mode),
    /// The nftables firewall, for this reason.
    Nftables(&'static str),
    /// Nothing, for this reason: banned hosts get in.
    Nothing(&'static str),
}

impl CoveredBy {
    /// The name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xdp(mode) => mode.name(),
            Self::Nftables(_) => "nftables",
            Self::Nothing(_) => "nothing",
        }
    }
}

/// As in `eth2 (nftables: another XDP program is attached)`.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { interface, by } = self;
        match by {
            CoveredBy::Xdp(mode) => write!(f, "{interface} ({mode})"),
            CoveredBy::Nftables(reason) | CoveredBy::Nothing(reason) => {
                write!(f, "{interface} ({}: {reason})", by.name())
            }
        }
    }
}
