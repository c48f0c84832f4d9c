//! Killed at random moments while lines arrive, the agent loses no ban.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::*;

const ROUNDS: usize = 12;

fn host(n: u32) -> IpAddr {
    IpAddr::from((0x0a64_0000 + n).to_be_bytes())
}

/// Hosts that the agent has said to be banned.
fn told(said: &str) -> BTreeSet<String> {
    said.lines()
        .filter(|line| line.contains("INFO banned"))
        .filter_map(|line| line.split("address=").nth(1)?.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn killed_at_random_moments_it_has_every_ban_on_disk_that_it_told_of_and_in_the_end_all_that_the_log_says() {
    let relay = Relay::new("3600");
    fs::write(
        relay.config().join("blocker.toml"),
        "[brake]\nmax_bans_per_minute = 1000000\nmax_share = 1.0\n",
    )
    .unwrap();
    let (written, random) = (AtomicU32::new(0), RandomState::new());
    let mut all_told = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut agent = relay.start(if round % 2 == 0 { "nftables" } else { "xdp" });
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (relay, written, over) = (&relay, &written, &over);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    relay.reject(host(written.fetch_add(1, Ordering::Relaxed)), 2);
                    // Or the last agent has a minute's work.
                    std::thread::park_timeout(Duration::from_micros(50));
                }
            });
            // A moment somewhere between the first ban and well into the work.
            std::thread::park_timeout(Duration::from_millis(random.hash_one(round) % 400));
            agent.signal(Signal::SIGKILL);
            over.store(true, Ordering::Relaxed);
        });
        let (_, said) = agent.ends();
        all_told.extend(told(&said));
        let kept = on_disk(&relay);
        let lost: Vec<_> = all_told.difference(&kept).collect();
        assert!(lost.is_empty(), "round {round}: told of and not on disk: {lost:?}");
    }
    let mut agent = relay.start("xdp");
    let expected: BTreeSet<String> = (0..written.load(Ordering::Relaxed))
        .map(|n| host(n).to_string())
        .collect();
    eventually_within(3 * DEADLINE, "everybody is banned whom the log names", || {
        relay.metric("blocker_bans_active{jail=\"spam\"}") == expected.len() as u64
    });
    agent.stop();
    assert_eq!(on_disk(&relay), expected);
    println!(
        "{ROUNDS} kills; {} bans were told of before one, all on disk; {} bans in the end, as the log says",
        all_told.len(),
        expected.len()
    );
}
