use std::convert::Infallible;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;

use super::*;
use crate::ban::Expiry;
use crate::filter::definition::Definition;
use crate::jail::{BanTime, Growth, Increment, Rules};
use crate::problem::Place;

/// A jail that bans for ten minutes those who fail twice within ten.
fn jail(name: &str, failregex: &str, ports: &[u16]) -> JailSettings {
    JailSettings {
        name: name.to_owned(),
        filter: Arc::new(Filter::compile(&Definition::of_regex(failregex)).unwrap()),
        zone: TimeZone::UTC,
        ignored_names: Vec::new(),
        ignore_command: None,
        logs: Vec::new(),
        logs_place: Place::file(Path::new("test")),
        rules: Rules {
            max_retry: 2,
            find_time: SignedDuration::from_mins(10),
            ban_time: BanTime::For(SignedDuration::from_mins(10)),
            ignore: Vec::new(),
            increment: None,
            renew: None,
            ipv6_prefix: Ipv6Prefix::SUBNET,
        },
        scope: Scope::tcp(ports.iter().map(|port| *port..=*port).collect()),
    }
}

fn spam() -> JailSettings {
    jail("spam", "^ bad <ADDR>$", &[25])
}

/// Logs of these texts, all written last at the end of the year 2025.
struct Written {
    folder: tempfile::TempDir,
    logs: Vec<StoredLog>,
}

impl Written {
    fn new(texts: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = |(n, text): (usize, &&str)| {
            let path = folder.path().join(n.to_string());
            fs::write(&path, text).unwrap();
            let mut log = StoredLog::new(&path).unwrap();
            log.written = "2025-12-31T23:59:00Z".parse().unwrap();
            log
        };
        let logs = texts.iter().enumerate().map(log).collect();
        Self { folder, logs }
    }
}

/// The bans over these logs as `time jail address until`, and what was counted.
fn over(jails: Vec<JailSettings>, allow: &[&str], texts: &[&str]) -> (Vec<String>, Tally) {
    let allow = allow.iter().map(|network| network.parse().unwrap());
    let mut replay = Replay::new(jails, Allowlist::new(allow, []));
    let written = Written::new(texts);
    let mut bans = Vec::new();
    let read = replay.run::<Infallible>(&written.logs, &|input| input, |jail, ban| {
        bans.push(format!("{} {jail} {} {}", ban.since, ban.subject, ban.until));
        Ok(())
    });
    read.unwrap();
    (bans, replay.tally)
}

const BANNED_AT_1: &str = "2025-06-01T00:01:00Z spam 192.0.2.7 2025-06-01T00:11:00Z";

#[test]
fn a_ban_is_made_and_ends_by_the_logs_clock_and_may_be_made_again() {
    let (bans, tally) = over(
        vec![spam()],
        &[],
        &["2025-06-01T00:00:00Z bad 192.0.2.7\n\
           2025-06-01T00:01:00Z bad 192.0.2.7\n\
           2025-06-01T00:02:00Z bad 192.0.2.7\n\
           2025-06-01T00:10:59Z bad 192.0.2.7\n\
           2025-06-01T00:11:00Z bad 192.0.2.7\n\
           2025-06-01T00:12:00Z good\n\
           2025-06-01T00:13:00Z bad 192.0.2.7\n"],
    );
    let again = "2025-06-01T00:13:00Z spam 192.0.2.7 2025-06-01T00:23:00Z";
    assert_eq!(bans, [BANNED_AT_1, again]);
    let expected = Counts {
        failures: 6,
        saved: 2,
        bans: 2,
    };
    assert_eq!(tally.all, expected);
    assert_eq!(tally.jails, [expected]);
    assert_eq!(tally.hosts[&"192.0.2.7".parse().unwrap()], expected);
    assert_eq!((tally.lines, tally.undated), (7, 0));
}

#[test]
fn bans_grow_for_who_comes_back_where_the_jail_says_so() {
    let mut jail = spam();
    jail.rules.increment = Some(Increment {
        growth: Growth::Doubling,
        factor: 1.0,
        max_time: None,
        random_time: SignedDuration::ZERO,
        overall_jails: false,
    });
    let (bans, _) = over(
        vec![jail],
        &[],
        &[
            "2025-06-01T00:00:00Z bad 192.0.2.7\n2025-06-01T00:00:00Z bad 192.0.2.7\n\
           2025-06-01T01:00:00Z bad 192.0.2.7\n2025-06-01T01:00:00Z bad 192.0.2.7\n\
           2025-06-01T02:00:00Z bad 192.0.2.7\n2025-06-01T02:00:00Z bad 192.0.2.7\n",
        ],
    );
    assert_eq!(
        bans,
        [
            "2025-06-01T00:00:00Z spam 192.0.2.7 2025-06-01T00:10:00Z",
            "2025-06-01T01:00:00Z spam 192.0.2.7 2025-06-01T01:20:00Z",
            "2025-06-01T02:00:00Z spam 192.0.2.7 2025-06-01T02:40:00Z",
        ]
    );
}

