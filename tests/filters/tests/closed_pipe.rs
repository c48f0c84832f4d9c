//! Whoever reads what a command prints may have read enough before it ends, as `head` has: that is no failure, and no panic.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::io;
use std::process::{Command, ExitStatus, Stdio};

use blocker_filter_tests::program;

/// Runs the command with both of its outputs going to a pipe that nobody reads.
fn run(arguments: &[&str]) -> ExitStatus {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null());
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    command.status().unwrap()
}

#[test]
fn no_command_panics_where_nobody_reads_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().to_str().unwrap();
    let log = folder.path().join("mail.log");
    let log = log.to_str().unwrap();
    fs::write(log, "2005-08-14T11:58:00 from 192.0.2.4\n".repeat(10_000)).unwrap();
    let jail = format!("[mail]\nenabled = true\nfilter = postfix\nport = 25\nlogpath = {log}\n");
    fs::write(folder.path().join("jail.conf"), jail).unwrap();
    for arguments in [
        &["--version"][..],
        &["test", "--help"],
        &["test", log, "postfix"],
        &["test", log, "postfix", "--json"],
        &["test", "--list-regexes", "postfix"],
        &["replay", log, "--config", config],
        &["replay", log, "--config", config, "--json"],
        // Where it is not root, this is a failure for that reason.
        &[
            "check",
            "--config",
            config,
            "--firewall",
            "nftables",
            "--interface",
            "lo",
        ],
        &["check", "--config", "/nonexistent"],
        &["test", log, "postfxi"],
    ] {
        let code = run(arguments).code();
        assert!(code == Some(0) || code == Some(1), "{arguments:?}: {code:?}");
    }
    assert_eq!(run(&["test", log, "postfix", "--json"]).code(), Some(0));
    assert_eq!(run(&["replay", log, "--config", config]).code(), Some(0));
    assert_eq!(run(&["test", log, "postfxi"]).code(), Some(1));
}
