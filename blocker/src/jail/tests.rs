use super::hosts::{MAX_MORE, MAX_ONCE};
use super::*;
use std::net::IpAddr;

use crate::ban::JailId;

const NOW: i64 = 1_000_000;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn failure(host: u8, second: i64) -> Failure {
    Failure {
        jail: JailId(0),
        address: IpAddr::from([192, 0, 2, host]),
        identity: None,
        time: at(second),
        again: false,
        read: None,
        evidence: None,
    }
}

fn jail(max_retry: u32) -> Jail {
    Jail::new(Rules {
        max_retry,
        find_time: SignedDuration::from_secs(600),
        ban_time: BanTime::For(SignedDuration::from_secs(3600)),
        increment: None,
        renew: None,
        ipv6_prefix: Ipv6Prefix::SUBNET,
        ignore: vec!["192.0.2.10/32".parse().unwrap(), "198.51.100.0/24".parse().unwrap()],
    })
}

impl Jail {
    /// Counts a failure of somebody who is not on the allowlist.
    fn count(&mut self, failure: &Failure, now: Timestamp) -> Decision {
        self.decide(failure, |_| false, now)
    }
}

fn bans(decision: &Decision) -> bool {
    matches!(decision, Decision::Ban(_))
}

#[test]
fn failures_that_have_led_to_a_ban_of_a_former_agent_count_no_more() {
    let mut jail = jail(2);
    let counted = |jail: &mut Jail, host: u8, second: i64| {
        let decision = jail.decide(&failure(host, second), |_| false, at(NOW));
        assert!(!matches!(decision, Decision::Ignored));
        matches!(decision, Decision::Counted)
    };
    jail.has_answered("192.0.2.7".parse().unwrap(), at(NOW - 10));
    assert!(!counted(&mut jail, 7, NOW - 20) && !counted(&mut jail, 7, NOW - 10));
    assert!(counted(&mut jail, 8, NOW - 10), "another host's");
    assert!(counted(&mut jail, 7, NOW - 9), "the first after the ban");
    assert!(matches!(
        jail.decide(&failure(7, NOW), |_| false, at(NOW)),
        Decision::Ban(_)
    ));
}

#[test]
fn failures_from_before_and_after_the_clock_was_set_count_together() {
    for step in [86_400, -86_400] {
        let mut jail = jail(3);
        jail.has_answered("192.0.2.9".parse().unwrap(), at(NOW));
        let decide = |jail: &mut Jail, host, second| jail.decide(&failure(host, second), |_| false, at(second));
        assert_eq!(decide(&mut jail, 7, NOW - 10), Decision::Counted);
        for second in [NOW - 20, NOW] {
            assert_eq!(decide(&mut jail, 8, second), Decision::Counted);
        }
        jail.clock_was_set(SignedDuration::from_secs(step));
        let now = NOW + step;
        assert_eq!(decide(&mut jail, 7, now + 1), Decision::Counted);
        assert!(bans(&decide(&mut jail, 7, now + 2)), "{step}");
        assert!(bans(&decide(&mut jail, 8, now + 3)), "{step}");
        assert_eq!(decide(&mut jail, 9, now), Decision::Late, "it has led to a ban");
        assert_eq!(decide(&mut jail, 9, now + 1), Decision::Counted, "the first after it");
    }
}

#[test]
fn lines_that_were_read_before_the_clock_was_put_back_lead_to_nothing_when_they_are_read_again() {
    let mut jail = jail(1);
    let mut old = failure(7, NOW + 86_400);
    old.again = true;
    assert_eq!(jail.decide(&old, |_| false, at(NOW)), Decision::Late);
    old.time = at(NOW + 5);
    assert!(bans(&jail.decide(&old, |_| false, at(NOW))), "clocks differ a little");
    assert!(
        bans(&jail.decide(&failure(8, NOW + 86_400), |_| false, at(NOW))),
        "one that is new"
    );
}

#[test]
fn what_a_former_agent_has_banned_for_is_forgotten_when_it_is_too_old_to_count() {
    let mut jail = jail(2);
    for host in 0..=255 {
        jail.has_answered(Subject::host(IpAddr::from([192, 0, 2, host])), at(NOW));
    }
    assert_eq!(jail.count(&failure(8, NOW + 1), at(NOW + 600)), Decision::Counted);
    assert_eq!(jail.answered.len(), 256);
    assert_eq!(jail.count(&failure(9, NOW + 2), at(NOW + 601)), Decision::Counted);
    assert_eq!(jail.answered.capacity(), 0);
}

#[test]
fn the_ban_comes_with_the_last_failure_and_lasts_from_it() {
    let mut jail = jail(2);
    assert_eq!(jail.count(&failure(7, NOW - 10), at(NOW)), Decision::Counted);
    let decision = jail.count(&failure(7, NOW - 5), at(NOW));
    let expected = Ban {
        subject: Subject::host(IpAddr::from([192, 0, 2, 7])),
        jail: JailId(0),
        origin: Origin::Jail,
        since: at(NOW - 5),
        until: Expiry::At(at(NOW - 5 + 3600)),
        failures: 2,
    };
    assert_eq!(decision, Decision::Ban(expected));
}

