use jiff::SignedDuration;

use super::*;
use crate::api::model::Ban;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn line(seconds: i64, text: &str) -> FailedLine {
    FailedLine {
        time: ago(seconds),
        line: text.to_owned(),
        number: 1,
        failregex: "^bad <HOST>$".to_owned(),
    }
}

fn reason(address: &str) -> Reason {
    Reason {
        ban: Ban {
            address: address.to_owned(),
            jail: "spam".to_owned(),
            origin: "jail".to_owned(),
            since: ago(12),
            until: Some(ago(-3600)),
            failures: 5,
            packets: Some(1234),
            last_knock: Some(ago(3)),
            enforced: true,
        },
        scope: "tcp/25".to_owned(),
        nth: 2,
        grows: true,
        next_seconds: Some(14_400),
        lines: vec![line(130, "bad 192.0.2.7"), line(12, "bad 192.0.2.7 \u{1b}[2J")],
    }
}

fn of(address: &str) -> Why {
    Why {
        address: address.to_owned(),
        bans: Vec::new(),
        allowed: None,
        jails: Vec::new(),
        past: Vec::new(),
        past_total: 0,
    }
}

/// The text without its colours.
fn plain(why: &Why) -> String {
    anstream::adapter::strip_str(&text(why, now())).to_string()
}

#[test]
fn a_banned_hosts_story_stands_in_two_columns_with_times_that_need_no_clock() {
    let mut why = of("192.0.2.7");
    why.bans.push(reason("192.0.2.7"));
    why.past_total = 41;
    why.past.push(PastBan {
        address: "192.0.2.7".to_owned(),
        jail: "auth".to_owned(),
        since: ago(200_000),
        until: Some(ago(100_000)),
        lifted: false,
        lines: vec![line(200_000, "not shown while a ban is in force")],
    });
    let expected = r#"192.0.2.7 is banned by spam for another 60 min

jail        spam, which closes tcp/25
since       12 s ago, for 5 failures
ends        in 60 min
ban         number 2; the next one lasts 4 h or more
dropped     1,234 packets, the last 3 s ago
2 min ago   #1 bad 192.0.2.7
12 s ago    #1 bad 192.0.2.7 \u{1b}[2J
failregex   #1 ^bad <HOST>$

before      41 earlier bans
2 d ago     auth  until 27 h ago

undo it     blocker unban 192.0.2.7
for good    networks = ["192.0.2.7"] under [allow] in blocker.toml, for all jails;
            or ignoreip = 192.0.2.7 in [spam], for that jail alone;
            beside what stands there already, and then `blocker reload`
"#;
    assert_eq!(plain(&why), expected);
    let coloured = text(&why, now());
    assert!(
        coloured.starts_with("\u{1b}[1m\u{1b}[31m192.0.2.7 is banned"),
        "{coloured:?}"
    );
}

#[test]
fn a_ban_by_hand_of_a_network_that_is_not_enforced_says_all_three() {
    let mut why = of("192.0.2.7");
    let mut by_hand = reason("192.0.2.0/24");
    by_hand.ban.origin = "manual".to_owned();
    by_hand.ban.until = None;
    by_hand.ban.enforced = false;
    by_hand.ban.packets = None;
    by_hand.next_seconds = None;
    by_hand.lines = Vec::new();
    why.bans.push(by_hand);
    let text = plain(&why);
    for part in [
        "192.0.2.7 is banned by spam without an end\n",
        "\nbanned      all of 192.0.2.0/24\n",
        "somebody has asked for it by hand\n",
        "\nends        never by itself\n",
        "\nban         number 2; the next one has no end\n",
        "\ndropped     the kernel does not tell\n",
        "\nBUT         the kernel does not enforce it yet",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("\nlines "), "nobody expects lines: {text}");
}

#[test]
fn of_a_host_that_is_not_banned_it_says_what_counts_and_what_the_last_ban_was_for() {
    let mut why = of("192.0.2.7");
    assert_eq!(plain(&why), "192.0.2.7 is not banned\n");
    why.jails.push(Counted {
        jail: "spam".to_owned(),
        ignores: false,
        ignored_by: None,
        failures: 1,
        max_retry: 5,
        find_seconds: 600,
        lines: vec![line(40, "bad 192.0.2.7")],
    });
    why.past_total = 1;
    why.past.push(PastBan {
        address: "192.0.2.0/24".to_owned(),
        jail: "spam".to_owned(),
        since: ago(300),
        until: Some(ago(-300)),
        lifted: true,
        lines: vec![line(300, "bad before")],
    });
    let expected = "192.0.2.7 is not banned\n\
        \n\
        counted     1 of the 5 failures within 10 min for which spam bans\n\
        40 s ago    #1 bad 192.0.2.7\n\
        failregex   #1 ^bad <HOST>$\n\
        \n\
        before      1 earlier ban\n\
        5 min ago   spam  lifted by hand, all of 192.0.2.0/24\n\
        the last    of them was made for these lines:\n\
        5 min ago   #1 bad before\n\
        failregex   #1 ^bad <HOST>$\n";
    assert_eq!(plain(&why), expected);
}

#[test]
fn the_longest_time_is_told_apart_from_its_line() {
    let mut why = of("192.0.2.7");
    let mut long_ago = reason("192.0.2.7");
    long_ago.lines = vec![line(119 * 60, "bad 192.0.2.7")];
    why.bans.push(long_ago);
    let text = plain(&why);
    assert!(text.contains("\n119 min ago #1 bad 192.0.2.7\n"), "{text}");
}

#[test]
fn what_spares_a_host_is_named() {
    let mut why = of("192.0.2.7");
    why.allowed = Some(Allowed {
        by: "networks".to_owned(),
        entry: Some("192.0.2.0/24".to_owned()),
    });
    why.jails.push(Counted {
        jail: "spam".to_owned(),
        ignores: true,
        ignored_by: Some("192.0.2.0/28".to_owned()),
        failures: 0,
        max_retry: 5,
        find_seconds: 600,
        lines: Vec::new(),
    });
    let expected = "192.0.2.7 is not banned, and cannot be: the allowlist covers it\n\
        allowed     by `192.0.2.0/24` in `networks` under [allow] in blocker.toml\n\
        \n\
        ignored     in jail spam: its `ignoreip` covers it, by `192.0.2.0/28`\n";
    assert_eq!(plain(&why), expected);
    why.bans.push(reason("192.0.0.0/16"));
    let text = plain(&why);
    assert!(
        text.starts_with("192.0.2.7 is banned by spam for another 60 min; the allowlist lets it in all the same\n")
    );
    assert!(!text.contains("for good"), "{text}");
}

#[test]
fn nothing_that_the_agent_says_steers_the_terminal() {
    let hostile = "\u{1b}[2J\u{202e}\n\r\t".to_owned();
    let mut why = of(&hostile);
    let mut one = reason(&hostile);
    one.ban.jail.clone_from(&hostile);
    one.scope.clone_from(&hostile);
    one.lines[0].line.clone_from(&hostile);
    one.lines[1].failregex.clone_from(&hostile);
    why.bans.push(one);
    why.past.push(PastBan {
        address: hostile.clone() + "/24",
        jail: hostile,
        since: ago(1),
        until: None,
        lifted: false,
        lines: Vec::new(),
    });
    let text = text(&why, now());
    let without_own = text
        .replace("\u{1b}[1m", "")
        .replace("\u{1b}[31m", "")
        .replace("\u{1b}[0m", "");
    assert!(
        without_own.chars().all(|char| !char.is_control() || char == '\n') && !without_own.contains('\u{202e}'),
        "{without_own:?}"
    );
}
