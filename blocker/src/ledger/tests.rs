use super::*;
use crate::ban::Origin;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn ban(address: &str, jail: u16, until: Expiry) -> Ban {
    Ban {
        subject: address.parse().unwrap(),
        jail: JailId(jail),
        origin: Origin::Jail,
        since: at(0),
        until,
        failures: 2,
    }
}

fn until(second: i64) -> Expiry {
    Expiry::At(at(second))
}

fn held(address: &str, bans: &[(u16, Expiry)]) -> Change {
    Change {
        subject: address.parse().unwrap(),
        bans: bans
            .iter()
            .map(|(jail, until)| Enforced {
                jail: JailId(*jail),
                until: *until,
            })
            .collect(),
    }
}

const HOST: &str = "192.0.2.7";

fn ledger() -> Ledger {
    let networks = ["198.51.100.0/24".parse().unwrap()];
    Ledger::new(Allowlist::new(networks, ["192.0.2.25".parse().unwrap()]))
}

#[test]
fn a_ban_is_in_force_until_its_end() {
    let mut ledger = ledger();
    let entry = ledger.enter(ban(HOST, 0, until(60)));
    assert_eq!(entry, Entry::New(held(HOST, &[(0, until(60))])));
    assert_eq!(ledger.active(JailId(0)), 1);
    assert_eq!(ledger.next_end(), Some(at(60)));
    assert_eq!(ledger.expire(at(59)), (vec![], vec![]));
    let (over, changes) = ledger.expire(at(60));
    assert_eq!(over, [ban(HOST, 0, until(60))]);
    assert_eq!(changes, [held(HOST, &[])]);
    assert_eq!((ledger.active(JailId(0)), ledger.next_end()), (0, None));
}

#[test]
fn the_allowlist_wins_over_every_ban() {
    let mut ledger = ledger();
    for allowed in ["198.51.100.9", "192.0.2.25", "127.0.0.1", "::1"] {
        assert_eq!(
            ledger.enter(ban(allowed, 0, Expiry::Never)),
            Entry::Allowed,
            "{allowed}"
        );
    }
}

#[test]
fn a_second_ban_extends_and_never_shortens() {
    let mut ledger = ledger();
    ledger.enter(ban(HOST, 0, until(60)));
    assert_eq!(ledger.enter(ban(HOST, 0, until(30))), Entry::Known);
    let entry = ledger.enter(ban(HOST, 0, until(90)));
    assert_eq!(entry, Entry::Extended(held(HOST, &[(0, until(90))])));
    assert_eq!(ledger.expire(at(60)), (vec![], vec![]));
    assert_eq!(ledger.expire(at(90)).1, [held(HOST, &[])]);
}

#[test]
fn extending_a_ban_again_and_again_costs_no_memory() {
    let mut ledger = ledger();
    for second in 60..1060 {
        ledger.enter(ban(HOST, 0, until(second)));
    }
    assert_eq!(ledger.ends.len(), 1);
    assert_eq!(ledger.expire(at(1058)), (vec![], vec![]));
    assert_eq!(ledger.next_end(), Some(at(1059)));
    assert_eq!(ledger.expire(at(1059)).1, [held(HOST, &[])]);
    assert_eq!(ledger.ends.len(), 0);
}

#[test]
fn each_jails_ban_of_an_address_ends_for_itself() {
    let mut ledger = ledger();
    ledger.enter(ban(HOST, 0, until(30)));
    let entry = ledger.enter(ban(HOST, 1, until(60)));
    assert_eq!(entry, Entry::New(held(HOST, &[(0, until(30)), (1, until(60))])));
    assert_eq!(ledger.expire(at(30)).1, [held(HOST, &[(1, until(60))])]);
    assert_eq!(ledger.expire(at(60)).1, [held(HOST, &[])]);
}

#[test]
fn a_ban_for_ever_stays() {
    let mut ledger = ledger();
    ledger.enter(ban(HOST, 0, Expiry::Never));
    assert_eq!(ledger.enter(ban(HOST, 0, until(60))), Entry::Known);
    assert_eq!(ledger.expire(Timestamp::MAX), (vec![], vec![]));
    assert_eq!(ledger.active(JailId(0)), 1);
}

