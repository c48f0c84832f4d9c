//! What `blocker replay` finds in a log is what the agent did while that log was written, on both firewalls: real hosts, real
//! connections; a host that is kept out leaves no line.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use blocker_lab::network::{HONEST, IGNORED, SPAMMER_V6, SPAMMER_V6_NEIGHBOUR, SPAMMERS};
use blocker_lab::smtp::Reach;
use blocker_tests::agent::program;
use blocker_tests::relay::Relay;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::Value;

#[test]
fn replay_makes_the_bans_of_an_agent_with_xdp() {
    replay_makes_the_bans_of_the_agent("xdp");
}

#[test]
fn replay_makes_the_bans_of_an_agent_with_nftables() {
    replay_makes_the_bans_of_the_agent("nftables");
}

/// A ban as both tell of it: jail, address, end in seconds since 1970, failures.
type Told = (String, String, i64, u64);

fn replay_makes_the_bans_of_the_agent(firewall: &str) {
    let relay = Relay::new("5");
    let log = relay.log();
    let jail = |name: &str, rest: &str| format!("[{name}]\nenabled = true\nlogpath = {}\n{rest}\n", log.display());
    relay.configure(
        &[
            jail(
                "spam",
                "filter = spam\nport = smtp\nmaxretry = 2\nbantime = 5\nignoreip = 192.0.2.10",
            ),
            jail(
                "login",
                "filter = postfix[mode=auth]\nport = smtp,submission\nmaxretry = 3\nbantime = 1h",
            ),
        ]
        .concat(),
    );
    let mut agent = relay.start(firewall);
    let spammer = SPAMMERS[0].into();
    for round in 0..2 {
        spams(&relay, spammer);
        spams(&relay, SPAMMERS[1 + round].into());
        spams(&relay, spammer);
        agent.says(&["INFO banned", "jail=spam", "address=192.0.2.7 "]);
        spams(&relay, spammer);
        agent.says(&["INFO unbanned", "jail=spam", "address=192.0.2.7 "]);
    }
    for _ in 0..3 {
        spams(&relay, IGNORED.into());
        guesses(&relay, SPAMMERS[2].into());
    }
    agent.says(&["INFO banned", "jail=login", "address=192.0.2.9 "]);
    spams(&relay, SPAMMERS[2].into());
    spams(&relay, SPAMMER_V6.into());
    spams(&relay, SPAMMER_V6_NEIGHBOUR.into());
    agent.says(&["INFO banned", "jail=spam", "address=2001:db8:0:bad::/64 "]);
    spams(&relay, SPAMMER_V6.into());
    spams(&relay, HONEST.into());
    let (_, said) = agent.stop();

    let bans: Vec<Told> = said
        .lines()
        .filter(|line| line.contains("INFO banned"))
        .map(told)
        .collect();
    assert_eq!(bans.len(), 4, "{said}");
    let (replayed, sums) = replay(&relay, &[&log]);
    assert_eq!(replayed, bans);
    let lines = fs::read_to_string(&log).unwrap().lines().count();
    assert_eq!((&sums["lines"], &sums["bans"]), (&lines.into(), &4.into()));
    assert_eq!(sums["saved"], 0, "the firewall has kept them out");

    let rotated = rotate(&log);
    let logs = [&log, &rotated[0], &rotated[1]];
    assert_eq!(replay(&relay, &logs.map(PathBuf::as_path)).0, bans);
}

/// A host tries to send spam; where it is let in, that is logged.
fn spams(relay: &Relay, host: IpAddr) {
    if is_let_in(relay, host) {
        relay.reject(host, 1);
    }
}

/// A host tries to guess a password; where it is let in, that is logged.
fn guesses(relay: &Relay, host: IpAddr) {
    if is_let_in(relay, host) {
        relay.write(&format!(
            "{:.6} relay postfix/smtpd[6908]: warning: unknown[{host}]: SASL LOGIN authentication failed: x\n",
            Timestamp::now()
        ));
    }
}

fn is_let_in(relay: &Relay, host: IpAddr) -> bool {
    let reach = if host == IpAddr::from(HONEST) {
        relay.honest_reach(25)
    } else {
        relay.reach(host, 25)
    };
    assert!([Reach::Open, Reach::NoAnswer].contains(&reach), "{host}: {reach:?}");
    reach == Reach::Open
}

/// Reads what the agent says of a ban.
fn told(line: &str) -> Told {
    let field = |name: &str| {
        let value = line.split(&format!(" {name}=")).nth(1).expect("the field is there");
        value.split(' ').next().unwrap_or_default().to_owned()
    };
    let until: Timestamp = field("until").parse().unwrap();
    let failures = field("failures").parse().unwrap();
    (field("jail"), field("address"), until.as_second(), failures)
}

/// The bans that a replay of these logs makes, and its sums.
fn replay(relay: &Relay, logs: &[&Path]) -> (Vec<Told>, Value) {
    let mut command = relay.lab.relay().command(program());
    command
        .args(["replay", "--json", "--config"])
        .arg(relay.config())
        .args(logs);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut objects: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sums = objects.pop().unwrap();
    let ban = |ban: &Value| {
        let text = |key: &str| ban[key].as_str().unwrap().to_owned();
        let until = ban["until"].as_f64().unwrap() as i64;
        (text("jail"), text("address"), until, ban["failures"].as_u64().unwrap())
    };
    (objects.iter().map(ban).collect(), sums)
}

/// Leaves the last lines in the log, and puts the others into two older ones, the oldest compressed.
fn rotate(log: &Path) -> [PathBuf; 2] {
    let text = fs::read_to_string(log).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let third = lines.len() / 3;
    let rotated = [log.with_extension("log.1"), log.with_extension("log.2.gz")];
    fs::write(log, lines[2 * third..].concat()).unwrap();
    fs::write(&rotated[0], lines[third..2 * third].concat()).unwrap();
    let mut encoder = GzEncoder::new(fs::File::create(&rotated[1]).unwrap(), Compression::default());
    encoder.write_all(lines[..third].concat().as_bytes()).unwrap();
    encoder.finish().unwrap();
    rotated
}
