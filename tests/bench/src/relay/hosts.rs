//! The hosts: two hundred that spam, each from an address of its own, and an honest one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use blocker_lab::postfix::POSTMASTER;
use blocker_lab::smtp::{Outcome, Timeouts, attempt, attempt_from_afar};
use blocker_lab::{Namespace, network};

/// How many hosts spam.
pub(super) const SPAMMERS: u8 = 200;
/// The last number in the first one's address.
const FIRST: u8 = 20;
/// The relay's address in the spammers' network.
const RELAY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)), 25);

/// How hard they press.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) name: &'static str,
    /// What its chart's file is called.
    pub(super) chart: &'static str,
    /// A host knocks so often, if it is not still busy with the knock before.
    pub(super) period: Duration,
}

pub(super) const LOADS: [Load; 2] = [
    // More than Postfix has processes for: it is under stress then and hangs up by itself at the first error.
    Load {
        name: "a flood, each knocks every second",
        chart: "relay",
        period: Duration::from_secs(1),
    },
    // It has processes left, and waits for what a host has to say after an error.
    Load {
        name: "a stream, each knocks every 2.5 s",
        chart: "relay-stream",
        period: Duration::from_millis(2_500),
    },
];

/// How long a word takes from a spammer to the relay and back: it is far away.
pub(super) const AWAY: Duration = Duration::from_millis(150);
/// Within this a SYN is not repeated: one knock is one SYN.
const SPAM_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_millis(900),
    reply: Duration::from_secs(3),
};

/// Between two honest mails, where one does not take longer.
pub(super) const HONEST_PERIOD: Duration = Duration::from_millis(200);
const HONEST_TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    reply: Duration::from_secs(10),
};
/// The threads do nothing but wait.
const STACK: usize = 256 << 10;

/// One attempt of a spammer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Knock {
    /// Who.
    pub(super) host: Ipv4Addr,
    /// When, from the beginning.
    pub(super) at: Duration,
    /// Whether a connection came about: nobody in between refused it.
    pub(super) is_connected: bool,
}

/// A spammer's address.
pub(super) const fn spammer(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, FIRST + number)
}

/// Whether this spammer is on the list that Postfix asks; the others get as far as to be asked for mailboxes that there are not.
pub(super) const fn is_listed(number: u8) -> bool {
    number.is_multiple_of(2)
}

/// Has all of them knock from `begin` until `length` has passed. Returns when the last one has hung up.
pub(super) fn spam(host: &Namespace, period: Duration, begin: Instant, length: Duration) -> Result<Vec<Knock>> {
    host.enter(|| {
        thread::scope(|scope| {
            let start = |number| {
                let life = move || knock_on(number, period, begin, length);
                Builder::new().stack_size(STACK).spawn_scoped(scope, life)
            };
            let threads: Vec<_> = (0..SPAMMERS).map(start).collect::<Result<_, _>>()?;
            let mut all = Vec::new();
            for thread in threads {
                all.extend(thread.join().ok().context("a spammer's thread panicked")?);
            }
            Ok(all)
        })
    })?
}

/// The life of one: it takes no hint, and goes on when it is banned.
fn knock_on(number: u8, period: Duration, begin: Instant, length: Duration) -> Vec<Knock> {
    let host = spammer(number);
    // Not all at once.
    let first = period * u32::from(number) / u32::from(SPAMMERS);
    let mut knocks = Vec::new();
    let recipient = format!("user{number}@relay.example");
    let mut slots = slots(first, period);
    loop {
        let slot = slots(begin.elapsed());
        if slot >= length {
            return knocks;
        }
        thread::sleep(slot.saturating_sub(begin.elapsed()));
        let words = ("x@spam.example", recipient.as_str());
        let at = begin.elapsed();
        let outcome = attempt_from_afar(host.into(), RELAY, words, SPAM_TIMEOUTS, AWAY);
        knocks.push(Knock {
            host,
            at,
            is_connected: !matches!(outcome, Outcome::NoAnswer | Outcome::Refused),
        });
    }
}

/// The next time to do something that is done once in a period, given what time it is; what was missed is not made up for.
fn slots(first: Duration, period: Duration) -> impl FnMut(Duration) -> Duration {
    let mut next = first;
    move |now| {
        while next < now {
            next += period;
        }
        let slot = next;
        next += period;
        slot
    }
}

/// Sends honest mail from `begin` until `length` has passed. For each, the seconds until the relay had taken it, or why it did not.
pub(super) fn be_honest(host: &Namespace, begin: Instant, length: Duration) -> Result<Vec<Result<f64, Outcome>>> {
    host.enter(|| {
        let mut all = Vec::new();
        let mut slots = slots(Duration::ZERO, HONEST_PERIOD);
        loop {
            let slot = slots(begin.elapsed());
            if slot >= length {
                return all;
            }
            thread::sleep(slot.saturating_sub(begin.elapsed()));
            let sent = Instant::now();
            all.push(match one_honest() {
                Outcome::Accepted => Ok(sent.elapsed().as_secs_f64()),
                outcome => Err(outcome),
            });
        }
    })
}

/// Sends one honest mail; for a thread that is on the honest host.
pub(super) fn one_honest() -> Outcome {
    attempt(
        network::HONEST.into(),
        network::SMTP,
        "friend@honest.example",
        POSTMASTER,
        HONEST_TIMEOUTS,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_once_in_a_period_is_not_made_up_for() {
        let seconds = Duration::from_secs;
        let mut next = slots(seconds(1), seconds(2));
        assert_eq!(next(seconds(0)), seconds(1));
        assert_eq!(next(seconds(2)), seconds(3));
        // The one at 5 was missed, and the one at 7 is now.
        assert_eq!(next(seconds(7)), seconds(7));
        assert_eq!(next(seconds(8)), seconds(9));
    }

    #[test]
    fn spammers_have_addresses_of_their_own_in_one_network() {
        assert_eq!(spammer(0), Ipv4Addr::new(198, 51, 100, 20));
        assert_eq!(spammer(SPAMMERS - 1), Ipv4Addr::new(198, 51, 100, 219));
        assert_eq!((0..SPAMMERS).filter(|number| is_listed(*number)).count(), 100);
    }
}
