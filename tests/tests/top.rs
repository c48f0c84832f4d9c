//! `blocker top` on a real pseudo-terminal, over a real agent that drops real packets.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

#[path = "top/picture.rs"]
mod picture;
#[path = "top/terminal.rs"]
mod terminal;

use std::net::IpAddr;
use std::process::{Command, Output};

use blocker_lab::network::SPAMMERS;
use blocker_tests::agent::program;
use blocker_tests::knocking::knock;
use blocker_tests::on_both_firewalls;
use blocker_tests::relay::Relay;
use nix::sys::signal::Signal;
use serde_json::Value;

use self::terminal::Terminal;

on_both_firewalls! {
    the_screen_shows_what_the_kernel_drops_and_the_terminal_is_given_back
}

const FIRST: IpAddr = IpAddr::V4(SPAMMERS[0]);
const SECOND: IpAddr = IpAddr::V4(SPAMMERS[1]);

fn command(relay: &Relay, arguments: &[&str]) -> Command {
    let mut command = relay.lab.relay().command(program());
    command.args(arguments).env_remove("NO_COLOR");
    command
}

fn top(relay: &Relay, columns: u16, rows: u16) -> Terminal {
    Terminal::start(command(relay, &["top", "--interval", "0.5"]), columns, rows)
}

fn objects(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The host's packets as `blocker bans` tells them.
fn packets(relay: &Relay, host: IpAddr) -> u64 {
    let output = command(relay, &["bans", &host.to_string(), "--json"]).output().unwrap();
    objects(&output)[0]["packets"].as_u64().unwrap()
}

fn the_screen_shows_what_the_kernel_drops_and_the_terminal_is_given_back(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    let mut top = top(&relay, 80, 24);
    top.shows(&[firewall, "0 in force, 100.0 % enforced", "brake off"]);
    assert!(top.is_taken());
    for host in [FIRST, SECOND] {
        relay.reject(host, 2);
        agent.says(&["INFO banned"]);
    }
    knock(&relay, FIRST, 321);
    knock(&relay, SECOND, 5);
    assert_eq!(packets(&relay, FIRST), 321);
    top.shows(&["192.0.2.7", "spam", " 321 "]);
    top.shows(&["192.0.2.8", "spam", " 5 "]);
    let text = top.text();
    let at = |words: &str| text.find(words).unwrap();
    assert!(
        at("loudest hosts") < at("192.0.2.7") && at("192.0.2.7") < at("192.0.2.8"),
        "{text}"
    );
    top.shows(&["spam", " 2 ", " 4 ", " 326 "]);
    top.shows(&["2 in force"]);
    top.comes_to("a peak of drops", || {
        top.text()
            .lines()
            .any(|line| line.starts_with("peak ") && !line.starts_with("peak 0/s"))
    });
    assert!(top.is_coloured());
    println!("{}", top.text());

    top.resize(120, 40);
    top.shows(&["192.0.2.7", "spam", " 321 "]);
    top.comes_to("the last line of the larger screen", || {
        top.text()
            .lines()
            .nth(39)
            .is_some_and(|line| line.starts_with("q quit") && line.len() > 100)
    });
    top.resize(40, 10);
    top.shows(&["40 by 10 is too small"]);
    top.resize(80, 24);
    top.shows(&["192.0.2.7", "spam", " 321 "]);

    top.types("s");
    top.shows(&["latest hosts"]);
    top.types("?");
    top.shows(&["q, Esc, Ctrl-C", "quit"]);
    // Escape leaves the keys first.
    top.types("\u{1b}");
    top.comes_to("the keys are gone", || !top.has(&["q, Esc, Ctrl-C"]));
    top.types("p");
    top.shows(&["paused"]);
    knock(&relay, FIRST, 79);
    top.types("p");
    top.shows(&["192.0.2.7", "spam", " 400 "]);
    top.types("q");
    assert_eq!(top.ends().code(), Some(0));
    top.is_given_back();
}

#[test]
fn an_agent_that_is_killed_is_told_of_and_the_next_one_is_seen() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned"]);
    let mut top = top(&relay, 100, 30);
    top.shows(&["192.0.2.7", "spam"]);
    agent.signal(Signal::SIGKILL);
    agent.ends();
    top.shows(&["! the agent does not answer"]);
    top.shows(&["! no agent runs here"]);
    assert!(top.has(&["192.0.2.7", "spam"]), "its last word stays: {}", top.text());
    let _next = relay.start("nftables");
    top.comes_to("no word of it any more", || !top.text().contains("does not answer"));
    knock(&relay, FIRST, 50);
    top.shows(&["192.0.2.7", "spam", " 50 "]);
    top.types("\u{3}");
    assert_eq!(top.ends().code(), Some(0), "Ctrl-C");
    top.is_given_back();
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_given_back() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let mut top = top(&relay, 80, 24);
        top.shows(&["q quit"]);
        assert!(top.is_taken());
        top.signal(signal);
        assert_eq!(top.ends().code(), Some(128 + signal as i32));
        top.is_given_back();
    }
}

#[test]
fn without_colours_where_none_are_wanted() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    let mut command = command(&relay, &["top"]);
    command.env("NO_COLOR", "1");
    let top = Terminal::start(command, 80, 24);
    top.shows(&["dropped 0/s"]);
    assert!(!top.is_coloured());
}

#[test]
fn without_a_terminal_or_an_agent_it_says_so_and_touches_no_screen() {
    let relay = Relay::new("3600");
    let output = command(&relay, &["top"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("no terminal") && text.contains("blocker status --json"),
        "{text}"
    );
    let mut top = top(&relay, 100, 24);
    assert_eq!(top.ends().code(), Some(3));
    top.shows(&["blocker: no agent runs here"]);
    top.is_given_back();
    let output = command(&relay, &["top", "--json"]).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0));
}

#[test]
fn as_json_it_needs_no_terminal_and_tells_rates() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned"]);
    let mut json = command(&relay, &["top", "--json", "--interval", "0.5", "--count", "4"]);
    let json = std::thread::scope(|scope| {
        let reading = scope.spawn(|| json.output().unwrap());
        knock(&relay, FIRST, 30);
        reading.join().unwrap()
    });
    let polls = objects(&json);
    assert_eq!(polls.len(), 4);
    assert_eq!(polls[0]["rates"], Value::Null);
    assert!(polls[1]["rates"]["dropped_packets_per_second"].as_f64().unwrap() >= 0.0);
    let last = &polls[3];
    assert_eq!(last["status"]["dropped_packets"], 30);
    assert_eq!(last["loudest"][0]["address"], "192.0.2.7");
    assert_eq!(last["loudest"][0]["packets"], packets(&relay, FIRST));
    assert_eq!(last["error"], Value::Null);
}
