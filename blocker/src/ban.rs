//! The words that stages hand on: jail, scope, failure, ban, change.
//!
//! Each stage knows the type it receives and the type it hands on, and nothing of the stages around it. So these types live
//! beside the stages and not in one of them. Logic may not enter.

pub mod evidence;
mod networks;
mod subject;

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Instant;

pub use blocker_common::packet::Protocol;
use jiff::{SignedDuration, Timestamp};

pub use self::evidence::Evidence;
pub use self::networks::Networks;
pub use self::subject::{Ipv6Prefix, Subject};

/// Index of a jail in the configuration's order; the kernel's counters use it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JailId(pub u16);

/// Ports, each range with both ends; in ascending order and without overlap.
pub type Ports = Vec<RangeInclusive<u16>>;

/// What a ban covers: never more than its jail names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Destination ports of TCP.
    pub tcp: Ports,
    /// Destination ports of UDP.
    pub udp: Ports,
}

impl Scope {
    /// TCP ports alone.
    #[must_use]
    pub const fn tcp(ports: Ports) -> Self {
        Self {
            tcp: ports,
            udp: Vec::new(),
        }
    }

    /// The ports of a protocol.
    #[must_use]
    pub const fn ports(&self, protocol: Protocol) -> &Ports {
        match protocol {
            Protocol::Tcp => &self.tcp,
            Protocol::Udp => &self.udp,
        }
    }
}

/// As in `tcp/25,465 udp/53,5000-5002`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut blank = "";
        for (protocol, ports) in [("tcp", &self.tcp), ("udp", &self.udp)] {
            if ports.is_empty() {
                continue;
            }
            write!(f, "{blank}{protocol}/")?;
            blank = " ";
            for (n, range) in ports.iter().enumerate() {
                let comma = if n == 0 { "" } else { "," };
                if range.start() == range.end() {
                    write!(f, "{comma}{}", range.start())?;
                } else {
                    write!(f, "{comma}{}-{}", range.start(), range.end())?;
                }
            }
        }
        Ok(())
    }
}

/// One abusive event that a filter found in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The jail it counts in.
    pub jail: JailId,
    /// Who is to blame.
    pub address: IpAddr,
    /// What it is counted by beside the address, where the filter says so with `<F-ID>`: each account of a host for itself, say.
    pub identity: Option<Box<str>>,
    /// When, by the line's own clock.
    pub time: Timestamp,
    /// Whether a former agent has told of it, so that it is counted but is nothing new.
    pub again: bool,
    /// When its line was read, where somebody wants to know how long it takes from there.
    pub read: Option<Instant>,
    /// The line that it was found in, where somebody may ask for it.
    pub evidence: Option<Evidence>,
}

/// When a ban ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
    /// At this time.
    At(Timestamp),
    /// Not by itself.
    Never,
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => write!(f, "{time:.0}"),
            Self::Never => f.write_str("never"),
        }
    }
}

/// Where a ban came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A jail counted too many failures.
    Jail,
    /// Somebody has asked for it.
    Manual,
}

impl Origin {
    /// The origin's name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jail => "jail",
            Self::Manual => "manual",
        }
    }

    /// The origin of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Jail, Self::Manual]
            .into_iter()
            .find(|origin| origin.name() == name)
    }
}

/// A host or network that may not come in, where, why and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// Who is banned.
    pub subject: Subject,
    /// The jail that speaks; its scope is the ban's.
    pub jail: JailId,
    /// Where it came from.
    pub origin: Origin,
    /// From when it is reckoned: a jail's from the last failure that led to it.
    pub since: Timestamp,
    /// When it ends.
    pub until: Expiry,
    /// Failures that led to it.
    pub failures: u32,
}

impl Ban {
    /// The ban as it is after the wall clock was set by `step`: it has as long to go as before.
    #[must_use]
    pub fn moved(&self, step: SignedDuration) -> Self {
        let until = match self.until {
            Expiry::At(end) => Expiry::At(moved(end, step)),
            Expiry::Never => Expiry::Never,
        };
        Self {
            since: moved(self.since, step),
            until,
            ..self.clone()
        }
    }
}

/// A time as it is after the wall clock was set by `step`.
#[must_use]
pub fn moved(time: Timestamp, step: SignedDuration) -> Timestamp {
    let end = if step.is_negative() {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    time.checked_add(step).unwrap_or(end)
}

/// What the kernel is to hold for one host or network from now on, in place of what it held before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The host or network.
    pub subject: Subject,
    /// The bans in force, at most one a jail; none when it is free again.
    pub bans: Vec<Enforced>,
}

/// One ban as a firewall enforces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enforced {
    /// The jail whose scope is covered and whose drops are counted.
    pub jail: JailId,
    /// When it ends.
    pub until: Expiry,
}
