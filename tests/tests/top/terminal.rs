//! A terminal with a program on it: a real pseudo-terminal, and what a terminal would make of what the program sends.

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blocker_tests::eventually;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pty_process::Size;
use pty_process::blocking::{Pts, Pty};
use vt100::{Color, Parser, Screen};

/// A terminal with a program on it; the program is killed with this value.
pub struct Terminal {
    pty: Arc<Pty>,
    pts: Pts,
    child: Child,
    parser: Arc<Mutex<Parser>>,
    /// The settings that the program found.
    settings: String,
}

impl Terminal {
    /// Starts a program on a terminal of so many columns and rows.
    pub fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        let settings = settings(&pts);
        command.env("TERM", "xterm-256color");
        let child = pty_process::blocking::Command::from(command)
            .spawn_borrowed(&pts)
            .unwrap();
        let (pty, parser) = (Arc::new(pty), Arc::new(Mutex::new(parser(columns, rows))));
        let (reader, screen) = (Arc::clone(&pty), Arc::clone(&parser));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = (&*reader).read(&mut bytes) {
                locked(&screen).process(&bytes[..count]);
            }
        });
        Self {
            pty,
            pts,
            child,
            parser,
            settings,
        }
    }

    /// What is on the screen.
    pub fn text(&self) -> String {
        locked(&self.parser).screen().contents()
    }

    /// What this makes of the screen.
    pub fn screen<T>(&self, make: impl FnOnce(&Screen) -> T) -> T {
        make(locked(&self.parser).screen())
    }

    /// Whether all of these stand in one line.
    pub fn has(&self, words: &[&str]) -> bool {
        let text = self.text();
        text.lines().any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// Waits until all of these stand in one line.
    pub fn shows(&self, words: &[&str]) {
        self.comes_to(&format!("{words:?}"), || self.has(words));
    }

    /// Waits until this holds of the screen.
    pub fn comes_to(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let wait = || eventually(what, &mut condition);
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(wait)).is_err() {
            panic!("not on the screen in time: {what}\n{}", self.text());
        }
    }

    /// Whether anything on the screen has a colour.
    pub fn is_coloured(&self) -> bool {
        let parser = locked(&self.parser);
        let (rows, columns) = parser.screen().size();
        let mut cells = (0..rows.get()).flat_map(|row| (0..columns.get()).map(move |column| (row, column)));
        cells.any(|(row, column)| {
            let cell = parser.screen().cell(row, column).unwrap();
            (cell.fgcolor(), cell.bgcolor()) != (Color::Default, Color::Default)
        })
    }

    /// Types this.
    pub fn types(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Gives the terminal another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        // What was on it is gone: only what is drawn anew is on it.
        *locked(&self.parser) = parser(columns, rows);
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits until the program has ended.
    pub fn ends(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Waits until the terminal is as the program has found it.
    pub fn is_given_back(&self) {
        eventually("the alternate screen is left and the cursor is shown", || {
            let parser = locked(&self.parser);
            !parser.screen().alternate_screen() && !parser.screen().hide_cursor()
        });
        assert_eq!(settings(&self.pts), self.settings);
    }

    /// Whether the program has the terminal to itself.
    pub fn is_taken(&self) -> bool {
        locked(&self.parser).screen().alternate_screen() && settings(&self.pts) != self.settings
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn parser(columns: u16, rows: u16) -> Parser {
    Parser::new(NonZeroU16::new(rows).unwrap(), NonZeroU16::new(columns).unwrap(), 0)
}

fn locked(parser: &Mutex<Parser>) -> MutexGuard<'_, Parser> {
    parser.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal's settings, as `stty` tells them.
fn settings(pts: &Pts) -> String {
    let input = Stdio::from(pts.as_fd().try_clone_to_owned().unwrap());
    let output = Command::new("stty").arg("-g").stdin(input).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
