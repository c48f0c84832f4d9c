//! A ban goes on while its host still knocks, and ends when it has given up.

use super::*;

fn ban_is_renewed(firewall: &str) {
    let relay = Relay::new("8");
    let jail = fs::read_to_string(relay.config().join("jail.conf")).unwrap();
    relay.configure(&format!("{jail}findtime = 5\nbantime.renew = true\n"));
    let mut agent = relay.start(firewall);
    relay.reject(spammer(), 2);
    relay.reject(SPAMMERS[1].into(), 2);
    agent.says(&["INFO banned", "address=192.0.2.8 "]);
    // The one goes on, the other does not.
    let renewed = "blocker_bans_renewed_total{jail=\"spam\"}";
    eventually("the ban of who still knocks goes on", || {
        assert_eq!(relay.reach(spammer(), 25), Reach::NoAnswer, "{firewall}");
        relay.metric(renewed) > 1
    });
    let said = agent.says(&["INFO unbanned", "address=192.0.2.8 "]);
    assert!(!said.contains("renewed"));
    assert!(
        !agent
            .said()
            .iter()
            .any(|line| line.contains("unbanned") && line.contains("192.0.2.7 "))
    );
    agent.says(&["INFO unbanned", "address=192.0.2.7 "]);
    assert!(
        !agent
            .said()
            .iter()
            .any(|line| line.contains("renewed") && line.contains("192.0.2.8 "))
    );
}

#[test]
fn a_ban_goes_on_while_xdp_counts_its_host() {
    ban_is_renewed("xdp");
}

#[test]
fn a_ban_goes_on_while_nftables_counts_its_host() {
    ban_is_renewed("nftables");
}
