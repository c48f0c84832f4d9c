//! What stands on the screen, at several sizes.

use std::time::{Duration, Instant};

use jiff::SignedDuration;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::super::keys::Action;
use super::super::poll::{Answer, Order};
use super::super::state::State;
use super::super::state::samples::{NOW, bans, jail, news, status};
use super::{Look, draw};
use crate::api::model::{Ban, Status};

const INTERVAL: Duration = Duration::from_secs(2);
/// What nobody wants to be sent to his terminal.
const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;owned\u{7}\r\n\u{9b}31m\u{202e}y\u{8}";

/// An agent that was asked twice, the second time now.
fn watched(before: Status, after: Status, hosts: Vec<Ban>) -> (State, Instant) {
    let began = Instant::now();
    let now = began + INTERVAL;
    let mut state = State::new(INTERVAL);
    state.take(news(began, Answer::Status(Ok(before))));
    state.take(news(now, Answer::Status(Ok(after))));
    state.take(news(now, Answer::Hosts(Order::Loudest, Ok(hosts.clone()))));
    state.take(news(now, Answer::Latest(Ok(hosts))));
    (state, now)
}

fn well() -> (State, Instant) {
    watched(
        status([jail("spam", 1000), jail("auth", 5)]),
        status([jail("spam", 3000), jail("auth", 6)]),
        bans(40),
    )
}

fn drawn(state: &mut State, now: Instant, (width, height): (u16, u16), look: Look) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, now, NOW, look)).unwrap();
    terminal
}

