//! What a program writes into a log of its own, read on as it grows.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::str::Lines;

/// A program's own log.
pub(crate) struct Said {
    log: PathBuf,
    /// Bytes that were read.
    read: u64,
    text: String,
}

impl Said {
    pub(crate) const fn new(log: PathBuf) -> Self {
        Self {
            log,
            read: 0,
            text: String::new(),
        }
    }

    /// All lines that are in it by now.
    pub(crate) fn lines(&mut self) -> io::Result<Lines<'_>> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.read))?;
        self.read += file.read_to_string(&mut self.text)? as u64;
        Ok(self.text.lines())
    }

    /// How many lines hold this text.
    pub(crate) fn count(&mut self, part: &str) -> io::Result<usize> {
        Ok(self.lines()?.filter(|line| line.contains(part)).count())
    }
}
