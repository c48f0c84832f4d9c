//! The control socket and the commands that talk on it, with the real agent on both firewalls.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

#[path = "control/bad_requests.rs"]
mod bad_requests;
#[path = "control/described.rs"]
mod described;
#[path = "control/why.rs"]
mod why;

use std::fs;
use std::net::IpAddr;
use std::process::Output;

use blocker_lab::network::SPAMMERS;
use blocker_lab::smtp::Reach;
use blocker_tests::agent::program;
use blocker_tests::on_both_firewalls;
use blocker_tests::relay::Relay;
use serde_json::Value;

on_both_firewalls! {
    status_and_bans_tell_what_the_kernel_does
    a_ban_by_hand_holds_and_is_lifted_again
    the_allowlist_wins_over_a_ban_by_hand
}

const FIRST: IpAddr = IpAddr::V4(SPAMMERS[0]);
const SECOND: IpAddr = IpAddr::V4(SPAMMERS[1]);

fn blocker(relay: &Relay, arguments: &[&str]) -> Output {
    let mut command = relay.lab.relay().command(program());
    command.args(arguments).output().unwrap()
}

fn told(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    let text = told(output);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn status_and_bans_tell_what_the_kernel_does(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    relay.reject(FIRST, 2);
    agent.says(&["INFO banned", "address=192.0.2.7 "]);
    relay.reject(SECOND, 2);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    assert_eq!(relay.reach(FIRST, 25), Reach::NoAnswer);

    let [status] = &objects(&blocker(&relay, &["status", "--json"]))[..] else {
        panic!("one object");
    };
    assert_eq!(status["pid"], agent.id());
    assert_eq!(status["firewall"], firewall);
    assert_eq!((&status["bans"], &status["enforced_ratio"]), (&2.into(), &1.0.into()));
    assert_eq!(status["jails"][0]["name"], "spam");
    assert_eq!(status["jails"][0]["failures"], 4);
    assert_eq!(status["sources"][0]["lines"], 4);
    assert_eq!(status["sources"][0]["name"], relay.log().to_str().unwrap());
    assert!(status["dropped_packets"].as_u64().unwrap() > 0, "{status}");

    let bans = objects(&blocker(&relay, &["bans", "--json"]));
    let addresses: Vec<&str> = bans.iter().map(|ban| ban["address"].as_str().unwrap()).collect();
    assert_eq!(addresses.len(), 2);
    for (sort, first) in [("address", "192.0.2.7"), ("packets", "192.0.2.7")] {
        let sorted = objects(&blocker(&relay, &["bans", "--sort", sort, "--json"]));
        assert_eq!(sorted[0]["address"], first, "by {sort}");
        assert_eq!(sorted.len(), 2, "by {sort}");
    }
    let loudest = objects(&blocker(
        &relay,
        &["bans", "--sort", "packets", "--limit", "1", "--json"],
    ));
    assert_eq!(loudest.len(), 1);
    assert_eq!(loudest[0]["address"], "192.0.2.7");
    assert!(loudest[0]["packets"].as_u64().unwrap() > 0);
    assert!(loudest[0]["last_knock"].is_string());
    assert_eq!(loudest[0]["enforced"], true);

    let text = told(&blocker(&relay, &["bans", "192.0.2.8"]));
    assert!(text.contains("192.0.2.8") && !text.contains("192.0.2.7"), "{text}");
    let text = told(&blocker(&relay, &["bans", "203.0.113.9"]));
    assert_eq!(text, "no ban is in force that you ask for\n");
    let text = told(&blocker(&relay, &["status"]));
    assert!(text.contains("2 in force, 100.0 % of them enforced"), "{text}");
    println!("{text}\n{}", told(&blocker(&relay, &["bans"])));
}

fn a_ban_by_hand_holds_and_is_lifted_again(firewall: &str) {
    let relay = Relay::new("3600");
    let mut agent = relay.start(firewall);
    let text = told(&blocker(&relay, &["ban", "192.0.2.8", "--for", "10m"]));
    assert!(text.starts_with("192.0.2.8 is banned by spam for "), "{text}");
    assert!(text.contains("blocker unban 192.0.2.8"), "{text}");
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    assert_eq!(relay.reach(SECOND, 25), Reach::NoAnswer);
    assert_eq!(
        relay.reach(SECOND, 22),
        Reach::Open,
        "a ban covers its jail's ports and no more"
    );
    assert_eq!(relay.metric("blocker_bans_total{jail=\"spam\",origin=\"manual\"}"), 1);
    assert_eq!(told(&blocker(&relay, &["unban", "192.0.2.8"])), "1 ban is lifted\n");
    assert_eq!(relay.reach(SECOND, 25), Reach::Open);

    told(&blocker(&relay, &["ban", "192.0.2.0/29"]));
    assert_eq!(relay.reach(FIRST, 25), Reach::NoAnswer);
    assert_eq!(relay.reach(SECOND, 25), Reach::Open);
    // It outlives the agent.
    agent.stop();
    let _next = relay.start(firewall);
    assert_eq!(relay.reach(FIRST, 25), Reach::NoAnswer);
    let bans = objects(&blocker(&relay, &["bans", "192.0.2.7", "--json"]));
    assert_eq!(bans.len(), 1, "what covers the address");
    assert_eq!(
        (&bans[0]["address"], &bans[0]["origin"]),
        (&"192.0.2.0/29".into(), &"manual".into())
    );
    let lifted = objects(&blocker(&relay, &["unban", "--jail", "spam", "--json"]));
    assert_eq!(lifted[0]["lifted"], 1);
    assert_eq!(relay.reach(FIRST, 25), Reach::Open);
}

fn the_allowlist_wins_over_a_ban_by_hand(firewall: &str) {
    let relay = Relay::new("3600");
    fs::write(
        relay.config().join("blocker.toml"),
        "[allow]\nnetworks = [\"192.0.2.7\"]\n",
    )
    .unwrap();
    let _agent = relay.start(firewall);
    let refused = blocker(&relay, &["ban", "192.0.2.7"]);
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(text, "blocker: 192.0.2.7 is not banned: the allowlist covers it\n");
    // A network around it is banned, and the host in it is not.
    told(&blocker(&relay, &["ban", "192.0.2.0/28"]));
    assert_eq!(relay.reach(SECOND, 25), Reach::NoAnswer);
    assert_eq!(relay.reach(FIRST, 25), Reach::Open);
}

#[test]
fn reload_tells_what_has_changed_and_what_is_wrong() {
    let relay = Relay::new("3600");
    let _agent = relay.start("nftables");
    let text = told(&blocker(&relay, &["reload"]));
    assert!(text.starts_with("the configuration was read anew"), "{text}");
    let jail = fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    relay.configure(&(jail.clone() + &jail.replace("[spam]", "[more]")));
    let [reloaded] = &objects(&blocker(&relay, &["reload", "--json"]))[..] else {
        panic!("one object");
    };
    assert_eq!(reloaded["added"][0], "more");
    relay.configure(&jail.replace("maxretry = 2", "maxretry = some\nfindtime = soon"));
    let refused = blocker(&relay, &["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("is not taken over"), "{text}");
    assert!(
        text.contains("jail.conf:9: ") && text.contains("jail.conf:10: "),
        "each problem: {text}"
    );
}

#[test]
fn stop_goes_over_the_socket_and_by_a_signal_where_there_is_none() {
    let relay = Relay::new("3600");
    let mut agent = relay.start("nftables");
    // Among processes of its own the command cannot send the agent a signal.
    let mut apart = relay.lab.relay().command("unshare");
    apart.args(["--pid", "--fork"]).arg(program()).args(["stop", "--json"]);
    let [stopped] = &objects(&apart.output().unwrap())[..] else {
        panic!("one object");
    };
    assert_eq!(*stopped, serde_json::json!({"ended": true, "cleared": false}));
    assert!(agent.ends().0.success());

    let mut agent = relay.start("nftables");
    fs::remove_file(bad_requests::socket(&relay)).unwrap();
    let text = told(&blocker(&relay, &["stop"]));
    assert!(
        text.starts_with("the agent has ended; its bans stay in force"),
        "{text}"
    );
    assert!(agent.ends().0.success());
    let [stopped] = &objects(&blocker(&relay, &["stop", "--clear", "--json"]))[..] else {
        panic!("one object");
    };
    assert_eq!(*stopped, serde_json::json!({"ended": false, "cleared": true}));
}

#[test]
fn without_an_agent_each_command_says_so_in_one_line() {
    let relay = Relay::new("3600");
    for arguments in [
        &["status"][..],
        &["bans"],
        &["why", "192.0.2.7"],
        &["ban", "192.0.2.7"],
        &["unban", "192.0.2.7"],
        &["reload"],
    ] {
        let output = blocker(&relay, arguments);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            text.contains("no agent runs here") && text.contains("systemctl start blocker"),
            "{text}"
        );
    }
}