#[test]
fn lines_out_of_order_count_by_their_own_time_and_do_not_turn_back_the_clock() {
    let (bans, _) = over(
        vec![spam()],
        &[],
        &["2025-06-01T00:01:03Z good\n2025-06-01T00:01:00Z bad 192.0.2.7\n2025-06-01T00:00:58Z bad 192.0.2.7\n"],
    );
    assert_eq!(bans, ["2025-06-01T00:00:58Z spam 192.0.2.7 2025-06-01T00:10:58Z"]);
}

#[test]
fn a_date_that_is_far_off_makes_no_ban_and_undoes_none() {
    let (bans, tally) = over(
        vec![spam()],
        &[],
        &["2025-06-01T00:00:00Z bad 192.0.2.7\n\
           2036-06-01T00:00:00Z good\n\
           2025-06-01T00:01:00Z bad 192.0.2.7\n\
           2001-06-01T00:00:00Z bad 192.0.2.8\n\
           2001-06-01T00:00:00Z good\n\
           2025-06-01T00:02:00Z bad 192.0.2.7\n"],
    );
    assert_eq!(bans, [BANNED_AT_1]);
    assert_eq!(tally.all.saved, 1);
}

#[test]
fn a_quiet_relay_whose_lines_are_days_apart_is_followed() {
    let line = |day: u8| format!("2025-06-{day:02}T00:00:00Z bad 192.0.2.7\n");
    let twice = line(13).repeat(2);
    let (bans, tally) = over(vec![spam()], &[], &[&[line(1), line(5), line(9), twice].concat()]);
    assert_eq!(bans, ["2025-06-13T00:00:00Z spam 192.0.2.7 2025-06-13T00:10:00Z"]);
    assert_eq!((tally.all.failures, tally.all.saved), (5, 0));
}

#[test]
fn many_failures_in_doubt_are_not_kept() {
    let later = "2025-06-09T00:00:00Z bad 192.0.2.7\n".repeat(3 * MAX_HELD);
    let text = format!("2025-06-01T00:00:00Z good\n{later}");
    let mut replay = Replay::new(vec![spam()], Allowlist::default());
    let written = Written::new(&[&text]);
    let mut bans = 0;
    let read = replay.run::<Infallible>(&written.logs, &|input| input, |_, _| {
        bans += 1;
        Ok(())
    });
    read.unwrap();
    assert_eq!((bans, replay.tally.all.saved), (1, 3 * MAX_HELD as u64 - 2));
    assert!(replay.held.capacity() <= 4 * MAX_HELD);
}

#[test]
fn what_a_ban_in_force_covers_only_in_part_still_counts() {
    let jails = || {
        vec![
            jail("spam", "^ bad <ADDR>$", &[25]),
            jail("login", "^ guess <ADDR>$", &[25, 587]),
        ]
    };
    let text = "2025-06-01T00:00:00Z X 192.0.2.7\n2025-06-01T00:01:00Z X 192.0.2.7\n\
                2025-06-01T00:02:00Z Y 192.0.2.7\n2025-06-01T00:03:00Z Y 192.0.2.7\n";
    let (bans, tally) = over(jails(), &[], &[&text.replace('X', "bad").replace('Y', "guess")]);
    assert_eq!(bans.len(), 2, "port 587 is open to a host that is banned from port 25");
    assert_eq!(tally.all.saved, 0);
    let (bans, tally) = over(jails(), &[], &[&text.replace('X', "guess").replace('Y', "bad")]);
    assert_eq!(bans.len(), 1, "{bans:?}");
    assert_eq!((tally.jails[0].saved, tally.jails[1].saved), (2, 0));
}

#[test]
fn neighbours_in_an_ipv6_network_are_kept_out_with_it_but_not_the_allowed_one() {
    let line = |minute: u8, address: &str| format!("2025-06-01T00:{minute:02}:00Z bad {address}\n");
    let text = [
        line(0, "2001:db8::7"),
        line(1, "2001:db8::8"),
        line(2, "2001:db8::9"),
        line(3, "2001:db8::25"),
        line(4, "2001:db8::25"),
    ];
    let (bans, tally) = over(vec![spam()], &["2001:db8::25/128"], &[&text.concat()]);
    assert_eq!(bans, ["2025-06-01T00:01:00Z spam 2001:db8::/64 2025-06-01T00:11:00Z"]);
    assert_eq!((tally.all.failures, tally.all.saved, tally.vetoes), (5, 1, 1));
}

#[test]
fn rotated_logs_in_any_order_are_one_and_the_year_goes_by_when_they_were_written() {
    let old = "Dec 31 23:57:00 bad 192.0.2.7\n";
    let new = "no date\nDec 31 23:58:00 bad 192.0.2.7\n";
    for texts in [[old, new], [new, old]] {
        let (bans, tally) = over(vec![spam()], &[], &texts);
        assert_eq!(bans, ["2025-12-31T23:58:00Z spam 192.0.2.7 2026-01-01T00:08:00Z"]);
        assert_eq!(tally.lines, 3);
    }
}

