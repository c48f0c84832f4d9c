//! One set-up, watched from the first knock on.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use blocker_lab::mail_log::{Event, Reader};
use blocker_lab::network::HONEST;
use blocker_lab::smtp::Outcome;

use super::connections;
use super::front::{Front, Kind};
use super::hosts::{Knock, Load, be_honest, spam};
use super::scene::{Scene, Spent};
use crate::bench::Ground;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// What was seen.
pub(super) struct Round {
    pub(super) kind: Kind,
    /// Connections of spammers in Postfix's log.
    pub(super) seen: usize,
    pub(super) spent: Spent,
    /// Seconds of the processor's time that fail2ban or blocker has taken.
    pub(super) front: f64,
    /// When each host was said to be banned.
    pub(super) banned: HashMap<Ipv4Addr, Duration>,
    /// Connections of banned hosts that Postfix still had.
    pub(super) held: usize,
    /// How it went, second by second.
    pub(super) course: Course,
    pub(super) knocks: Vec<Knock>,
    /// For each honest mail the seconds until it was taken, or why it was not.
    pub(super) honest: Vec<Result<f64, Outcome>>,
}

/// What is drawn: a value for each second.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Connections that Postfix saw.
    pub(super) connections: Vec<f64>,
    /// Of one processor, in percent, what Postfix and those whom it asks took.
    pub(super) processor: Vec<f64>,
}

impl Round {
    /// Knocks to which nothing of Postfix answered.
    pub(super) fn refused(&self) -> usize {
        self.knocks.iter().filter(|knock| !knock.is_connected).count()
    }

    /// Connections that began when their host was said to be banned.
    pub(super) fn came_past(&self) -> usize {
        came_past(&self.knocks, &self.banned)
    }

    /// Seconds for each honest mail that was taken.
    pub(super) fn taken(&self) -> Vec<f64> {
        self.honest
            .iter()
            .filter_map(|mail| mail.as_ref().ok().copied())
            .collect()
    }
}

/// Sets the scene, and watches it for so long.
pub(super) fn run(kind: Kind, load: &Load, ground: &Ground, seconds: u32) -> Result<Round> {
    let scene = Scene::new()?;
    let mut front = Front::start(kind, ground, &scene)?;
    let length = Duration::from_secs(seconds.into());
    let begin = Instant::now();
    thread::scope(|scope| {
        let spam = scope.spawn(|| spam(&scene.spammers, load.period, begin, length));
        let honest = scope.spawn(|| be_honest(scene.lab.honest(), begin, length));
        let watched = watch(kind, &scene, &mut front, begin, seconds);
        let knocks = spam.join().map_err(|_| anyhow!("the spammers' thread panicked"))??;
        let honest = honest
            .join()
            .map_err(|_| anyhow!("the honest host's thread panicked"))??;
        Ok(Round {
            knocks,
            honest,
            ..watched?
        })
    })
}

/// What is seen from outside of the hosts.
fn watch(kind: Kind, scene: &Scene, front: &mut Front, begin: Instant, seconds: u32) -> Result<Round> {
    let mut log = Reader::open(scene.mail_log())?;
    let (spent, own) = (scene.spent()?, front.seconds()?);
    let mut banned = HashMap::new();
    let mut course = Course::default();
    let mut seen = 0;
    let (mut last, mut before) = (begin, spent);
    for second in 1..=seconds {
        let mut connections = 0;
        while begin.elapsed() < Duration::from_secs(second.into()) {
            connections += log.lines()?.iter().filter(|line| is_spammer(line)).count();
            for host in front.banned()? {
                banned.entry(host).or_insert_with(|| begin.elapsed());
            }
            thread::sleep(LOOK);
        }
        let (now, after) = (Instant::now(), scene.spent()?);
        let length = now.duration_since(last).as_secs_f64();
        course.connections.push(connections as f64 / length);
        course.processor.push(after.since(&before).seconds() / length * 100.0);
        seen += connections;
        (last, before) = (now, after);
    }
    let held = connections::of(scene.lab.relay())?;
    Ok(Round {
        kind,
        seen,
        spent: scene.spent()?.since(&spent),
        front: front.seconds()? - own,
        held: held.iter().filter(|host| banned.contains_key(host)).count(),
        banned,
        course,
        knocks: Vec::new(),
        honest: Vec::new(),
    })
}

/// Whether a line of Postfix's log says that somebody else connected than the honest host.
fn is_spammer(line: &str) -> bool {
    matches!(Event::parse(line), Some(Event::Connect { address }) if address != IpAddr::from(HONEST))
}

fn came_past(knocks: &[Knock], banned: &HashMap<Ipv4Addr, Duration>) -> usize {
    let is_banned = |knock: &&Knock| banned.get(&knock.host).is_some_and(|since| knock.at > *since);
    knocks
        .iter()
        .filter(is_banned)
        .filter(|knock| knock.is_connected)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connections_that_begin_behind_a_ban_have_come_past_it() {
        let (host, other) = (Ipv4Addr::new(198, 51, 100, 20), Ipv4Addr::new(198, 51, 100, 21));
        let knock = |host, seconds, is_connected| Knock {
            host,
            at: Duration::from_secs(seconds),
            is_connected,
        };
        let knocks = [
            knock(host, 1, true),
            knock(host, 5, true),
            knock(host, 6, false),
            knock(other, 7, true),
        ];
        let banned = |seconds| HashMap::from([(host, Duration::from_secs(seconds))]);
        assert_eq!(came_past(&knocks, &banned(2)), 1);
        assert_eq!(came_past(&knocks, &banned(5)), 0);
        assert_eq!(came_past(&knocks, &HashMap::new()), 0);
    }

    #[test]
    fn the_honest_host_s_connections_are_not_the_spammers() {
        let line = |host| format!("Nov 28 06:00:00 relay postfix/smtpd[7]: connect from unknown[{host}]");
        assert!(is_spammer(&line("198.51.100.20")));
        assert!(!is_spammer(&line("192.0.2.100")));
        assert!(!is_spammer(
            "Nov 28 06:00:00 relay postfix/smtpd[7]: disconnect from unknown[198.51.100.20]"
        ));
    }
}
