//! Killed at random moments while lines arrive and the log is rotated, the agent makes the bans that a replay of the whole log makes, and
//! loses none that it has told of.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use blocker::ban::Expiry;
use blocker::ledger::store::Store;
use blocker_tests::agent::{Agent, program};
use blocker_tests::{DEADLINE, eventually_within};
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::*;

const ROUNDS: usize = 100;
/// The latest moment after its start, in milliseconds, at which an agent is killed: some are not ready yet, most are well into their work.
const LATEST: u64 = 500;
/// Hosts that fail between a host's first failure and its second, so that kills fall between the two.
const BETWEEN: u32 = 20;

/// A ban as ledger and replay tell of it: address, end in seconds since 1970, failures.
type Told = (String, i64, u64);

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

/// Hosts that the agent has said to be banned.
fn told(said: &str) -> BTreeSet<String> {
    said.lines()
        .filter(|line| line.contains("INFO banned"))
        .filter_map(|line| line.split("address=").nth(1)?.split_whitespace().next())
        .map(str::to_owned)
        .collect()
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

fn assert_same(kept: &BTreeSet<Told>, replayed: &BTreeSet<Told>) {
    let wrong: Vec<_> = kept.difference(replayed).collect();
    let missing: Vec<_> = replayed.difference(kept).collect();
    assert!(
        wrong.is_empty() && missing.is_empty(),
        "banned and not by a replay: {wrong:?}; by a replay alone: {missing:?}"
    );
}

#[test]
fn killed_at_random_moments_under_rotation_it_has_the_bans_of_a_replay_and_counts_no_line_twice() {
    let relay = Relay::new("3600");
    without_brake(&relay);
    let (over, random, begin) = (AtomicBool::new(false), RandomState::new(), Instant::now());
    let (mut all_told, mut ready) = (BTreeSet::new(), 0);
    let hosts = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write(&relay, &over));
        for round in 0..ROUNDS {
            // Each firewall twice in turn: a restart takes over from the same and from the other.
            let firewall = ["nftables", "xdp"][round / 2 % 2];
            let mut agent = Agent::start(relay.command(firewall));
            std::thread::park_timeout(Duration::from_millis(random.hash_one(round) % LATEST));
            agent.signal(Signal::SIGKILL);
            let (_, said) = agent.ends();
            ready += usize::from(said.contains(" ready "));
            all_told.extend(told(&said));
            if all_told.is_empty() {
                continue;
            }
            let kept: BTreeSet<String> = kept(&relay).into_iter().map(|(address, ..)| address).collect();
            let lost: Vec<_> = all_told.difference(&kept).collect();
            assert!(lost.is_empty(), "round {round}: told of and not on disk: {lost:?}");
        }
        over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    let took = begin.elapsed();
    let expected = replayed(&relay);
    let twice = (0..hosts - BETWEEN).filter(|n| fails_twice(*n)).count();
    assert_eq!(expected.len(), twice, "what the log says");

    let mut agent = relay.start("xdp");
    eventually_within(3 * DEADLINE, "everybody is banned whom the log says", || {
        relay.metric(ACTIVE) >= expected.len() as u64
    });
    agent.stop();
    assert_same(&kept(&relay), &expected);

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
    assert_same(&kept, &replayed(&relay));
    assert_eq!(kept.len(), expected.len() + 2);
    println!(
        "{ROUNDS} kills in {took:.1?}, {ready} of agents that were ready; {} bans were told of before one, all on disk; {hosts} hosts have \
         failed; {} bans in the end, as a replay makes",
        all_told.len(),
        kept.len()
    );
}