#[test]
fn logs_of_the_same_time_are_read_side_by_side() {
    let log = |address: &str, first: u8| -> String {
        let minutes = (first..60).step_by(20);
        minutes
            .map(|minute| format!("2025-06-01T00:{minute:02}:00Z bad {address}\n"))
            .collect()
    };
    // Behind each other, all of the second would be too old.
    let (bans, _) = over(
        vec![spam()],
        &[],
        &[&log("192.0.2.7", 0), &log("192.0.2.7", 5), &log("192.0.2.8", 19)],
    );
    let expected = ["05", "25", "45"].map(|minute| format!("2025-06-01T00:{minute}:00Z spam 192.0.2.7"));
    assert_eq!(bans.len(), expected.len(), "{bans:?}");
    assert!(
        bans.iter()
            .zip(&expected)
            .all(|(ban, expected)| ban.starts_with(expected)),
        "{bans:?}"
    );
}

#[test]
fn a_session_goes_on_in_the_next_of_rotated_logs() {
    let failregex = "^ <F-MLFID>s\\d+</F-MLFID> (?:<F-NOFAIL>connect</F-NOFAIL> from <ADDR>|bad)$";
    let texts = [
        "2025-06-01T00:01:00Z s1 bad\n2025-06-01T00:01:01Z s1 bad\n",
        "2025-06-01T00:00:00Z s1 connect from 192.0.2.7\n",
    ];
    let (bans, _) = over(vec![jail("spam", failregex, &[25])], &[], &texts);
    assert_eq!(bans, ["2025-06-01T00:01:01Z spam 192.0.2.7 2025-06-01T00:11:01Z"]);
}

#[test]
fn a_line_without_a_date_is_of_the_time_of_the_line_before() {
    let mut texts = String::from("bad 192.0.2.7\nbad 192.0.2.7\n2025-06-01T00:00:00Z good\n");
    texts.push_str(&"bad 192.0.2.7\n".repeat(2));
    let (bans, tally) = over(vec![jail("spam", "^ ?bad <ADDR>$", &[25])], &[], &[&texts]);
    assert_eq!(bans, ["2025-06-01T00:00:00Z spam 192.0.2.7 2025-06-01T00:10:00Z"]);
    assert_eq!((tally.undated, tally.all.failures), (2, 2));
}

#[test]
fn hosts_that_are_named_are_not_looked_up_but_counted() {
    let text = "2025-06-01T00:00:00Z bad mail.example.org\n";
    let (bans, tally) = over(vec![jail("spam", "^ bad <HOST>$", &[25])], &[], &[text]);
    assert!(bans.is_empty());
    assert_eq!((tally.unbannable, tally.all.failures), (1, 0));
}

#[test]
fn a_ban_for_ever_stays() {
    let mut jail = spam();
    jail.rules.ban_time = BanTime::Forever;
    let mut replay = Replay::new(vec![jail], Allowlist::default());
    let written = Written::new(&[
        "2025-06-01T00:00:00Z bad 192.0.2.7\n2025-06-01T00:00:00Z bad 192.0.2.7\n\
                                  2025-12-01T00:00:00Z bad 192.0.2.7\n",
    ]);
    let mut until = Vec::new();
    let read = replay.run::<Infallible>(&written.logs, &|input| input, |_, ban| {
        until.push(ban.until);
        Ok(())
    });
    read.unwrap();
    assert_eq!(until, [Expiry::Never]);
    assert_eq!(replay.tally().all.saved, 1);
}

#[test]
fn whoever_wants_no_more_is_told_no_more_and_a_log_that_is_gone_is_named() {
    let text = "2025-06-01T00:00:00Z bad 192.0.2.7\n".repeat(2);
    let mut written = Written::new(&[&text, &text.replace("2.7", "2.8")]);
    let mut replay = Replay::new(vec![spam()], Allowlist::default());
    let read = replay.run(&written.logs, &|input| input, |_, _| Err("enough"));
    assert!(matches!(read, Err(Stopped::Told("enough"))));
    let gone = written.folder.path().join("1");
    fs::remove_file(&gone).unwrap();
    let read = replay.run::<Infallible>(&written.logs, &|input| input, |_, _| Ok(()));
    let error = read.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}: No such file", PathBuf::from(&gone).display())),
        "{error}"
    );
    written.logs.clear();
}

#[test]
fn a_scope_covers_another_only_where_it_has_all_of_its_ports() {
    let scope = |tcp: &[std::ops::RangeInclusive<u16>]| Scope::tcp(tcp.to_vec());
    assert!(covers(&scope(&[25..=25, 465..=587]), &scope(&[25..=25, 500..=500])));
    assert!(!covers(&scope(&[25..=25]), &scope(&[25..=25, 587..=587])));
    assert!(!covers(&scope(&[25..=30]), &scope(&[29..=31])));
    let udp = Scope {
        udp: vec![25..=25],
        ..Scope::default()
    };
    assert!(!covers(&scope(&[25..=25]), &udp));
}
