//! A wall clock for one process that a test can set: a real binary under libfaketime, whose offset is read from a file each time the
//! process asks for the time. The kernel's other clocks stay as they are, as they do when somebody sets the machine's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::{SignedDuration, Timestamp};

use crate::relay::Relay;

/// Where Debian has libraries, in folders by the machine's kind, and where libfaketime lies there.
const LIBRARIES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// The clock; as the machine's until it is set.
pub struct WallClock {
    file: PathBuf,
    ahead: SignedDuration,
}

impl WallClock {
    /// A clock that is right.
    ///
    /// # Panics
    ///
    /// When its file cannot be written.
    #[must_use]
    pub fn new(relay: &Relay) -> Self {
        let mut clock = Self {
            file: relay.lab.folder().join("clock"),
            ahead: SignedDuration::ZERO,
        };
        clock.set(SignedDuration::ZERO);
        clock
    }

    /// Has a process that this command starts go by this clock.
    ///
    /// # Panics
    ///
    /// When libfaketime is not installed.
    pub fn rules(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &self.file);
        command.envs([("FAKETIME_NO_CACHE", "1"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]);
    }

    /// Sets it to be ahead of the machine's by this, or behind it.
    ///
    /// # Panics
    ///
    /// When its file cannot be written.
    pub fn set(&mut self, ahead: SignedDuration) {
        // Whoever asks for the time meanwhile must not find half of it.
        let draft = self.file.with_extension("draft");
        fs::write(&draft, format!("{:+}\n", ahead.as_secs())).expect("a file can be written");
        fs::rename(&draft, &self.file).expect("a file can be renamed");
        self.ahead = ahead;
    }

    /// What time it is by this clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::now() + self.ahead
    }
}

fn library() -> PathBuf {
    let folders = fs::read_dir(LIBRARIES).expect("there are libraries").flatten();
    let mut found = folders.map(|folder| folder.path().join(LIBRARY));
    let found = found.find(|path: &PathBuf| Path::exists(path));
    found.expect("libfaketime is not installed: run `cargo xtask setup`")
}
