use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(3_000_000 + second).unwrap()
}

fn host(n: u32) -> std::net::IpAddr {
    std::net::IpAddr::from((0x0a00_0000 + n).to_be_bytes())
}

fn brake(bans_per_minute: u32, share: f64, share_from: u32) -> Brake {
    let limits = Limits {
        bans_per_minute,
        share,
        share_from,
    };
    Brake::new(limits, Arc::default())
}

/// How many of these hosts are banned.
fn made(brake: &mut Brake, hosts: std::ops::Range<u32>, now: Timestamp) -> usize {
    let mut made = 0;
    for n in hosts {
        match brake.admit(Subject::host(host(n)), now) {
            Ok(()) => {
                brake.made(now);
                made += 1;
            }
            Err(reason) => {
                brake.held_back(reason, now);
            }
        }
    }
    made
}

#[test]
fn so_many_bans_a_minute_are_made_and_no_more_until_they_are_a_minute_old() {
    let mut brake = brake(10, 1.0, 1);
    assert_eq!(made(&mut brake, 0..7, at(0)), 7);
    assert!(!brake.is_engaged());
    assert_eq!(made(&mut brake, 10..17, at(30)), 3);
    assert!(brake.is_engaged());
    assert_eq!(made(&mut brake, 20..29, at(59)), 0);
    assert_eq!(made(&mut brake, 20..29, at(60)), 7);
}

#[test]
fn it_is_told_once_and_lets_go_by_itself_when_nothing_was_held_back_for_a_minute() {
    let mut brake = brake(1, 1.0, 1);
    made(&mut brake, 0..1, at(0));
    let reason = brake.admit(Subject::host(host(1)), at(1)).unwrap_err();
    assert_eq!(brake.held_back(reason, at(1)), Some(Turn::Engaged(Reason::Rate)));
    assert_eq!(brake.held_back(reason, at(2)), None);
    assert_eq!(brake.tick(at(61)), None);
    assert_eq!(brake.tick(at(62)), Some(Turn::Released { held_back: 2 }));
    assert!(!brake.is_engaged());
    assert_eq!(brake.tick(at(63)), None);
}

#[test]
fn nobody_is_banned_beyond_the_share_of_hosts_seen_and_again_when_it_is_smaller() {
    let mut brake = brake(u32::MAX, 0.5, 50);
    for n in 0..200 {
        brake.seen.host(host(n), at(0));
    }
    let banned = made(&mut brake, 0..200, at(0));
    assert!((90..=110).contains(&banned), "{banned} of 200");
    assert_eq!(
        made(&mut brake, 0..200, at(1)),
        0,
        "who is held back makes no room by trying again"
    );
    assert_eq!(made(&mut brake, 0..1, at(601)), 1);
}

#[test]
fn of_few_hosts_all_may_be_banned() {
    let mut brake = brake(u32::MAX, 0.5, 50);
    let banned = made(&mut brake, 0..100, at(0));
    assert!((48..=52).contains(&banned), "{banned} without any other host");
}

#[test]
fn ordinary_spam_never_meets_the_defaults() {
    // A botnet: nine of ten hosts are bad, 600 new ones a minute, for an hour.
    let mut brake = Brake::new(Limits::default(), Arc::default());
    for minute in 0..60 {
        let (now, first) = (at(minute * 60), minute as u32 * 667);
        for n in first..first + 667 {
            brake.seen.host(host(n), now);
        }
        assert_eq!(made(&mut brake, first..first + 600, now), 600, "minute {minute}");
    }
}

#[test]
fn a_filter_that_takes_every_line_for_a_failure_is_stopped_by_the_defaults() {
    let mut brake = Brake::new(Limits::default(), Arc::default());
    let mut banned = 0;
    for minute in 0..60 {
        let (now, first) = (at(minute * 60), minute as u32 * 100);
        for n in first..first + 100 {
            brake.seen.host(host(n), now);
            banned += made(&mut brake, n..n + 1, now);
        }
    }
    assert!(banned < 600, "{banned} of 6000 hosts are banned within an hour");
}

#[test]
fn a_clock_that_is_put_back_does_not_keep_it_engaged() {
    let mut brake = brake(1, 1.0, 1);
    made(&mut brake, 0..2, at(10_000));
    assert_eq!(made(&mut brake, 3..4, at(0)), 1);
    assert_eq!(brake.tick(at(0)), Some(Turn::Released { held_back: 1 }));
}
