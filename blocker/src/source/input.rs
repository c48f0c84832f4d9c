//! Standard input, as far as it goes.

use std::io::{self, Read as _};
use std::mem;
use std::os::fd::AsFd as _;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::lines::{Lines, MAX_LINE, RawLine, TooLong};
use super::position::{Position, SourceId};
use super::watch::{Stop, Woken, wait_for};
use super::{Line, Log, LogState, Source, Written};

/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// What was read of standard input and is no whole line yet, and whether its end was: it is the process's, as standard input is, and
/// outlives each that reads it.
static LEFT: Mutex<Option<(Lines, bool)>> = Mutex::new(None);

/// Standard input.
#[derive(Debug)]
pub struct Input {
    lines: Lines,
    stop: Stop,
    /// Whether it can be read without waiting.
    is_ready: bool,
    is_over: bool,
    log: [LogState; 1],
}

impl Input {
    /// Begins to read standard input, or goes on where the last one that did has stopped.
    #[must_use]
    pub fn new(stop: Stop) -> Self {
        let left = LEFT.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (lines, is_over) = left.unwrap_or_else(|| (Lines::new(MAX_LINE, TooLong::Cut), false));
        Self {
            lines,
            stop,
            is_ready: false,
            is_over,
            log: [LogState::new(Log::Input.to_string())],
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let lines = mem::replace(&mut self.lines, Lines::new(MAX_LINE, TooLong::Cut));
        *LEFT.lock().unwrap_or_else(PoisonError::into_inner) = Some((lines, self.is_over));
    }
}

impl Source for Input {
    fn read(&mut self, now: Instant, each: &mut dyn FnMut(Line<'_>)) -> bool {
        if !mem::take(&mut self.is_ready) || self.is_over {
            self.log[0].more = false;
            return false;
        }
        let mut each = |line: RawLine<'_>| {
            each(Line {
                bytes: line.bytes,
                cut: line.cut,
                written: Written::Now,
                again: false,
                logs: &[0],
            });
        };
        let mut chunk = [0; CHUNK];
        // Only what poll has announced is read, so this does not wait; and nobody else in this process reads it.
        match io::stdin().lock().read(&mut chunk) {
            Ok(0) => {
                self.is_over = true;
                self.lines.finish(&mut each);
                tracing::info!(source = %self.log[0].name, "has ended");
            }
            Ok(read) => self.lines.feed(&chunk[..read], &mut each),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                self.is_over = true;
                self.log[0].trouble = Some(now);
                tracing::error!(source = %self.log[0].name, %error, "cannot be read any more");
            }
        }
        // Whether there is more only the next wait can tell.
        self.log[0].more = false;
        false
    }

    fn wait(&mut self) -> io::Result<Woken> {
        let stopped = if self.is_over {
            let [stopped] = wait_for([self.stop.as_fd()])?;
            stopped
        } else {
            let stdin = io::stdin();
            let [ready, stopped] = wait_for([stdin.as_fd(), self.stop.as_fd()])?;
            self.is_ready = ready;
            stopped
        };
        Ok(if stopped { Woken::Stop } else { Woken::Look })
    }

    fn positions(&mut self) -> Vec<(SourceId, Position)> {
        Vec::new()
    }

    fn logs(&self) -> &[LogState] {
        &self.log
    }
}
