//! Runs one command, for no longer than it may take.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::source::watch::Stop;

/// How long a command may take; fail2ban's own limit.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(10);

/// What a command said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The host is ignored: exit status 0.
    Yes,
    /// It is not: exit status 1.
    No,
    /// Nothing that can be used.
    Failed(String),
    /// The agent stops.
    Stopped,
}

/// Has the shell run a line, as fail2ban does, so that what works there works here.
pub(super) fn run(line: &str, stop: &Stop) -> Outcome {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", line])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // A group of its own, so that whatever it starts ends with it.
    let mut running = match command.process_group(0).spawn() {
        Ok(child) => Running(child),
        Err(error) => return Outcome::Failed(format!("cannot be started: {error}")),
    };
    let deadline = Instant::now() + LIMIT;
    loop {
        match running.0.try_wait() {
            Ok(Some(status)) => return outcome(status),
            Ok(None) if stop.is_given() => return Outcome::Stopped,
            Ok(None) if Instant::now() >= deadline => {
                return Outcome::Failed(format!("has not ended after {} s", LIMIT.as_secs()));
            }
            Ok(None) => std::thread::park_timeout(LOOK),
            Err(error) => return Outcome::Failed(format!("cannot be waited for: {error}")),
        }
    }
}

fn outcome(status: ExitStatus) -> Outcome {
    match status.code() {
        Some(0) => Outcome::Yes,
        Some(1) => Outcome::No,
        _ => Outcome::Failed(status.to_string()),
    }
}

/// A command that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.0.try_wait()
            && let Ok(group) = i32::try_from(self.0.id())
        {
            // It has not been waited for, so the number is still its own.
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
            let _ = self.0.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_is_the_answer() {
        let stop = Stop::new().unwrap();
        assert_eq!(run("test 192.0.2.7 = 192.0.2.7", &stop), Outcome::Yes);
        assert_eq!(run("test 192.0.2.7 = 192.0.2.8", &stop), Outcome::No);
        for broken in ["exit 2", "/nowhere/command", "kill -9 $$"] {
            assert!(matches!(run(broken, &stop), Outcome::Failed(_)), "{broken}");
        }
    }

    #[test]
    fn a_command_that_does_not_end_keeps_no_agent_from_stopping() {
        let stop = Stop::new().unwrap();
        stop.stop();
        let begin = Instant::now();
        assert_eq!(run("sleep 50 & sleep 50", &stop), Outcome::Stopped);
        assert!(begin.elapsed() < LIMIT);
    }
}
