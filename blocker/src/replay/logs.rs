//! Several logs as the one stream of lines that an agent would have read: side by side where they are of the same time, and one behind
//! the other where one goes on where another ends, as rotated logs do.

use std::cmp::Reverse;
use std::io::{self, Read};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::filter::log::LogFilters;
use crate::source::stored::{Lines, StoredLog};
use crate::source::text;

/// Logs of which some are being read and others wait for their turn.
pub(super) struct Logs<'a> {
    /// Those that are read now: one, unless logs are of the same time.
    open: Vec<Log<'a>>,
    /// Those whose first line is still to come, the earliest last.
    waiting: Vec<Waiting<'a>>,
    /// Filters of logs that have ended. A rotated log goes on with them: sessions and failures of several lines do not end with a file.
    idle: Vec<LogFilters>,
    open_with: OpenWith<'a>,
    /// Lines that were longer than what is read of one, in logs that have ended.
    pub(super) cut: u64,
    /// Lines of streams that were passed over, because they came before any that has a time.
    pub(super) passed: u64,
}

/// What a log is opened with.
#[derive(Clone, Copy)]
pub(super) struct OpenWith<'a> {
    /// Makes the filters of one log.
    pub(super) filters: &'a dyn Fn() -> LogFilters,
    /// Lets somebody look on while bytes are read.
    pub(super) wrap: &'a dyn Fn(Box<dyn Read>) -> Box<dyn Read>,
}

/// A log as its lines are shown to its filters.
pub(super) struct Reading {
    pub(super) filters: LogFilters,
    /// When the log was written: the year of dates that name none goes by it.
    pub(super) written: Timestamp,
    /// The time of its latest line.
    pub(super) time: Option<Timestamp>,
}

/// A log that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", log.display())]
pub struct Unreadable {
    /// Its name.
    pub log: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// A log that stands at a line.
struct Log<'a> {
    stored: &'a StoredLog,
    reading: Reading,
    lines: Lines,
    line: Vec<u8>,
    /// When the line's turn is: its time, or that of the line before. One that has neither comes first, as nothing says where it belongs.
    due: Option<Timestamp>,
}

struct Waiting<'a> {
    stored: &'a StoredLog,
    /// The time of its first line that has one.
    first: Option<Timestamp>,
    /// A stream cannot be opened again: it stands at that line.
    begun: Option<Log<'a>>,
}

impl<'a> Logs<'a> {
    /// Looks where each log begins.
    pub(super) fn new(stored: &'a [StoredLog], open_with: OpenWith<'a>) -> Result<Self, Unreadable> {
        let mut logs = Self {
            open: Vec::new(),
            waiting: Vec::with_capacity(stored.len()),
            idle: Vec::new(),
            open_with,
            cut: 0,
            passed: 0,
        };
        for log in stored {
            let waiting = if stored.len() == 1 {
                Waiting::alone(log)
            } else if log.is_file() {
                Waiting::file(log, open_with)?
            } else {
                let (waiting, passed) = Waiting::stream(log, open_with)?;
                logs.passed += passed;
                waiting
            };
            logs.waiting.push(waiting);
        }
        // Those of one time in the order in which they were given.
        logs.waiting.reverse();
        logs.waiting.sort_by_key(|waiting| Reverse(waiting.first));
        Ok(logs)
    }

    /// Hands every line to `each` in the order of time, with the log that it is from.
    pub(super) fn read<E: From<Unreadable>>(
        &mut self,
        mut each: impl FnMut(&str, &mut Reading) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(mut log) = self.next()? {
            let is_alone = self.is_empty();
            loop {
                each(&text(&log.line), &mut log.reading)?;
                if !log.advance(is_alone)? {
                    self.end(log);
                    break;
                }
                if !is_alone {
                    self.open.push(log);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether there is no log beside the one that was taken out.
    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.waiting.is_empty()
    }

    /// Takes out the log whose line is the next, after beginning those whose turn comes before it.
    fn next(&mut self) -> Result<Option<Log<'a>>, Unreadable> {
        loop {
            let due = self.open.iter().map(|log| log.due);
            let next = due.enumerate().min_by_key(|(_, due)| *due);
            let begins = |waiting: &mut Waiting<'_>| next.is_none_or(|(_, due)| waiting.first < due);
            match self.waiting.pop_if(begins) {
                Some(waiting) => self.begin(waiting)?,
                None => return Ok(next.map(|(at, _)| self.open.remove(at))),
            }
        }
    }

    fn begin(&mut self, waiting: Waiting<'a>) -> Result<(), Unreadable> {
        if let Some(log) = waiting.begun {
            self.open.push(log);
            return Ok(());
        }
        let filters = self.idle.pop().unwrap_or_else(self.open_with.filters);
        let mut log = Log::open(waiting.stored, filters, self.open_with.wrap)?;
        if log.advance(self.is_empty())? {
            self.open.push(log);
        } else {
            self.end(log);
        }
        Ok(())
    }

    fn end(&mut self, log: Log<'_>) {
        self.cut += log.lines.cut;
        self.idle.push(log.reading.filters);
    }
}

impl<'a> Waiting<'a> {
    /// Whenever a log begins that is the only one, it is its turn.
    const fn alone(stored: &'a StoredLog) -> Self {
        Self {
            stored,
            first: None,
            begun: None,
        }
    }

    fn file(stored: &'a StoredLog, open_with: OpenWith<'a>) -> Result<Self, Unreadable> {
        let mut log = Log::open(stored, (open_with.filters)(), &|input| input)?;
        log.advance_to_a_date()?;
        Ok(Self {
            stored,
            first: log.due,
            begun: None,
        })
    }

    /// Says how many lines were passed over.
    fn stream(stored: &'a StoredLog, open_with: OpenWith<'a>) -> Result<(Self, u64), Unreadable> {
        let mut log = Log::open(stored, (open_with.filters)(), open_with.wrap)?;
        let passed = log.advance_to_a_date()?;
        let waiting = Self {
            stored,
            first: log.due,
            begun: log.due.is_some().then_some(log),
        };
        Ok((waiting, passed))
    }
}

impl<'a> Log<'a> {
    fn open(
        stored: &'a StoredLog,
        filters: LogFilters,
        wrap: &dyn Fn(Box<dyn Read>) -> Box<dyn Read>,
    ) -> Result<Self, Unreadable> {
        let lines = stored.open(wrap).map_err(|error| unreadable(stored, error))?;
        Ok(Self {
            stored,
            reading: Reading {
                filters,
                written: stored.written,
                time: None,
            },
            lines,
            line: Vec::new(),
            due: None,
        })
    }

    /// Goes on to the next line, and says whether there is one. Nobody asks for the turn of a log that is alone.
    fn advance(&mut self, is_alone: bool) -> Result<bool, Unreadable> {
        let Self {
            lines, line, reading, ..
        } = self;
        let is_there = lines.next(line).map_err(|error| unreadable(self.stored, error))?;
        if is_there && !is_alone {
            let time = reading.filters.time(&text(line), reading.written);
            self.due = time.or(reading.time);
        }
        Ok(is_there)
    }

    /// Goes on to the first line that has a time, and says how many others it has passed over.
    fn advance_to_a_date(&mut self) -> Result<u64, Unreadable> {
        let mut passed = 0;
        while self.advance(false)? && self.due.is_none() {
            passed += 1;
        }
        Ok(passed)
    }
}

fn unreadable(log: &StoredLog, error: io::Error) -> Unreadable {
    Unreadable {
        log: log.path().to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests;