fn shown(state: &mut State, now: Instant, size: (u16, u16)) -> Vec<String> {
    let terminal = drawn(state, now, size, Look::new(true));
    let buffer = terminal.backend().buffer().clone();
    let line = |y| {
        (0..buffer.area.width)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    (0..buffer.area.height).map(line).collect()
}

fn has(lines: &[String], words: &[&str]) -> bool {
    lines.iter().any(|line| words.iter().all(|word| line.contains(word)))
}

#[test]
fn eighty_by_twenty_four_shows_all_that_matters() {
    let (mut state, now) = well();
    let lines = shown(&mut state, now, (80, 24));
    println!("{}", lines.join("\n"));
    for words in [
        &["xdp on eth0 (driver)", "6 in force, 100.0 % enforced", "brake off"][..],
        &["dropped 1,001/s"],
        &["peak 1,001/s in 102 s"],
        &["bans 0/min"],
        &["jail", "made", "failures", "dropped", "a second"],
        &["spam", "3", "12", "40", "3,000", "1,000"],
        &["auth", "6", "0.5"],
        &["loudest hosts 1–", " of 40", "packets", "last knock", "ends in"],
        &["192.0.2.1", "spam", "999", "1 s ago", "60 min"],
        &["latest bans", "failures", "banned"],
        &["192.0.2.1", "spam", "2", "60 s ago"],
        &["q quit", "? keys", "every 2 s"],
    ] {
        assert!(has(&lines, words), "{words:?} in\n{}", lines.join("\n"));
    }
}

#[test]
fn a_large_terminal_has_tables_beside_each_other_and_more_of_each() {
    let (mut state, now) = well();
    let lines = shown(&mut state, now, (200, 50));
    println!("{}", lines.join("\n"));
    assert!(
        has(&lines, &["loudest hosts", "jail", "made", "failures"]),
        "one beside the other"
    );
    assert!(has(&lines, &["192.0.2.35"]));
    assert!(state.chosen.rows >= 35);
}

#[test]
fn every_size_is_drawn_and_one_that_is_too_small_says_so() {
    let (mut state, now) = well();
    state.chosen.help = true;
    for width in [0, 1, 30, 59, 60, 61, 80, 100, 139, 140, 141, 400] {
        for height in [0, 1, 2, 14, 15, 16, 19, 20, 24, 30, 42, 100] {
            drawn(&mut state, now, (width, height), Look::new(true));
        }
    }
    let text = shown(&mut state, now, (40, 10)).join("");
    assert!(
        text.contains("40 by 10 is too small") && text.contains("60 by 15"),
        "{text}"
    );
    let lines = shown(&mut state, now, (60, 15));
    assert!(
        has(&lines, &["192.0.2.1"]) || has(&lines, &["keys"]),
        "{}",
        lines.join("\n")
    );
}

#[test]
fn hostile_names_are_shown_and_move_nothing() {
    let hostile = |dropped| {
        let mut status = status([jail(HOSTILE, dropped)]);
        status.interfaces[0].interface = HOSTILE.to_owned();
        status.firewall = HOSTILE.to_owned();
        status.broken_jails = vec![HOSTILE.to_owned()];
        status
    };
    let mut hosts = bans(3);
    hosts[0].address = HOSTILE.repeat(20);
    hosts[1].jail = HOSTILE.to_owned();
    let (mut state, now) = watched(hostile(1), hostile(2), hosts);
    let error = Answer::Hosts(Order::Loudest, Err(anyhow::anyhow!(HOSTILE)));
    for gone in [false, true] {
        if gone {
            state.take(news(now, Answer::Status(Err(anyhow::anyhow!(HOSTILE)))));
            state.take(news(now, Answer::Latest(Err(anyhow::anyhow!(HOSTILE)))));
        }
        for size in [(80, 24), (200, 50), (40, 10), (60, 15)] {
            let lines = shown(&mut state, now, size);
            let text = lines.join("");
            assert!(
                !text.contains(|char: char| char.is_control() || char == '\u{202e}'),
                "{text:?}"
            );
            assert_eq!(
                has(&lines, &["x\\u{1b}[2J"]),
                size.0 >= 60,
                "{size:?}: {}",
                lines.join("\n")
            );
        }
    }
    state.take(news(now, error));
    assert!(has(
        &shown(&mut state, now, (200, 50)),
        &["loudest hosts", ": x\\u{1b}"]
    ));
}

#[test]
fn what_is_wrong_comes_first_and_in_red() {
    let bad = || {
        let mut status = status([jail("spam", 1)]);
        status.brake_engaged = true;
        status.enforced_ratio = 0.5;
        status.dry_run = true;
        status
    };
    let (mut state, now) = watched(bad(), bad(), bans(1));
    let lines = shown(&mut state, now, (100, 24));
    assert!(lines[0].starts_with("! the brake holds"), "{}", lines.join("\n"));
    assert!(lines[1].starts_with("! the kernel does not enforce all bans"));
    assert!(lines[2].starts_with("! this is a dry run"));
    assert!(has(&lines[3..4], &["50.0 % enforced", "brake holds"]));
    for (coloured, colour) in [(true, Color::Red), (false, Color::Reset)] {
        let terminal = drawn(&mut state, now, (80, 24), Look::new(coloured));
        assert_eq!(terminal.backend().buffer()[(0, 0)].fg, colour);
    }
    let few = shown(&mut state, now, (80, 15));
    assert!(few[1].starts_with("! and more: `blocker status`"), "{}", few.join("\n"));
}

#[test]
fn an_alarm_that_is_wider_than_the_terminal_goes_on_in_the_next_line() {
    let bad = || {
        let mut status = status([jail("spam", 1)]);
        status.ledger_durable = false;
        status
    };
    let (mut state, now) = watched(bad(), bad(), bans(1));
    let lines = shown(&mut state, now, (80, 24));
    assert!(
        lines[0].starts_with("! bans are not written to disk"),
        "{}",
        lines.join("\n")
    );
    assert!(lines[1].trim_end().ends_with("says why"));
    assert!(lines[2].starts_with("xdp"));
}

#[test]
fn an_order_that_is_waited_for_is_named() {
    let (mut state, now) = well();
    state.heed(Action::Order);
    assert!(has(
        &shown(&mut state, now, (80, 24)),
        &["loudest hosts", "soon: latest"]
    ));
}

#[test]
fn without_colour_nothing_has_one() {
    let (mut state, now) = well();
    let terminal = drawn(&mut state, now, (80, 24), Look::new(false));
    let cells = &terminal.backend().buffer().content;
    assert!(
        cells
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
}

#[test]
fn an_agent_that_is_gone_is_told_of_with_its_last_word_below() {
    let (mut state, now) = well();
    let gone = now + INTERVAL;
    let error = anyhow::anyhow!("no agent runs here: nobody answers on /run/blocker/control.sock");
    state.take(news(gone, Answer::Status(Err(error))));
    let lines = shown(&mut state, gone + Duration::from_secs(7), (100, 24));
    assert!(
        lines[0].starts_with("! the agent does not answer for 7 s"),
        "{}",
        lines.join("\n")
    );
    assert!(lines[1].starts_with("! no agent runs here"));
    assert!(has(&lines, &["loudest hosts", ", 9 s ago"]) && has(&lines, &["192.0.2.1", "999"]));
    assert!(has(&lines, &["dropped –/s"]), "{}", lines.join("\n"));
}

#[test]
fn an_agent_that_says_nothing_for_long_is_told_of() {
    let (mut state, now) = well();
    let lines = shown(&mut state, now + Duration::from_secs(9), (80, 24));
    assert!(
        lines[0].starts_with("! the agent has not answered for 9 s"),
        "{}",
        lines.join("\n")
    );
    state.heed(Action::Pause);
    let lines = shown(&mut state, now + Duration::from_secs(9), (80, 24));
    assert!(!lines[0].starts_with('!') && has(&lines, &["p go on", "paused"]));
}

#[test]
fn scrolling_shows_the_next_hosts() {
    let (mut state, now) = well();
    shown(&mut state, now, (80, 24));
    state.heed(Action::Down);
    let lines = shown(&mut state, now, (80, 24));
    assert!(has(&lines, &["loudest hosts 2–"]) && has(&lines, &["192.0.2.2 ", "998"]));
    assert!(!has(&lines, &["192.0.2.1 ", "999"]));
    state.heed(Action::Last);
    assert!(has(&shown(&mut state, now, (80, 24)), &["192.0.2.40 ", "960"]));
}

#[test]
fn jails_without_room_are_left_out_by_how_much_they_drop() {
    let many = |more: u64| {
        let mut jails: Vec<_> = (0..12).map(|n| jail(&format!("jail-{n:02}"), n)).collect();
        jails[7].dropped_packets += more;
        status(jails)
    };
    let (mut state, now) = watched(many(0), many(500), bans(1));
    let lines = shown(&mut state, now, (80, 24));
    assert!(has(&lines, &["jail (busiest ", " of 12)"]), "{}", lines.join("\n"));
    let first = lines.iter().position(|line| line.contains("busiest")).unwrap() + 1;
    assert!(lines[first].starts_with("jail-07"));
    assert!(!has(&lines, &["jail-00"]));
}

#[test]
fn what_the_kernel_does_not_tell_or_end_has_a_dash_or_a_word() {
    let mut hosts = bans(1);
    hosts[0].packets = None;
    hosts[0].last_knock = None;
    hosts[0].until = None;
    hosts[0].since = NOW - SignedDuration::from_hours(72);
    let (mut state, now) = watched(status([]), status([]), hosts);
    let lines = shown(&mut state, now, (80, 24));
    assert!(has(&lines, &["192.0.2.1", "–", "never"]) && has(&lines, &["192.0.2.1", "3 d ago"]));
}
