//! journalctl(1) as a child process whose words are read without waiting.
//!
//! It ends by itself when nobody reads what it says any more, so it does not outlive an agent that was killed.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// How much is kept of what it says on standard error: the last of it.
const SAID: usize = 1024;

/// A running child.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    stdout: ChildStdout,
    stderr: ChildStderr,
    said: Vec<u8>,
}

impl Running {
    /// Starts the command.
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Ctrl-C in a terminal is for the agent, which then ends its child.
        command.process_group(0);
        let mut child = command.spawn()?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        for fd in [stdout.as_fd(), stderr.as_fd()] {
            fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self {
            child,
            stdout,
            stderr,
            said: Vec::new(),
        })
    }

    /// What becomes readable when it has said something, or has ended.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stdout.as_fd()
    }

    /// Reads what it has said: `None` where that is nothing yet, no bytes where it has ended.
    pub(super) fn read(&mut self, chunk: &mut [u8]) -> io::Result<Option<usize>> {
        self.listen();
        without_waiting(&mut self.stdout, chunk)
    }

    /// Takes in what it says on standard error.
    fn listen(&mut self) {
        let mut chunk = [0; SAID];
        while let Ok(Some(read @ 1..)) = without_waiting(&mut self.stderr, &mut chunk) {
            self.said.extend_from_slice(&chunk[..read]);
            let excess = self.said.len().saturating_sub(SAID);
            self.said.drain(..excess);
        }
    }

    /// Ends it, if it has not ended, and tells how it ended and what it said last.
    pub(super) fn end(mut self) -> String {
        // It may have ended by itself, which then shows in its status.
        let by_itself = self.child.try_wait().ok().flatten();
        let _ = self.child.kill();
        let status = by_itself.or_else(|| self.child.wait().ok());
        self.listen();
        let said = String::from_utf8_lossy(&self.said);
        let status = status.map(|status| status.to_string()).unwrap_or_default();
        match said.trim().lines().last() {
            Some(last) => format!("{status}: {last}"),
            None => status,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn without_waiting(from: &mut impl Read, chunk: &mut [u8]) -> io::Result<Option<usize>> {
    match from.read(chunk) {
        Ok(read) => Ok(Some(read)),
        Err(error) if [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted].contains(&error.kind()) => Ok(None),
        Err(error) => Err(error),
    }
}
