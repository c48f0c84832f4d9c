//! Running the machine's own commands, with errors that say what they said.

use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail};

/// Runs `ip` with the given words and returns what it printed.
///
/// # Errors
///
/// When iproute2 is missing or the command fails.
pub fn ip(words: &str) -> Result<String> {
    let output = output(Command::new("ip").args(words.split_whitespace()))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs many `ip` commands, one a line, by one process; inside a namespace of the given name.
///
/// # Errors
///
/// When iproute2 is missing or one of the commands fails; those after it are not run.
pub fn ip_batch(namespace: &str, lines: &str) -> Result<()> {
    let mut command = Command::new("ip");
    command.args(["-n", namespace, "-batch", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| missing(&command))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that fails early closes the pipe; what it has to say about that comes below.
        let _closed_early = stdin.write_all(lines.as_bytes());
    }
    let output = child.wait_with_output()?;
    checked(&command, output).map(drop)
}

/// Runs a command to its end; an exit code other than zero is an error that ends in the last lines it printed.
///
/// # Errors
///
/// When the command is missing or fails.
pub fn output(command: &mut Command) -> Result<Output> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| missing(command))?;
    checked(command, output)
}

fn checked(command: &Command, output: Output) -> Result<Output> {
    if output.status.success() {
        return Ok(output);
    }
    let said = if output.stderr.is_empty() {
        &output.stdout
    } else {
        &output.stderr
    };
    let said = String::from_utf8_lossy(said);
    bail!("`{}`: {}\n{}", line(command), output.status, last_lines(&said, 12));
}

fn missing(command: &Command) -> String {
    format!(
        "cannot start `{}`: is {} installed?",
        line(command),
        command.get_program().display()
    )
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    words.join(" ")
}

/// The last lines of a text: where commands say what went wrong.
#[must_use]
pub fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_says_what_it_said() {
        let error = output(Command::new("sh").args(["-c", "echo no such thing >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("exit status: 3"), "{text}");
        assert!(text.ends_with("no such thing"), "{text}");
    }

    #[test]
    fn last_lines_are_the_last() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a\n", 2), "a");
    }
}
