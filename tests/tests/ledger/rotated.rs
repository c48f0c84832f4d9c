//! Killed at random moments while lines arrive and the log is rotated, the agent makes the bans that a replay of the whole log makes.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blocker::ban::Expiry;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::*;

const ROUNDS: usize = 12;
/// Hosts that fail between a host's first failure and its second, so that kills fall between the two.
const BETWEEN: u32 = 20;
const FAILURES: &str = "blocker_failures_total{jail=\"spam\"}";

/// A ban as ledger and replay tell of it: address, end in seconds since 1970, failures.
type Told = (String, i64, u64);

fn host(n: u32) -> IpAddr {
    IpAddr::from((0x0a64_0000 + n).to_be_bytes())
}

/// One host in three fails only once: whoever counts a line twice bans it.
const fn fails_twice(n: u32) -> bool {
    !n.is_multiple_of(3)
}

/// Rotates the log for the nth time, in both ways by turns.
fn rotate(relay: &Relay, n: u32) {
    let (log, rotated) = (relay.log(), relay.log().with_extension(format!("log.{n}")));
    if n.is_multiple_of(2) {
        fs::rename(&log, &rotated).unwrap();
        relay.write("");
    } else {
        fs::copy(&log, &rotated).unwrap();
        OpenOptions::new().write(true).truncate(true).open(&log).unwrap();
    }
}

/// Writes and rotates until it is over, and says how many hosts have failed.
fn write(relay: &Relay, over: &AtomicBool) -> u32 {
    let (mut rotations, mut rotated) = (0, Instant::now());
    for n in 0.. {
        relay.reject(host(n), 1);
        if let Some(earlier) = n.checked_sub(BETWEEN).filter(|n| fails_twice(*n)) {
            relay.reject(host(earlier), 1);
        }
        if over.load(Ordering::Relaxed) {
            return n + 1;
        }
        if rotated.elapsed() >= Duration::from_millis(400) {
            rotated = Instant::now();
            rotations += 1;
            rotate(relay, rotations);
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    unreachable!("there are enough numbers");
}

/// The bans that the ledger on disk holds.
fn kept(relay: &Relay) -> BTreeSet<Told> {
    let history = SignedDuration::from_hours(24);
    let (_, bans) = Store::open(&relay.state(), vec!["spam".to_owned()], history, Timestamp::now()).unwrap();
    let told = |ban: blocker::ban::Ban| {
        let Expiry::At(end) = ban.until else {
            panic!("{ban:?} does not end");
        };
        (ban.subject.to_string(), end.as_second(), ban.failures.into())
    };
    bans.into_iter().map(told).collect()
}

/// The bans that a replay of the whole log makes.
fn replayed(relay: &Relay) -> BTreeSet<Told> {
    let files = fs::read_dir(relay.lab.folder()).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let is_log = |file: &PathBuf| file.to_string_lossy().contains("mail.log");
    let mut command = relay.lab.relay().command(program());
    command.args(["replay", "--json", "--config"]).arg(relay.config());
    let output = command.args(files.filter(is_log)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let objects = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let bans = objects.filter_map(|ban| {
        let address = ban["address"].as_str()?.to_owned();
        Some((address, ban["until"].as_f64()? as i64, ban["failures"].as_u64()?))
    });
    bans.collect()
}

#[test]
fn killed_at_random_moments_under_rotation_it_has_the_bans_of_a_replay_and_counts_no_line_twice() {
    let relay = Relay::new("3600");
    fs::write(
        relay.config().join("blocker.toml"),
        "[brake]\nmax_bans_per_minute = 1000000\nmax_share = 1.0\n",
    )
    .unwrap();
    let (over, random) = (AtomicBool::new(false), RandomState::new());
    let hosts = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&relay, &over));
        for round in 0..ROUNDS {
            let mut agent = relay.start(if round % 2 == 0 { "nftables" } else { "xdp" });
            std::thread::park_timeout(Duration::from_millis(random.hash_one(round) % 1000));
            agent.signal(Signal::SIGKILL);
            agent.ends();
        }
        over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let expected = replayed(&relay);
    let twice = (0..hosts - BETWEEN).filter(|n| fails_twice(*n)).count();
    assert_eq!(expected.len(), twice, "what the log says");

    let mut agent = relay.start("xdp");
    eventually("everybody is banned whom the log says", || {
        relay.metric("blocker_bans_active{jail=\"spam\"}") >= expected.len() as u64
    });
    agent.stop();
    assert_eq!(kept(&relay), expected);

    // A restart in peace: what was read is read again, and is nothing new. What was written and rotated meanwhile is.
    let [once, twice, later] = [SPAMMERS[0], SPAMMERS[1], SPAMMERS[2]].map(IpAddr::from);
    relay.reject(once, 1);
    relay.reject(twice, 1);
    rotate(&relay, 1000);
    relay.reject(twice, 1);
    rotate(&relay, 1001);
    let mut agent = relay.start("nftables");
    relay.reject(later, 2);
    agent.says(&["INFO banned", &format!("address={later} "), "failures=2"]);
    assert_eq!(relay.metric(FAILURES), 5);
    agent.stop();
    let kept = kept(&relay);
    assert_eq!(kept, replayed(&relay));
    assert_eq!(kept.len(), expected.len() + 2);
    println!("{ROUNDS} kills, {hosts} hosts that failed, {} bans", kept.len());
}