#[test]
fn each_host_is_counted_for_itself() {
    let mut jail = jail(2);
    for host in 1..=9 {
        assert_eq!(jail.count(&failure(host, NOW), at(NOW)), Decision::Counted);
    }
}

#[test]
fn each_identity_of_a_host_is_counted_for_itself() {
    let mut jail = jail(2);
    let by = |identity: &str| Failure {
        identity: Some(identity.into()),
        ..failure(7, NOW)
    };
    for account in ["alice", "bob", "carol"] {
        assert_eq!(jail.count(&by(account), at(NOW)), Decision::Counted);
    }
    assert!(bans(&jail.count(&by("bob"), at(NOW))));
    assert_eq!(jail.count(&failure(7, NOW), at(NOW)), Decision::Counted);
}

#[test]
fn the_addresses_of_one_ipv6_subscriber_are_counted_and_banned_together() {
    let mut jail = jail(2);
    let from = |address: &str| Failure {
        address: address.parse().unwrap(),
        ..failure(0, NOW)
    };
    assert_eq!(jail.count(&from("2001:db8:1:2::1"), at(NOW)), Decision::Counted);
    assert_eq!(jail.count(&from("2001:db8:1:3::1"), at(NOW)), Decision::Counted);
    let Decision::Ban(ban) = jail.count(&from("2001:db8:1:2:ffff::2"), at(NOW)) else {
        panic!("no ban");
    };
    assert_eq!(ban.subject.to_string(), "2001:db8:1:2::/64");
}

#[test]
fn failures_further_apart_than_findtime_do_not_add_up() {
    let mut jail = jail(2);
    assert_eq!(jail.count(&failure(7, NOW), at(NOW)), Decision::Counted);
    assert_eq!(jail.count(&failure(7, NOW + 601), at(NOW + 601)), Decision::Counted);
    assert!(bans(&jail.count(&failure(7, NOW + 1201), at(NOW + 1201))));
}

#[test]
fn ignored_hosts_are_never_banned() {
    let mut jail = jail(1);
    assert_eq!(jail.count(&failure(10, NOW), at(NOW)), Decision::Ignored);
    let mut neighbour = failure(0, NOW);
    neighbour.address = "198.51.100.77".parse().unwrap();
    assert_eq!(jail.count(&neighbour, at(NOW)), Decision::Ignored);
    assert!(bans(&jail.count(&failure(11, NOW), at(NOW))));
}

#[test]
fn after_a_ban_counting_begins_anew() {
    let mut jail = jail(2);
    jail.count(&failure(7, NOW), at(NOW));
    assert!(bans(&jail.count(&failure(7, NOW), at(NOW))));
    assert_eq!(jail.count(&failure(7, NOW), at(NOW)), Decision::Counted);
}

#[test]
fn old_lines_lead_to_no_ban() {
    assert_eq!(jail(1).count(&failure(7, NOW - 601), at(NOW)), Decision::Late);
}

#[test]
fn a_line_from_the_future_does_not_lengthen_the_ban() {
    let Decision::Ban(ban) = jail(1).count(&failure(7, NOW + 86_000), at(NOW)) else {
        panic!("a ban was due");
    };
    assert_eq!(ban.until, Expiry::At(at(NOW + 3600)));
}

#[test]
fn lines_out_of_order_are_counted_by_their_own_time() {
    let mut jail = jail(3);
    assert_eq!(jail.count(&failure(7, NOW), at(NOW)), Decision::Counted);
    assert_eq!(jail.count(&failure(7, NOW - 500), at(NOW)), Decision::Counted);
    assert!(bans(&jail.count(&failure(7, NOW - 100), at(NOW))));
}

#[test]
fn a_flood_of_hosts_does_not_grow_the_memory_and_who_failed_more_than_once_is_kept() {
    let mut jail = jail(3);
    let (loud, quiet) = (failure(7, NOW), failure(8, NOW));
    jail.count(&loud, at(NOW));
    jail.count(&loud, at(NOW));
    jail.count(&quiet, at(NOW));
    for n in 0..1_000_000_u32 {
        let mut other = failure(0, NOW);
        other.address = IpAddr::from((0x0a00_0000 + n).to_be_bytes());
        jail.count(&other, at(NOW));
    }
    assert_eq!(jail.hosts.len(), MAX_ONCE.get() + 1);
    assert!(bans(&jail.count(&loud, at(NOW))));
    jail.count(&quiet, at(NOW));
    assert!(
        !bans(&jail.count(&quiet, at(NOW))),
        "one failure is forgotten in such a flood"
    );
}

