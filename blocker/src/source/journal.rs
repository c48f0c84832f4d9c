//! The systemd journal, as journalctl(1) follows it.
//!
//! journalctl runs as a child process that writes one entry a line in JSON. When it ends it is started again, behind the entry that
//! was read last; each time later, so that what always fails costs little. Which entries there are is its business, what is in
//! one is the business of `entry`.

mod child;
pub mod entry;
mod selection;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use self::child::Running;
use self::entry::{Entry, FIELDS};
pub use self::selection::Selection;
use super::lines::{Lines, MAX_LINE, RawLine, TooLong};
use super::position::{Position, Positions, SourceId};
use super::watch::{Stop, Woken, wait_for};
use super::{Line, LogState, Source, Written};

/// The program, which is looked for where programs are.
pub const PROGRAM: &str = "journalctl";
/// Longest entry in JSON that is taken in. One that is longer is skipped, and counts as a line that was cut.
const MAX_ENTRY: usize = 1024 * 1024;
/// Bytes read at a time, and how many times before others have their turn.
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 4;
/// Between the end of a child and the start of the next; doubled each time.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A child that has lived so long is sound, even if there was nothing to say.
const SOUND: Duration = Duration::from_secs(10);
/// Children that end without a word before the cursor is taken for the reason: its journal may be gone.
const FRUITLESS: u32 = 2;

/// A part of the systemd journal.
#[derive(Debug)]
pub struct Journal {
    program: PathBuf,
    selection: Selection,
    child: Option<(Running, Instant)>,
    lines: Lines,
    last: Option<Last>,
    /// Entries up to this time were read by a former agent.
    former: Option<Timestamp>,
    /// Entries up to this time were read before, and come again.
    again_until: Option<Timestamp>,
    /// Entries from before lead to nothing.
    since: Timestamp,
    /// Whether there are new entries since the position was told.
    moved: bool,
    delay: Duration,
    retry: Instant,
    fruitless: u32,
    stop: Stop,
    log: [LogState; 1],
}

/// The entry that was read last.
#[derive(Clone, Debug)]
struct Last {
    cursor: String,
    time: Timestamp,
}

impl Journal {
    /// Begins to follow a part of the journal, from `since`; `positions` say what of that a former agent has read. Nothing is started yet.
    #[must_use]
    pub fn new(selection: Selection, positions: &Positions, since: Timestamp, stop: Stop) -> Self {
        let name = selection.to_string();
        let former = match positions.get(&SourceId::journal(&name)) {
            Some(Position::Journal { time, .. }) => Some(*time),
            Some(Position::File { .. }) | None => None,
        };
        Self {
            program: PathBuf::from(PROGRAM),
            selection,
            child: None,
            lines: new_lines(),
            again_until: None,
            last: None,
            former,
            since,
            moved: false,
            delay: FIRST_DELAY,
            retry: Instant::now(),
            fruitless: 0,
            stop,
            log: [LogState::new(name)],
        }
    }

    fn command(&mut self) -> Command {
        let mut command = Command::new(&self.program);
        command.args([
            "--follow",
            "--no-tail",
            "--output=json",
            "--all",
            "--quiet",
            "--no-pager",
        ]);
        command.arg(format!("--output-fields={FIELDS}"));
        self.again_until = None;
        command.arg(match &self.last {
            Some(last) if last.time >= self.since && self.fruitless < FRUITLESS => {
                format!("--after-cursor={}", last.cursor)
            }
            Some(last) if last.time >= self.since => {
                self.again_until = Some(last.time);
                format!("--since=@{}", last.time.as_second())
            }
            _ => format!("--since=@{}", self.since.as_second()),
        });
        command.args(self.selection.arguments());
        command
    }

    /// Starts a child when it is time.
    fn start(&mut self, now: Instant) {
        if now < self.retry {
            return;
        }
        self.lines.forget();
        match Running::start(&mut self.command()) {
            Ok(running) => self.child = Some((running, now)),
            Err(error) => self.failed(now, &format!("cannot be started: {error}")),
        }
    }

    fn ended(&mut self, now: Instant) {
        if let Some((running, started)) = self.child.take() {
            self.fruitless += 1;
            let how = running.end();
            if now.duration_since(started) >= SOUND {
                self.is_sound();
            }
            self.failed(now, &format!("has ended: {how}"));
        }
    }

    /// Puts the next start off, and says once what is wrong.
    fn failed(&mut self, now: Instant, what: &str) {
        self.retry = now + self.delay;
        self.delay = (self.delay * 2).min(LONGEST_DELAY);
        self.trouble(now, what);
    }

