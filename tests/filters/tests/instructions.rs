//! What a line costs, in instructions: times on shared machines cannot be trusted, valgrind's callgrind counts the same every time.
//!
//! Two runs over logs of different length tell what a line takes from what a start does. Whoever makes the line path dearer by more
//! than a twentieth is told here; whoever makes it cheaper writes down the new figure.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use blocker_filter_tests::postfix_log::PostfixLog;
use blocker_filter_tests::program;

/// Lines of the shorter log; the longer one has so many more.
const LINES: usize = 4_000;
const MORE: usize = 8_000;
/// How much dearer a line may be than what was written down, and how much cheaper before that is to be written down anew.
const TOLERANCE: f64 = 0.05;
const CHEAPER: f64 = 0.15;

const JAILS: &str = r"
[postfix]
enabled = true
filter = postfix[mode=aggressive]
port = smtp
logpath = /nonexistent/mail.log

[postfix-sasl]
enabled = true
filter = postfix[mode=auth]
port = smtp
logpath = /nonexistent/mail.log

[postfix-ddos]
enabled = true
filter = postfix[mode=ddos]
port = smtp
logpath = /nonexistent/mail.log

[dovecot]
enabled = true
filter = dovecot[mode=aggressive]
port = smtp
logpath = /nonexistent/mail.log
";

#[test]
fn a_quarter_of_the_generated_lines_are_failures() {
    let mut log = PostfixLog::of_the_last_hour(20_000);
    let text = log.write(20_000);
    assert_eq!(text.lines().count(), 20_000);
    assert!((4_800..5_200).contains(&log.failures), "{}", log.failures);
}

/// The function that reads logs for `replay`. What a start takes with several filters is not the same every time: it looks for
/// expressions that can be led astray, until that has taken so long.
const READING: &str = "blocker::replay::Replay::run";

/// Instructions that a command takes with a log, or only a function of it, by callgrind.
fn instructions(command: &[&str], log: &Path, folder: &Path) -> f64 {
    let out = folder.join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--read-inline-info=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .args((command[0] == "replay").then(|| format!("--toggle-collect={READING}")))
        .arg(program())
        .args(
            command
                .iter()
                .map(|word| if *word == "LOG" { log.as_os_str() } else { word.as_ref() }),
        )
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    let figure = said.lines().find_map(|line| line.split_once("Collected : ")).unwrap().1;
    figure.trim().parse().unwrap()
}

/// Instructions that a line takes.
fn per_line(command: &[&str]) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut log = PostfixLog::of_the_last_hour(LINES + MORE);
    let (first, rest) = (log.write(LINES), log.write(MORE));
    let [short, long] = ["short.log", "long.log"].map(|name| folder.path().join(name));
    fs::write(&short, &first).unwrap();
    fs::write(&long, first + &rest).unwrap();
    let [short, long] = [short, long].map(|log| instructions(command, &log, folder.path()));
    (long - short) / MORE as f64
}

fn holds(what: &str, command: &[&str], written_down: f64) {
    let counted = per_line(command);
    println!("{what}: {counted:.0} instructions a line; written down are {written_down:.0}");
    let change = counted / written_down - 1.0;
    assert!(
        change <= TOLERANCE,
        "{what}: a line takes {counted:.0} instructions, {:.1} % more than the {written_down:.0} that are written down",
        change * 100.0
    );
    assert!(
        change >= -CHEAPER,
        "{what}: {counted:.0} instructions; write the better figure down in place of {written_down:.0}"
    );
}

#[test]
fn a_line_through_one_filter_takes_no_more_instructions_than_it_did() {
    holds(
        "one filter",
        &["test", "LOG", "postfix[mode=aggressive]", "--tz", "UTC"],
        24_000.0,
    );
}

#[test]
fn a_line_through_four_jails_takes_no_more_instructions_than_it_did() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("jail.conf"), JAILS).unwrap();
    let config = folder.path().to_str().unwrap();
    holds("four jails", &["replay", "LOG", "--config", config], 28_400.0);
}
