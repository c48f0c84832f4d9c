//! Hands that are used to fail2ban find their way: what `fail2ban-client` and `fail2ban-regex` take is answered, and what the answers say works.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::net::IpAddr;
use std::process::{Command, Output};

use blocker_filter_tests::package;
use blocker_lab::network::SPAMMERS;
use blocker_lab::smtp::Reach;
use blocker_tests::agent::program;
use blocker_tests::programs;
use blocker_tests::relay::Relay;

const FIRST: IpAddr = IpAddr::V4(SPAMMERS[0]);
const SECOND: IpAddr = IpAddr::V4(SPAMMERS[1]);

/// Where `fail2ban-client --help` says what a command does; before it stands the command.
const DESCRIPTION: usize = 45;

fn blocker(relay: &Relay, arguments: &[&str]) -> Output {
    relay.lab.relay().command(program()).args(arguments).output().unwrap()
}

/// Every command that the client itself lists.
fn commands() -> Vec<String> {
    let package = package::fail2ban().unwrap();
    let output = Command::new("python3")
        .arg(package.client())
        .arg("--help")
        .env("PYTHONPATH", package.modules())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, commands) = text.split_once("\nCommand:\n").expect("the client lists its commands");
    let usage = |line: &str| {
        let line = line.strip_prefix("    ").filter(|rest| !rest.starts_with(' '))?;
        let width = DESCRIPTION - 4;
        let has_description = line.len() > width && line.as_bytes()[width - 1] == b' ';
        Some(if has_description { &line[..width] } else { line }.trim().to_owned())
    };
    commands.lines().filter_map(usage).collect()
}

/// A command as somebody types it: without what may be left out, and with it.
fn typed(usage: &str) -> [Vec<String>; 2] {
    let word = |word: &str| match word.trim_matches(['[', ']', '\'']) {
        "<JAIL>" => "spam".to_owned(),
        "<IP>" => "192.0.2.7".to_owned(),
        word => word.split('|').next().unwrap().trim_matches(['<', '>']).to_lowercase(),
    };
    let mut least = Vec::new();
    let mut most = Vec::new();
    let mut depth = 0;
    for part in usage.replace(">[", "> [").split(' ').filter(|part| *part != "...") {
        depth += part.matches('[').count();
        if depth == 0 {
            least.push(word(part));
        }
        most.push(word(part));
        depth = depth.saturating_sub(part.matches(']').count());
    }
    [least, most]
}

#[test]
fn every_command_that_fail2ban_client_lists_is_answered() {
    let relay = Relay::new("3600");
    let commands = commands();
    assert!(commands.len() > 80, "{commands:#?}");
    let mut answered = 0;
    for usage in &commands {
        for typed in typed(usage) {
            let words: Vec<&str> = typed.iter().map(String::as_str).collect();
            let output = blocker(&relay, &words);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!((1..=2).contains(&said.lines().count()), "{typed:?}: {said}");
            if output.status.code() == Some(2) {
                assert!(said.starts_with("blocker: fail2ban's `"), "{typed:?}: {said}");
                answered += 1;
            } else {
                // The command is ours too.
                assert!(said.contains("no agent runs here"), "{typed:?}: {output:?}");
                assert!(["stop", "reload", "status", "unban"].contains(&words[0]), "{typed:?}");
            }
        }
    }
    println!("{} commands, {answered} ways to type them answered", commands.len());
}

#[test]
fn what_is_nobodys_command_gets_the_usual_error() {
    let relay = Relay::new("3600");
    for words in [
        &["frobnicate"][..],
        &["unban"],
        &["reload", "--frobnicate"],
        &["statsu"],
    ] {
        let output = blocker(&relay, words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(
            said.starts_with("error: ") && !said.contains("fail2ban"),
            "{words:?}: {said}"
        );
    }
    let help = blocker(&relay, &["--help"]);
    assert!(help.status.success() && !help.stdout.is_empty());
}

/// Types what the answer to these words says, and gives what that prints.
fn follow(relay: &Relay, words: &[&str]) -> String {
    let refused = blocker(relay, words);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let said = String::from_utf8(refused.stderr).unwrap();
    let (_, command) = said.split_once(" is `").unwrap();
    let (command, _) = command.split_once("` here").unwrap();
    let path = format!("{}:{}", programs().display(), std::env::var("PATH").unwrap());
    let mut shell = relay.lab.relay().command("sh");
    let output = shell.args(["-c", command]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "`{command}`: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_commands_that_answers_name_do_what_fail2bans_do() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    follow(&relay, &["set", "spam", "banip", "192.0.2.7", "192.0.2.8"]);
    assert_eq!(relay.reach(FIRST, 25), Reach::NoAnswer);
    assert_eq!(relay.reach(SECOND, 25), Reach::NoAnswer);
    for words in [&["banned"][..], &["get", "spam", "banip"], &["get", "spam", "banned"]] {
        let text = follow(&relay, words);
        assert!(
            text.contains("192.0.2.7") && text.contains("192.0.2.8"),
            "{words:?}: {text}"
        );
    }
    assert!(!follow(&relay, &["banned", "192.0.2.8"]).contains("192.0.2.7"));
    follow(&relay, &["set", "spam", "unbanip", "192.0.2.7"]);
    assert_eq!(relay.reach(FIRST, 25), Reach::Open);
    assert_eq!(relay.reach(SECOND, 25), Reach::NoAnswer);
    follow(&relay, &["set", "spam", "banip", "2001:db8::bad"]);
    follow(&relay, &["unban", "--all"]);
    assert_eq!(follow(&relay, &["banned"]), "no ban is in force\n");
    assert_eq!(relay.reach(SECOND, 25), Reach::Open);
    assert!(follow(&relay, &["ping"]).contains("agent"));
    assert!(follow(&relay, &["version"]).starts_with("blocker "));
    assert!(follow(&relay, &["reload", "--restart", "--all"]).starts_with("the configuration was read anew"));
    assert!(follow(&relay, &["get", "spam", "logpath"]).contains("mail.log"));
    let log = relay.log();
    let log = log.to_str().unwrap();
    assert!(follow(&relay, &["fail2ban-regex", log, "postfix"]).contains("filter    postfix"));
}

#[test]
fn status_of_one_jail_shows_the_addresses_that_it_has_banned() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    let output = blocker(&relay, &["status", "spam"]);
    let text = String::from_utf8(output.stdout).unwrap();
    println!("{text}");
    assert!(
        text.contains("jail       spam\n") && text.contains("banned     192.0.2.7\n"),
        "{text}"
    );
    assert!(text.contains("1 in force, 1 made so far"), "{text}");

    let output = blocker(&relay, &["status", "spam", "--json"]);
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&object["name"], &object["banned"][0]),
        (&"spam".into(), &"192.0.2.7".into())
    );

    let output = blocker(&relay, &["status", "spma"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "blocker: there is no jail `spma`; did you mean `spam`?\n");

    // However many they are, a screen has room for what is said.
    for n in 0..60 {
        assert!(blocker(&relay, &["ban", &format!("198.18.0.{n}")]).status.success());
    }
    let output = blocker(&relay, &["status", "spam"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("198.18.0.").count(), 50, "{text}");
    assert!(text.ends_with("and 11 more: `blocker bans --jail spam`\n"), "{text}");
}
