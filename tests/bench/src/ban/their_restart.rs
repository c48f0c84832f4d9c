//! fail2ban, started again with many bans in force, while one of the banned hosts knocks.
//!
//! It takes its bans back from its database, in the order of their addresses as text, and has `nft` called for each. The host that
//! knocks is in the middle of them.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use blocker_lab::network::{SMTP, SPAMMERS};
use blocker_lab::smtp::{Reach, probe};
use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::bench::Ground;
use crate::fail2ban::{Fail2ban, HOSTS, JAIL};
use crate::report::{Report, Table, Unit};
use crate::statistics::Samples;

/// With so many bans always, and with so many where it does not take too long.
const BANS: [u32; 2] = [1_000, 5_000];
/// For all bans to be in force.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a start with a thousand bans may take that five thousand are tried too: they take five times as long, and start twice.
const LONGEST_START: Duration = Duration::from_secs(14);
/// Seconds of a ban.
const BAN_TIME: u32 = 86_400;

const KNOCKER: Ipv4Addr = SPAMMERS[0];
/// Between two knocks.
const PAUSE: Duration = Duration::from_millis(5);
/// Who is let through or refused is told at once.
const ANSWER: Duration = Duration::from_millis(200);
/// Between two looks whether anybody has connected.
const LOOK: Duration = Duration::from_millis(1);

pub(super) fn run(ground: &Ground, report: &mut Report) -> Result<()> {
    let mut first = None;
    for bans in BANS {
        match first {
            Some(_) if ground.is_quick() => continue,
            Some(start) if start > LONGEST_START => {
                eprintln!("bench: ban: a restart of fail2ban with {bans} bans would take minutes; it is left out");
                continue;
            }
            _ => {}
        }
        let restart = restart(ground, bans)?;
        first.get_or_insert(restart.until_all);
        let rows = [
            ("until all are enforced again".to_owned(), restart.until_all),
            (
                format!(
                    "one in the middle gets through: {} of {} SYNs",
                    restart.window.came_past, restart.window.sent
                ),
                restart.window.length,
            ),
        ];
        let rows = rows.map(|(what, time)| (format!("fail2ban, {what}"), Samples::once(time.as_secs_f64())));
        report.add(Table::of(
            &format!("a restart with {bans} bans"),
            Unit::Seconds,
            rows.into(),
        ));
    }
    Ok(())
}

/// What a restart took.
struct Restart {
    /// From the start on.
    until_all: Duration,
    window: Window,
}

/// What a banned host got through.
#[derive(Debug, PartialEq)]
struct Window {
    sent: usize,
    came_past: usize,
    /// From the first that did to the last.
    length: Duration,
}

/// One knock: when, and whether it was let through.
type Knock = (Instant, bool);

fn restart(ground: &Ground, bans: u32) -> Result<Restart> {
    let mut fail2ban = Fail2ban::start(ground)?;
    let lab = fail2ban.lab();
    // It has made its tables; while it does not run, they can be written to.
    fail2ban.stop()?;
    fill(&fail2ban, bans)?;
    fail2ban.start_again()?;
    fail2ban.wait_for_bans(bans as usize, PATIENCE)?;

    let listener = lab.relay().enter(|| TcpListener::bind(SMTP))??;
    listener.set_nonblocking(true)?;
    let before = lab.spam().enter(|| probe(KNOCKER.into(), SMTP, ANSWER))?;
    ensure!(before != Reach::Open, "{KNOCKER} is not banned before the restart");
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| accept(&listener, &is_over));
        let knocks = scope.spawn(|| lab.spam().enter(|| knock(&is_over)));
        let until_all = again(&mut fail2ban, bans);
        is_over.store(true, Ordering::Relaxed);
        let knocks = knocks.join().map_err(|_| anyhow!("the knocking thread panicked"))??;
        Ok(Restart {
            until_all: until_all?,
            window: window(&knocks),
        })
    })
}

/// The restart itself.
fn again(fail2ban: &mut Fail2ban, bans: u32) -> Result<Duration> {
    fail2ban.stop()?;
    let begin = Instant::now();
    fail2ban.start_again()?;
    fail2ban.wait_for_bans(bans as usize, PATIENCE)?;
    Ok(begin.elapsed())
}

/// Writes bans into its database as it does, the knocking host's among them.
fn fill(fail2ban: &Fail2ban, bans: u32) -> Result<()> {
    let path = fail2ban.database();
    let mut database = Connection::open(&path).with_context(|| path.display().to_string())?;
    let transaction = database.transaction()?;
    let now = Timestamp::now().as_second();
    for host in hosts(bans) {
        for table in ["bans", "bips"] {
            let insert =
                format!("INSERT INTO {table} (ip, jail, timeofban, bantime, bancount, data) VALUES (?, ?, ?, ?, 1, ?)");
            let data = r#"{"failures": 1, "matches": []}"#;
            transaction.execute(&insert, params![host.to_string(), JAIL, now, BAN_TIME, data])?;
        }
    }
    transaction.commit().context("fail2ban's database cannot be written")
}

/// So many hosts, of which the one that knocks is in the middle by the order of their addresses as text.
fn hosts(count: u32) -> impl Iterator<Item = Ipv4Addr> {
    let before = count / 2;
    let below = (0..before).map(|n| Ipv4Addr::from_bits(HOSTS + n));
    let above = (0..count - before - 1).map(|n| Ipv4Addr::from_bits(0xc612_0000 + n));
    below.chain([KNOCKER]).chain(above)
}

/// Knocks until it is over, and says what became of it.
fn knock(is_over: &AtomicBool) -> Vec<Knock> {
    let mut knocks = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let at = Instant::now();
        knocks.push((at, probe(IpAddr::from(KNOCKER), SMTP, ANSWER) == Reach::Open));
        thread::sleep(PAUSE.saturating_sub(at.elapsed()));
    }
    knocks
}

/// Takes every connection and hangs up.
fn accept(listener: &TcpListener, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        if listener.accept().is_err() {
            thread::sleep(LOOK);
        }
    }
}

fn window(knocks: &[Knock]) -> Window {
    let mut through = knocks.iter().filter(|(_, came_past)| *came_past).map(|(at, _)| *at);
    let first = through.next();
    let last = through.next_back().or(first);
    Window {
        sent: knocks.len(),
        came_past: knocks.iter().filter(|(_, came_past)| *came_past).count(),
        length: first
            .zip(last)
            .map_or(Duration::ZERO, |(first, last)| last.duration_since(first)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_from_the_first_to_the_last_that_came_past() {
        let begin = Instant::now();
        let knock = |seconds, came_past| (begin + Duration::from_secs(seconds), came_past);
        let knocks = [
            knock(0, false),
            knock(1, true),
            knock(2, true),
            knock(4, true),
            knock(5, false),
        ];
        let length = Duration::from_secs(3);
        assert_eq!(
            window(&knocks),
            Window {
                sent: 5,
                came_past: 3,
                length
            }
        );
        assert_eq!(window(&knocks[..1]).length, Duration::ZERO);
    }

    #[test]
    fn the_host_that_knocks_is_in_the_middle_of_the_banned_ones() {
        let mut all: Vec<String> = hosts(1_000).map(|host| host.to_string()).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 1_000);
        assert_eq!(all.iter().position(|host| *host == KNOCKER.to_string()), Some(500));
    }
}
