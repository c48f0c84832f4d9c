//! How a firewall has to behave, as one table for all of them.
//!
//! A [`Script`] names the jails; each of its [`Stage`]s changes what is banned and allowed, and each [`Case`] of a stage is a frame
//! and what is to become of it. [`cases`] is the table, [`frames`] makes the frames, [`run`] holds a firewall against them.

pub mod cases;
pub mod frames;
pub mod run;

use std::fmt;

use blocker::firewall::JailScope;
use blocker_common::map::Outcome;
use blocker_common::packet::Unparsed;

use self::frames::Frame;

/// Stages for one firewall, from its beginning on.
pub struct Script {
    /// What it is about.
    pub name: &'static str,
    /// The jails; bans and outcomes name them by their place.
    pub jails: Vec<JailScope>,
    /// One after the other, each on top of those before.
    pub stages: Vec<Stage>,
}

/// What changes, and what holds then.
pub struct Stage {
    /// What has changed.
    pub name: &'static str,
    /// Hosts and networks, each with the bans that are in force on it from now on; told to the firewall one by one.
    pub bans: Vec<(String, Vec<(u16, Lasts)>)>,
    /// What the allowlist becomes; without it, it stays as it is.
    pub allowlist: Option<Vec<&'static str>>,
    /// What holds then.
    pub cases: Vec<Case>,
}

/// How long a ban lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// Until long after the test.
    Hour,
    /// Without an end.
    Forever,
    /// Until the stage's last ban has been told; its cases come when it is over, and the firewall was not told so.
    Over,
}

/// A frame, and what is to become of it.
pub struct Case {
    /// Who sends what.
    pub name: String,
    /// What is sent.
    pub frame: Frame,
    /// With XDP.
    pub xdp: Expected,
    /// With nftables, which sees only what the kernel's stack has taken.
    pub nftables: Expected,
    /// As what XDP counts it where it cannot read it.
    pub unparsed: Option<Unparsed>,
}

impl Case {
    /// A case that knows no difference between firewalls.
    #[must_use]
    pub fn new(name: impl Into<String>, frame: Frame, expected: Expected) -> Self {
        Self {
            name: name.into(),
            frame,
            xdp: expected,
            nftables: expected,
            unparsed: None,
        }
    }
}

/// What is to become of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The jail it is counted for and the outcome; none where no ban covers it.
    pub counted: Option<(u16, Outcome)>,
    /// Whether the kernel's stack gets it and takes it.
    pub arrives: bool,
}

impl Expected {
    /// No ban covers it, and the kernel takes it.
    pub const DELIVERED: Self = Self {
        counted: None,
        arrives: true,
    };
    /// No ban covers it, but the kernel itself refuses it.
    pub const DISCARDED: Self = Self {
        counted: None,
        arrives: false,
    };

    /// Dropped by a ban of this jail.
    #[must_use]
    pub const fn dropped(jail: u16) -> Self {
        Self {
            counted: Some((jail, Outcome::Dropped)),
            arrives: false,
        }
    }

    /// Covered by a ban of this jail, and delivered because the allowlist covers its source.
    #[must_use]
    pub const fn allowed(jail: u16) -> Self {
        Self {
            counted: Some((jail, Outcome::Allowed)),
            arrives: true,
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.counted {
            Some((jail, outcome)) => write!(f, "{} by jail {jail}", outcome.name()),
            None if self.arrives => f.write_str("delivered"),
            None => f.write_str("discarded by the kernel"),
        }
    }
}
