//! `blocker why`: the whole story of a host, with the real agent over real log lines.

use blocker_lab::network::{IGNORED, SPAMMER_V6, SPAMMER_V6_NEIGHBOUR};
use blocker_tests::agent::Agent;
use blocker_tests::eventually;
use jiff::Timestamp;
use nix::sys::signal::Signal;

use super::*;

/// What is told of a host.
fn why(relay: &Relay, address: &str) -> Value {
    let [why] = &objects(&blocker(relay, &["why", address, "--json"]))[..] else {
        panic!("one object");
    };
    why.clone()
}

fn text(relay: &Relay, address: &str) -> String {
    let text = told(&blocker(relay, &["why", address]));
    println!("{text}");
    text
}

/// The lines of a ban or of what was counted.
fn lines(of: &Value) -> Vec<&str> {
    let lines = of["lines"].as_array().unwrap().iter();
    lines.map(|line| line["line"].as_str().unwrap()).collect()
}

/// A line of a failure, with something in it that tells it from others.
fn rejected(host: IpAddr, helo: &str) -> String {
    format!(
        "{:.6} relay postfix/smtpd[6908]: NOQUEUE: reject: RCPT from unknown[{host}]: 554 5.7.1 <a@domain1.com>: Relay access \
         denied; from=<x@y.example> to=<a@domain1.com> proto=ESMTP helo=<{helo}>",
        Timestamp::now()
    )
}

/// Writes lines, and gives them.
fn write(relay: &Relay, host: IpAddr, helos: &[&str]) -> Vec<String> {
    let lines: Vec<String> = helos.iter().map(|helo| rejected(host, helo)).collect();
    relay.write(&(lines.join("\n") + "\n"));
    lines
}

fn banned(agent: &mut Agent, address: &str) {
    agent.says(&["INFO banned", &format!("address={address} ")]);
}

#[test]
fn the_story_of_a_banned_host_has_its_lines_its_failregex_and_what_came_since_also_after_a_restart() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    let written = write(&relay, FIRST, &["one", "two"]);
    banned(&mut agent, "192.0.2.7");
    assert_eq!(relay.reach(FIRST, 25), Reach::NoAnswer);
    let told_before = why(&relay, "192.0.2.7");
    let [reason] = &told_before["bans"].as_array().unwrap()[..] else {
        panic!("one ban: {told_before}");
    };
    assert_eq!(reason["jail"], "spam");
    assert_eq!(reason["scope"], "tcp/25");
    assert_eq!(lines(reason), written);
    let line = &reason["lines"][0];
    assert_eq!(line["number"], 1, "the second failregex of the filter");
    assert!(
        line["failregex"]
            .as_str()
            .unwrap()
            .ends_with("domain4).com>: Relay access denied;"),
        "{line}"
    );
    assert!(reason["packets"].as_u64().unwrap() > 0, "{reason}");
    assert!(reason["last_knock"].is_string(), "{reason}");
    assert_eq!((&reason["nth"], &reason["grows"]), (&1.into(), &false.into()));
    assert_eq!(
        (&told_before["past_total"], &told_before["allowed"]),
        (&0.into(), &Value::Null)
    );
    let text = text(&relay, "192.0.2.7");
    assert!(text.starts_with("192.0.2.7 is banned by spam for another "), "{text}");
    for part in [
        "spam, which closes tcp/25",
        "for 2 failures",
        "\ndropped     1 packet, ",
        written[0].as_str(),
        written[1].as_str(),
        "blocker unban 192.0.2.7\n",
        "ignoreip = 192.0.2.7 in [spam]",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "colour is for terminals: {text:?}");

    agent.signal(Signal::SIGKILL);
    agent.ends();
    let _next = relay.start("nftables");
    let told_after = why(&relay, "192.0.2.7");
    assert_eq!(told_after["bans"][0]["lines"], reason["lines"]);
    assert_eq!(told_after["bans"].as_array().unwrap().len(), 1);
    assert_eq!(told_after["past_total"], 0);
}

#[test]
fn a_ban_that_grew_tells_its_number_the_next_length_and_the_bans_before_it() {
    let relay = Relay::new("4");
    let jail = fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    relay.configure(&format!(
        "{jail}bantime.increment = true\nbantime.multipliers = 1 1000 1800\n"
    ));
    let mut agent = relay.start("nftables");
    let first = write(&relay, FIRST, &["one", "two"]);
    banned(&mut agent, "192.0.2.7");
    agent.says(&["INFO unbanned", "address=192.0.2.7 "]);
    let between = why(&relay, "192.0.2.7");
    assert_eq!(between["bans"].as_array().unwrap().len(), 0);
    assert_eq!(between["past_total"], 1);
    let told = text(&relay, "192.0.2.7");
    assert!(told.starts_with("192.0.2.7 is not banned\n"), "{told}");
    assert!(told.contains("1 earlier ban\n") && told.contains(&first[1]), "{told}");

    let second = write(&relay, FIRST, &["three", "four"]);
    banned(&mut agent, "192.0.2.7");
    let now = why(&relay, "192.0.2.7");
    let reason = &now["bans"][0];
    assert_eq!(lines(reason), second, "not those of the first ban");
    assert_eq!((&reason["nth"], &reason["grows"]), (&2.into(), &true.into()));
    assert_eq!(reason["next_seconds"], 7200);
    let [past] = &now["past"].as_array().unwrap()[..] else {
        panic!("one earlier ban: {now}");
    };
    assert_eq!((&past["jail"], &past["address"]), (&"spam".into(), &"192.0.2.7".into()));
    assert_eq!(lines(past), first);
    let told = text(&relay, "192.0.2.7");
    assert!(told.contains("number 2; the next one lasts 2 h or more"), "{told}");

    assert_eq!(
        super::told(&blocker(&relay, &["unban", "192.0.2.7"])),
        "1 ban is lifted\n"
    );
    let after = why(&relay, "192.0.2.7");
    assert_eq!(
        (&after["past"][0]["lifted"], &after["past"][1]["lifted"]),
        (&true.into(), &false.into())
    );
    assert!(text(&relay, "192.0.2.7").contains("lifted by hand"));
}