    fn trouble(&mut self, now: Instant, what: &str) {
        let [log] = &mut self.log;
        if log.trouble.is_none() {
            log.trouble = Some(now);
            tracing::warn!(source = %log.name, "journalctl {what}; it is started again and again until it goes on");
        }
    }

    fn is_sound(&mut self) {
        self.delay = FIRST_DELAY;
        self.fruitless = 0;
        let [log] = &mut self.log;
        if log.trouble.take().is_some() {
            tracing::info!(source = %log.name, "journalctl goes on");
        }
    }

    /// Hands on what a line of journalctl's says.
    fn take(&mut self, raw: RawLine<'_>, now: Instant, each: &mut dyn FnMut(Line<'_>)) {
        let entry = Entry::parse(raw.bytes);
        let (text, cut, written) = match &entry {
            Some(entry) => {
                if self.again_until.is_some_and(|until| entry.time <= until) {
                    return;
                }
                self.again_until = None;
                let len = entry.line.floor_char_boundary(MAX_LINE);
                (&entry.line[..len], len < entry.line.len(), Written::At(entry.time))
            }
            // It shows as a line that nobody can date.
            None => ("", raw.cut, Written::Before),
        };
        let again = match &entry {
            Some(entry) => self.former.is_some_and(|former| entry.time <= former),
            None => self.former.is_some(),
        };
        each(Line {
            bytes: text.as_bytes(),
            cut,
            written,
            again,
            logs: &[0],
        });
        match entry {
            Some(Entry { cursor, time, .. }) => {
                self.last = Some(Last { cursor, time });
                if !again {
                    self.former = None;
                    self.moved = true;
                }
                self.is_sound();
            }
            None if raw.cut => {}
            None => self.trouble(now, "writes what is no entry of a journal"),
        }
    }
}

impl Source for Journal {
    fn read(&mut self, now: Instant, each: &mut dyn FnMut(Line<'_>)) -> bool {
        if self.child.is_none() {
            self.start(now);
        }
        let mut chunk = [0; CHUNK];
        self.log[0].more = false;
        for _ in 0..CHUNKS {
            let Some((running, started)) = &mut self.child else {
                return false;
            };
            match running.read(&mut chunk) {
                Ok(Some(0)) => {
                    self.ended(now);
                    return false;
                }
                Ok(Some(read)) => {
                    let mut lines = std::mem::replace(&mut self.lines, new_lines());
                    lines.feed(&chunk[..read], &mut |line| self.take(line, now, each));
                    self.lines = lines;
                }
                Ok(None) => {
                    if self.log[0].trouble.is_some() && now.duration_since(*started) >= SOUND {
                        self.is_sound();
                    }
                    return false;
                }
                Err(error) => {
                    tracing::debug!(%error, "what journalctl writes cannot be read");
                    self.ended(now);
                    return false;
                }
            }
        }
        self.log[0].more = true;
        true
    }

    fn wait(&mut self) -> io::Result<Woken> {
        let stopped = match &self.child {
            Some((running, _)) => {
                let [_, stopped] = wait_for([running.as_fd(), self.stop.as_fd()])?;
                stopped
            }
            None => {
                let [stopped] = wait_for([self.stop.as_fd()])?;
                stopped
            }
        };
        Ok(if stopped { Woken::Stop } else { Woken::Look })
    }

    fn positions(&mut self) -> Vec<(SourceId, Position)> {
        if !std::mem::take(&mut self.moved) {
            return Vec::new();
        }
        let position = self
            .last
            .clone()
            .map(|Last { cursor, time }| Position::Journal { cursor, time });
        let id = SourceId::journal(&self.log[0].name);
        position.map(|position| (id, position)).into_iter().collect()
    }

    fn logs(&self) -> &[LogState] {
        &self.log
    }
}

const fn new_lines() -> Lines {
    Lines::new(MAX_ENTRY, TooLong::Skip)
}

/// Whether the program is on this machine.
#[must_use]
pub fn is_installed() -> bool {
    let path: OsString = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(PROGRAM).is_file())
}

/// Whether the system keeps a journal: the program alone is there without systemd too.
#[must_use]
pub fn is_kept() -> bool {
    let mut folders = ["/run/log/journal", "/var/log/journal"].iter().map(Path::new);
    let holds_journal = |folder: &Path| {
        let machines = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let files = machines.flat_map(|machine| std::fs::read_dir(machine.path()).into_iter().flatten().flatten());
        files
            .into_iter()
            .any(|file| file.path().extension().is_some_and(|suffix| suffix == "journal"))
    };
    is_installed() && folders.any(holds_journal)
}

#[cfg(test)]
mod tests;
