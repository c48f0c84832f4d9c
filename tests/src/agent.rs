//! The agent as a process, and what it says.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{DEADLINE, POLL, programs};

/// A running agent; it is killed with this value.
pub struct Agent {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// The agent's program.
///
/// # Panics
///
/// When it was not built.
#[must_use]
pub fn program() -> std::path::PathBuf {
    let program = programs().join("blocker");
    assert!(
        program.exists(),
        "{}: not built yet; run `cargo xtask test`",
        program.display()
    );
    program
}

impl Agent {
    /// Starts `command` and follows what it says on standard error.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command.env_remove("BLOCKER_LOG");
        Self::start_as_it_is(command)
    }

    /// As [`Agent::start`], with whatever logging the command asks for.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start_as_it_is(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the agent starts");
        let stderr = child.stderr.take().expect("it is a pipe");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The process ids of its children by this name.
    ///
    /// # Panics
    ///
    /// When it is gone.
    #[must_use]
    pub fn children(&self, name: &str) -> Vec<u32> {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.id())).expect("the agent lives");
        let of_thread = |thread: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(thread.ok()?.path().join("children")).ok()
        };
        let children: Vec<String> = threads.filter_map(of_thread).collect();
        let children = children
            .iter()
            .flat_map(|text| text.split_whitespace())
            .filter_map(|pid| pid.parse().ok());
        let is_called =
            |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim_end() == name);
        children.filter(is_called).collect()
    }

    /// Waits for a line that contains all of these parts, and gives it. Lines before it are passed over.
    ///
    /// # Panics
    ///
    /// When there is none in time, with everything that the agent said.
    pub fn says(&mut self, parts: &[&str]) -> String {
        self.says_each(&[parts]).swap_remove(0)
    }

    /// Waits until it has said a line for each of these, in whatever order, and gives the lines in the order that they are asked for in.
    /// A line is taken for the first that it fits.
    ///
    /// For what different threads of the agent say: none waits for another there.
    ///
    /// # Panics
    ///
    /// When one is missing in time, with everything that the agent said.
    pub fn says_each(&mut self, wanted: &[&[&str]]) -> Vec<String> {
        let mut found: Vec<Option<String>> = vec![None; wanted.len()];
        let deadline = Instant::now() + DEADLINE;
        while let Some(missing) = found.iter().position(Option::is_none) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                let parts = wanted[missing];
                panic!("the agent did not say {parts:?}; it said:\n{}", self.seen.join("\n"));
            };
            self.seen.push(line.clone());
            let mut open = found.iter_mut().zip(wanted).filter(|(found, _)| found.is_none());
            if let Some((found, _)) = open.find(|(_, parts)| parts.iter().all(|part| line.contains(part))) {
                *found = Some(line);
            }
        }
        found.into_iter().flatten().collect()
    }

    /// Everything it has said so far.
    pub fn said(&mut self) -> &[String] {
        self.seen.extend(self.lines.try_iter());
        &self.seen
    }

    /// The memory that it has in RAM, in KiB.
    ///
    /// # Panics
    ///
    /// When it is gone.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the agent lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .expect("the kernel tells it")
    }

    /// Sends a signal.
    ///
    /// # Panics
    ///
    /// When the agent is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("the agent lives");
    }

    /// Waits for its end, and gives the exit status and what it said.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    pub fn ends(&mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the agent can be waited for") {
                // The pipe is closed by now, so the rest arrives without delay.
                self.seen.extend(self.lines.iter());
                return (status, self.seen.join("\n"));
            }
            assert!(Instant::now() < deadline, "the agent does not end");
            std::thread::park_timeout(POLL);
        }
    }

    /// Asks it to stop and waits for its end.
    pub fn stop(&mut self) -> (ExitStatus, String) {
        self.signal(Signal::SIGTERM);
        self.ends()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