#[test]
fn of_a_host_that_is_not_banned_it_tells_what_counts_and_keeps_it_over_a_reload() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    assert_eq!(text(&relay, "192.0.2.7"), "192.0.2.7 is not banned\n");
    let written = write(&relay, FIRST, &["one"]);
    let counts = || why(&relay, "192.0.2.7")["jails"][0]["failures"] == 1;
    eventually("the failure is counted", counts);
    let told = |relay: &Relay| {
        let why = why(relay, "192.0.2.7");
        assert_eq!(why["bans"].as_array().unwrap().len(), 0);
        let counted = &why["jails"][0];
        assert_eq!((&counted["jail"], &counted["max_retry"]), (&"spam".into(), &2.into()));
        assert_eq!(lines(counted), written);
    };
    told(&relay);
    let text = text(&relay, "192.0.2.7");
    assert!(
        text.contains("1 of the 2 failures within 10 min for which spam bans"),
        "{text}"
    );
    super::told(&blocker(&relay, &["reload"]));
    told(&relay);
    write(&relay, FIRST, &["two"]);
    banned(&mut agent, "192.0.2.7");
    assert_eq!(lines(&why(&relay, "192.0.2.7")["bans"][0]).len(), 2);
}

#[test]
fn it_tells_what_keeps_a_host_from_being_banned() {
    let relay = Relay::new("3600");
    fs::write(
        relay.config().join("blocker.toml"),
        "[allow]\nnetworks = [\"192.0.2.6/31\"]\n",
    )
    .unwrap();
    let _agent = relay.start("nftables");
    let allowed = why(&relay, "192.0.2.7");
    assert_eq!(allowed["allowed"]["by"], "networks");
    assert_eq!(allowed["allowed"]["entry"], "192.0.2.6/31");
    let told = text(&relay, "192.0.2.7");
    assert!(
        told.contains("the allowlist covers it\n") && told.contains("`192.0.2.6/31`"),
        "{told}"
    );
    assert_eq!(why(&relay, "192.0.2.1")["allowed"]["by"], "own", "the relay itself");
    let ignored = why(&relay, &IGNORED.to_string());
    assert_eq!(ignored["jails"][0]["ignores"], true);
    assert_eq!(ignored["jails"][0]["ignored_by"], "192.0.2.10");
    // It is within a ban, and gets through it.
    super::told(&blocker(&relay, &["ban", "192.0.2.0/24"]));
    let told = text(&relay, "192.0.2.7");
    assert!(told.contains("lets it in all the same"), "{told}");
    assert!(
        told.contains("all of 192.0.2.0/24") && told.contains("by hand"),
        "{told}"
    );
}

#[test]
fn a_host_of_a_banned_network_is_told_that_bans_story() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    let written = write(&relay, SPAMMER_V6.into(), &["one", "two"]);
    banned(&mut agent, "2001:db8:0:bad::/64");
    let neighbour = why(&relay, &SPAMMER_V6_NEIGHBOUR.to_string());
    assert_eq!(neighbour["bans"][0]["address"], "2001:db8:0:bad::/64");
    assert_eq!(lines(&neighbour["bans"][0]), written);
    assert_eq!(
        why(&relay, "2001:db8:0:bad::/64")["bans"][0]["lines"],
        neighbour["bans"][0]["lines"]
    );
    let elsewhere = why(&relay, "2001:db8:0:bae::7");
    assert_eq!(elsewhere["bans"].as_array().unwrap().len(), 0);
}

#[test]
fn a_line_cannot_steer_the_terminal_and_a_long_one_is_cut() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\r";
    let long = "x".repeat(50_000);
    let written = write(&relay, FIRST, &[hostile, &long]);
    banned(&mut agent, "192.0.2.7");
    let why = why(&relay, "192.0.2.7");
    let lines = lines(&why["bans"][0]);
    assert_eq!(lines[0], written[0], "JSON says it as it is");
    assert!(
        lines[1].len() <= 512 && lines[1].ends_with("xxx…"),
        "{}",
        lines[1].len()
    );
    let text = text(&relay, "192.0.2.7");
    assert!(
        text.chars().all(|char| !char.is_control() || char == '\n') && !text.contains('\u{202e}'),
        "{text:?}"
    );
    assert!(text.contains("\\u{1b}[2J"), "it is shown: {text}");
}

#[test]
fn of_a_thousand_failures_the_last_ten_are_told() {
    let relay = Relay::new("3600");
    let jail = fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    relay.configure(&jail.replace("maxretry = 2", "maxretry = 1000"));
    let mut agent = relay.start("nftables");
    let helos: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let helos: Vec<&str> = helos.iter().map(String::as_str).collect();
    let written = write(&relay, FIRST, &helos);
    banned(&mut agent, "192.0.2.7");
    let why = why(&relay, "192.0.2.7");
    assert_eq!(why["bans"][0]["failures"], 1000);
    assert_eq!(lines(&why["bans"][0]), written[990..]);
}
