//! The source: lines from log files, from the systemd journal and from standard input, as they are written.
//!
//! A [`Source`] reads what is there and never waits, then waits until there may be more. It says where it was read up to
//! ([`position`]), so that the next agent finds what was written meanwhile and knows it from what was read before. A [`StoredLog`](stored::StoredLog) is one that is read once and not followed. What a
//! line says is the filter's business and may not enter.

pub mod files;
pub mod input;
pub mod journal;
mod lines;
pub mod position;
pub mod stored;
pub mod tail;
pub mod watch;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;

pub use self::lines::{MAX_LINE, text};
use self::position::{Position, SourceId};
use self::watch::Woken;

/// Where lines are to be had, as a configuration names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Log {
    /// The files at this path, which may hold wildcards.
    Files(PathBuf),
    /// A part of the systemd journal.
    Journal(journal::Selection),
    /// Standard input.
    Input,
}

/// As metrics, log lines and people name it.
impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(path) => write!(f, "{}", path.display()),
            Self::Journal(selection) => write!(f, "{selection}"),
            Self::Input => f.write_str("standard input"),
        }
    }
}

/// Something that lines come from. It may read several logs at once, each by its number in the order in which they were given.
pub trait Source: Send {
    /// Hands on whole lines of what is there, up to a few chunks of each log, and says whether there may be more at once.
    ///
    /// What cannot be read is logged, shows in [`Source::logs`], and is tried again by a later call.
    fn read(&mut self, now: Instant, each: &mut dyn FnMut(Line<'_>)) -> bool;

    /// Waits until there may be more, for [`watch::PATROL`] at most.
    ///
    /// # Errors
    ///
    /// When the kernel fails to wait.
    fn wait(&mut self) -> io::Result<Woken>;

    /// Where it was read up to by now, as far as that has changed since the last call.
    fn positions(&mut self) -> Vec<(SourceId, Position)>;

    /// How the logs are, in their order.
    fn logs(&self) -> &[LogState];
}

/// One line, without its line break.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its bytes; at most [`MAX_LINE`].
    pub bytes: &'a [u8],
    /// Whether it was longer.
    pub cut: bool,
    /// When it was written, as far as the source knows.
    pub written: Written,
    /// Whether a former agent has read it before. It is read again because what was counted is in no agent's memory any more.
    pub again: bool,
    /// The logs that it is in: one file may be found by several paths. At least one.
    pub logs: &'a [usize],
}

/// When a line was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Then, whatever its text says; the text begins with no date.
    At(Timestamp),
    /// When its text says, or just now.
    Now,
    /// When its text says, or some time before the start.
    Before,
}

/// How a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogState {
    /// Its name.
    pub name: String,
    /// Whether there was more to read after the last reading.
    pub more: bool,
    /// Since when it cannot be read, although it could be before.
    pub trouble: Option<Instant>,
}

impl LogState {
    fn new(name: String) -> Self {
        Self {
            name,
            more: false,
            trouble: None,
        }
    }
}
