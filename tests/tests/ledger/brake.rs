//! The brake, from log lines to the metric.

use std::fs;
use std::net::IpAddr;

use blocker_tests::eventually;
use blocker_tests::relay::Relay;

#[test]
fn beyond_the_brake_nobody_is_banned_failures_are_counted_and_it_is_told_once() {
    let relay = Relay::new("3600");
    fs::write(
        relay.config().join("blocker.toml"),
        "[brake]\nmax_bans_per_minute = 3\n",
    )
    .unwrap();
    let mut agent = relay.start("nftables");
    for host in 20..40 {
        relay.reject(IpAddr::from([203, 0, 113, host]), 2);
    }
    agent.says(&["ERROR the brake holds", "max_bans_per_minute", "jail=spam"]);
    let held_back = "blocker_bans_held_back_total{jail=\"spam\",origin=\"jail\"}";
    eventually("all but three are held back", || relay.metric(held_back) == 17);
    assert_eq!(relay.metric("blocker_failures_total{jail=\"spam\"}"), 40);
    assert_eq!(relay.metric("blocker_brake_engaged"), 1);
    assert_eq!(relay.metric("blocker_bans_active{jail=\"spam\"}"), 3);
    let told = agent.said().iter().filter(|line| line.contains("the brake holds"));
    assert_eq!(told.count(), 1);
}
