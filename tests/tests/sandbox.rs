//! `cargo xtask run`: what a newcomer sees first. A real Postfix, real SMTP; the figures come from Postfix's log and the packets.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use blocker_tests::{eventually, require_root};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// What the show points at, and tries.
const COMMANDS: [&str; 4] = ["status", "bans", "why", "top"];

/// The program behind `cargo xtask`, as it was built for running the tests.
fn xtask(arguments: &[&str]) -> Command {
    require_root();
    // Cargo tells its own path to tests, and the alias `xtask` is the workspace's.
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["run", "--quiet", "--package", "xtask", "--", "run"])
        .args(arguments);
    command
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stdin(Stdio::null());
    command
}

/// Namespaces, mounts and records of labs whose names contain this.
fn left_behind(lab: &str) -> Vec<String> {
    let namespaces = Command::new("ip").args(["netns", "list"]).output().unwrap().stdout;
    let namespaces = String::from_utf8_lossy(&namespaces).into_owned();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let records = fs::read_dir("/run/blocker-lab").map_or(Vec::new(), |entries| {
        entries
            .map(|entry| entry.unwrap().path().display().to_string())
            .collect()
    });
    let all = namespaces
        .lines()
        .chain(mounts.lines())
        .chain(records.iter().map(String::as_str));
    all.filter(|line| line.contains(lab)).map(str::to_owned).collect()
}

fn shows_the_main_job(firewall: &str) {
    let child = xtask(&["--seconds", "10", "--json", "--firewall", firewall]);
    let output = { child }.stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    println!("{firewall}: {stdout}");
    let figures: Value = serde_json::from_str(stdout.trim()).expect("one object and nothing else");
    let number = |key: &str| figures[key].as_f64().unwrap_or_else(|| panic!("{key} in {stdout}"));
    assert_eq!(figures["firewall"], firewall);
    assert!(number("bans") >= 2.0, "{stdout}{said}");
    assert!(number("dropped_packets") >= 1.0, "{stdout}{said}");
    assert!(number("banned_connects_after_ban") == 0.0, "{stdout}{said}");
    assert!(number("honest_deliveries") >= 1.0, "{stdout}{said}");
    for command in COMMANDS {
        assert_eq!(figures["commands"][command], true, "{command}: {stdout}{said}");
        assert!(said.contains(&format!("blocker {command}")), "{command}: {said}");
    }
}

#[test]
fn shows_the_main_job_with_xdp() {
    shows_the_main_job("xdp");
}

#[test]
fn shows_the_main_job_with_nftables() {
    shows_the_main_job("nftables");
}

/// Starts a show and waits until its hosts are there. Gives the process and the beginning of its namespaces' names.
///
/// Cargo becomes the program that it runs, so the process is the show's own.
fn begin() -> (Child, String) {
    let mut show = xtask(&["--seconds", "60"]);
    let show = show.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let lab = format!("blk-{}-", show.id());
    eventually("the sandbox has its hosts", || {
        left_behind(&lab).iter().any(|line| line.contains("honest"))
    });
    (show, lab)
}

fn end(mut show: Child, signal: Signal) {
    kill(Pid::from_raw(show.id().try_into().unwrap()), signal).unwrap();
    show.wait().unwrap();
}

#[test]
fn what_it_says_can_be_typed_works_for_as_long_as_it_is_held() {
    let mut show = xtask(&["--seconds", "8", "--hold"]);
    let mut show = show.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let lab = format!("blk-{}-", show.id());
    let mut lines = BufReader::new(show.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said: Vec<String> = Vec::new();
    loop {
        let line = lines.next().unwrap_or_else(|| panic!("it ended:\n{}", said.join("\n")));
        let is_held = line.contains("goes on until Ctrl-C");
        said.push(line);
        if is_held {
            break;
        }
    }
    println!("{}", said.join("\n"));
    for command in COMMANDS {
        let typed = said.iter().map(|line| line.trim()).find(|line| {
            line.contains(&format!("blocker {command}")) && line.contains(" --socket ") && !line.starts_with('$')
        });
        let typed = typed.unwrap_or_else(|| panic!("{command} is not shown"));
        // There is no terminal for it here.
        let unseen = if command == "top" { " --json --count 1" } else { "" };
        let typed = format!("{typed}{unseen}");
        let mut shell = Command::new("sh");
        let output = shell
            .args(["-c", &typed])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let output = output.output().unwrap();
        assert!(
            output.status.success() && !output.stdout.is_empty(),
            "`{typed}`: {output:?}"
        );
    }
    kill(Pid::from_raw(show.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    // Whatever it still says is taken, so that it need not wait for that.
    let rest: Vec<String> = lines.collect();
    assert!(show.wait().unwrap().success(), "{}", rest.join("\n"));
    assert_eq!(left_behind(&lab), Vec::<String>::new());
}

#[test]
fn ctrl_c_removes_everything() {
    let (show, lab) = begin();
    end(show, Signal::SIGINT);
    assert_eq!(left_behind(&lab), Vec::<String>::new());
}

#[test]
fn what_a_killed_run_left_is_cleared_by_the_next() {
    let (show, lab) = begin();
    end(show, Signal::SIGKILL);
    let (next, _) = begin();
    assert_eq!(left_behind(&lab), Vec::<String>::new());
    end(next, Signal::SIGINT);
}
