//! A mail by a program that is called as sendmail is.

use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Bytes that are read of what it says when something is wrong.
const SAID: u64 = 1024;
/// How long the last of that is waited for once it has ended: what it has started may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Has the program take the mail, whose header names to whom it goes.
pub(super) async fn deliver(program: &Path, mail: &str) -> Result<()> {
    let mut command = Command::new(program);
    command
        .args(["-i", "-t"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A group of its own, so that whatever it starts ends with it.
        .process_group(0)
        .kill_on_drop(true);
    let mut running = Running(command.spawn().context("cannot be started")?);
    let (stdin, stderr) = (running.0.stdin.take(), running.0.stderr.take());
    let mut said = Vec::new();
    let status = {
        let mut reading = pin!(async {
            if let Some(mut stderr) = stderr {
                // What could not be read is not said. The rest is read too: a program whose words nobody takes is ended by the kernel.
                let _ = (&mut stderr).take(SAID).read_to_end(&mut said).await;
                let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
            }
        });
        let mut ending = pin!(async {
            if let Some(mut stdin) = stdin {
                // Whether it has read everything is for its exit status to say.
                let _ = stdin.write_all(mail.as_bytes()).await;
            }
            running.0.wait().await
        });
        let mut is_read = false;
        let status = loop {
            tokio::select! {
                status = &mut ending => break status,
                () = &mut reading, if !is_read => is_read = true,
            }
        };
        if !is_read {
            let _ = timeout(LAST_WORDS, reading).await;
        }
        status.context("cannot be waited for")?
    };
    if status.success() {
        return Ok(());
    }
    bail!("{status}; it said: {}", String::from_utf8_lossy(&said).trim())
}

/// A program that ends with this value, and whatever it has started with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has a number until it has been waited for; the runtime does that after this.
        if let Some(group) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}