#[test]
fn hosts_that_fail_twice_each_are_bounded_too_and_the_ones_quiet_for_longest_go() {
    let mut jail = jail(3);
    let count = MAX_MORE.get() as u32 + 10;
    let nth = |n: u32| Failure {
        address: IpAddr::from((0x0a00_0000 + n).to_be_bytes()),
        ..failure(0, NOW)
    };
    for n in (0..count).flat_map(|n| [n, n]) {
        jail.count(&nth(n), at(NOW));
    }
    assert_eq!(jail.hosts.len(), MAX_MORE.get());
    assert!(!bans(&jail.count(&nth(0), at(NOW))));
    assert!(bans(&jail.count(&nth(count - 1), at(NOW))));
}

#[test]
fn neighbours_are_not_banned_for_what_an_allowed_host_did() {
    let mut jail = jail(2);
    let allowed: IpAddr = "2001:db8:1:2::25".parse().unwrap();
    let from = |address: &str| Failure {
        address: address.parse().unwrap(),
        ..failure(0, NOW)
    };
    let mut decide = |address: &str| jail.decide(&from(address), |host| host == Subject::host(allowed), at(NOW));
    assert_eq!(decide("2001:db8:1:2::25"), Decision::Counted);
    assert_eq!(decide("2001:db8:1:2::7"), Decision::Counted);
    let Decision::Ban(ban) = decide("2001:db8:1:2::25") else {
        panic!("no ban");
    };
    assert_eq!(
        ban.subject.to_string(),
        "2001:db8:1:2::25",
        "which the ledger does not let happen"
    );
    let Decision::Ban(ban) = decide("2001:db8:1:2::8") else {
        panic!("no ban");
    };
    assert_eq!(ban.subject.to_string(), "2001:db8:1:2::/64");
}

#[test]
fn a_name_is_ignored_from_when_its_address_is_known_until_it_has_another() {
    let mut jail = jail(1);
    jail.ignore_also(&["192.0.2.7/32".parse().unwrap()]);
    assert_eq!(jail.count(&failure(7, NOW), at(NOW)), Decision::Ignored);
    jail.ignore_also(&["192.0.2.8/32".parse().unwrap()]);
    assert!(bans(&jail.count(&failure(7, NOW), at(NOW))));
    assert_eq!(jail.count(&failure(8, NOW), at(NOW)), Decision::Ignored);
    assert_eq!(
        jail.count(&failure(10, NOW), at(NOW)),
        Decision::Ignored,
        "as its rules say"
    );
}

#[test]
fn an_ipv6_network_in_which_an_ignored_host_lives_is_not_banned_for_its_neighbour() {
    let mut jail = jail(1);
    jail.ignore_also(&["2001:db8::1/128".parse().unwrap()]);
    let neighbour = Failure {
        address: "2001:db8::2".parse().unwrap(),
        ..failure(7, NOW)
    };
    let Decision::Ban(ban) = jail.count(&neighbour, at(NOW)) else {
        panic!("a ban");
    };
    assert_eq!(ban.subject.to_string(), "2001:db8::2");
}

#[test]
fn a_ban_goes_on_for_who_has_knocked_within_findtime_and_not_for_ever() {
    let ban = |until: i64| Ban {
        subject: Subject::host(IpAddr::from([192, 0, 2, 7])),
        jail: JailId(0),
        origin: Origin::Jail,
        since: at(NOW),
        until: Expiry::At(at(until)),
        failures: 2,
    };
    let mut rules = jail(2).rules;
    rules.renew = Some(SignedDuration::from_secs(10_000));
    let jail = Jail::new(rules);
    let end = NOW + 3600;
    assert_eq!(jail.renewed(&ban(end), at(end - 600), at(end)), Some(at(end + 3600)));
    assert_eq!(jail.renewed(&ban(end), at(end - 601), at(end)), None, "it has given up");
    let end = NOW + 9000;
    assert_eq!(jail.renewed(&ban(end), at(end), at(end)), Some(at(NOW + 10_000)));
    let end = NOW + 10_000;
    assert_eq!(jail.renewed(&ban(end), at(end), at(end)), None, "it was long enough");
}

#[test]
fn it_tells_how_many_failures_count_until_they_are_too_old_or_have_led_to_a_ban() {
    let mut jail = jail(3);
    let who = |jail: &Jail| jail.who(&failure(7, NOW), Subject::host(failure(7, NOW).address));
    let counted = |jail: &Jail, second| jail.counted(&who(jail), at(second));
    assert_eq!(counted(&jail, NOW), 0);
    for (second, expected) in [(NOW - 10, 1), (NOW, 2)] {
        jail.count(&failure(7, second), at(second));
        assert_eq!(counted(&jail, second), expected);
    }
    assert_eq!((counted(&jail, NOW + 595), counted(&jail, NOW + 601)), (1, 0));
    assert!(bans(&jail.count(&failure(7, NOW + 1), at(NOW + 1))));
    assert_eq!(counted(&jail, NOW + 1), 0);
}