#[test]
fn what_the_allowlist_comes_to_cover_is_lifted_and_the_rest_stays() {
    let mut ledger = ledger();
    for (address, jail) in [(HOST, 0), (HOST, 1), ("192.0.2.8", 1), ("192.0.2.0/24", 0)] {
        assert!(matches!(ledger.enter(ban(address, jail, until(100))), Entry::New(_)));
    }
    let list = ledger.allowlist().with_looked_up(["192.0.2.7/32".parse().unwrap()]);
    let lifted = ledger.set_allowlist(list);
    assert_eq!(lifted.bans.len(), 2, "{lifted:?}");
    assert_eq!(lifted.changes, [held(HOST, &[])]);
    assert_eq!(
        (ledger.active(JailId(0)), ledger.active(JailId(1)), ledger.len()),
        (1, 1, 2)
    );
    assert_eq!(ledger.enter(ban(HOST, 0, until(100))), Entry::Allowed);

    let list = ledger.allowlist().with_looked_up([]);
    assert_eq!(ledger.set_allowlist(list), Lifted::default());
    assert!(
        matches!(ledger.enter(ban(HOST, 0, until(200))), Entry::New(_)),
        "what has left the list can be banned"
    );
    let (over, _) = ledger.expire(at(100));
    assert_eq!(over.len(), 2, "not by the end that the lifted ban had: {over:?}");
    assert_eq!(ledger.active(JailId(0)), 1);
}

#[test]
fn bans_of_one_jail_can_be_lifted_alone() {
    let mut ledger = ledger();
    ledger.enter(ban(HOST, 0, until(100)));
    ledger.enter(ban(HOST, 1, until(100)));
    let lifted = ledger.lift(|ban| ban.jail == JailId(1));
    assert_eq!(lifted.changes, [held(HOST, &[(0, until(100))])]);
    assert_eq!(ledger.active(JailId(1)), 0);
}

#[test]
fn when_the_clock_is_set_each_ban_has_as_long_to_go_as_before() {
    for step in [86_400, -86_400] {
        let mut ledger = ledger();
        ledger.enter(ban(HOST, 0, until(60)));
        ledger.enter(ban(HOST, 1, Expiry::Never));
        ledger.enter(ban("192.0.2.8", 0, until(30)));
        // Found at its former end, and put down for its new one.
        ledger.enter(ban("192.0.2.8", 0, until(90)));
        ledger.clock_was_set(SignedDuration::from_secs(step));
        assert_eq!(ledger.expire(at(step + 59)), (vec![], vec![]));
        let (over, changes) = ledger.expire(at(step + 60));
        assert_eq!(over, [ban(HOST, 0, until(60)).moved(SignedDuration::from_secs(step))]);
        assert_eq!(changes, [held(HOST, &[(1, Expiry::Never)])]);
        assert_eq!(ledger.expire(at(step + 89)), (vec![], vec![]));
        assert_eq!(ledger.expire(at(step + 90)).1, [held("192.0.2.8", &[])]);
        assert_eq!(ledger.count(), 1);
    }
}

#[test]
fn a_ban_that_was_extended_ends_after_those_of_other_jails_and_costs_no_memory() {
    let mut ledger = ledger();
    ledger.enter(ban(HOST, 0, until(30)));
    ledger.enter(ban(HOST, 1, until(60)));
    ledger.enter(ban(HOST, 2, Expiry::Never));
    ledger.enter(ban(HOST, 0, until(90)));
    assert_eq!(ledger.expire(at(30)), (vec![], vec![]));
    assert_eq!(ledger.expire(at(60)).0, [ban(HOST, 1, until(60))]);
    assert_eq!(ledger.expire(at(89)).0, []);
    assert_eq!(ledger.expire(at(90)).1, [held(HOST, &[(2, Expiry::Never)])]);
    assert_eq!((ledger.ends.len(), ledger.count(), ledger.len()), (0, 1, 1));
}
