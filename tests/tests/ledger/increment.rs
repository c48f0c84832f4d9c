//! Bans grow for who comes back, over restarts too.

use jiff::Timestamp;
use nix::sys::signal::Signal;

use super::*;

/// How long a ban lasts, from the line that tells of it.
fn seconds(line: &str) -> i64 {
    let until = line.split("until=").nth(1).unwrap().split_whitespace().next().unwrap();
    let until: Timestamp = until.parse().unwrap();
    until.duration_since(Timestamp::now()).as_secs() + 1
}

#[test]
fn each_ban_of_a_host_is_longer_and_a_restart_neither_forgets_nor_adds_one() {
    let relay = Relay::new("5");
    let jail = fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    relay.configure(&format!(
        "{jail}bantime.increment = true\nbantime.multipliers = 1 2 1000\n"
    ));
    let mut agent = relay.start("nftables");
    relay.reject(spammer(), 2);
    let first = agent.says(&["INFO banned", "address=192.0.2.7 "]);
    assert!((1..=5).contains(&seconds(&first)), "{first}");
    agent.says(&["INFO unbanned", "address=192.0.2.7 "]);

    // The lines of the first ban are read again, and would make a ban of 10 s.
    agent.signal(Signal::SIGKILL);
    agent.ends();
    let mut agent = relay.start("nftables");
    relay.reject(SPAMMERS[1].into(), 2);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    assert!(
        !agent.said().iter().any(|line| line.contains("192.0.2.7 ")),
        "{:?}",
        agent.said()
    );

    relay.reject(spammer(), 2);
    let second = agent.says(&["INFO banned", "address=192.0.2.7 "]);
    assert!((6..=10).contains(&seconds(&second)), "{second}");
    agent.says(&["INFO unbanned", "address=192.0.2.7 "]);
    relay.reject(spammer(), 2);
    let third = agent.says(&["INFO banned", "address=192.0.2.7 "]);
    assert!((4980..=5000).contains(&seconds(&third)), "{third}");
}
