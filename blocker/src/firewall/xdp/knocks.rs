//! Who still knocks: packets that bans covered, as the program counts them in its maps.

use anyhow::{Context as _, Result};
use blocker_common::map::{Ban, ticks};
use jiff::Timestamp;

use super::bans::Bans;
use super::clock::Clock;
use super::keys::Place;
use crate::ban::Subject;
use crate::firewall::Knocks;

impl Bans {
    /// Hands the knocks of each banned host and network to `each`.
    pub(super) fn knocks(&self, now: Timestamp, each: &mut dyn FnMut(Knocks)) -> Result<()> {
        let clock = Clock::at(now);
        self.dump(|subject, ban| {
            if let Some(knocks) = knocks(subject, &ban, &clock) {
                each(knocks);
            }
        })
    }

    /// The knocks of those among `subjects` that are banned.
    pub(super) fn knocks_of(&self, subjects: &[Subject], now: Timestamp) -> Result<Vec<Knocks>> {
        let clock = Clock::at(now);
        let mut all = Vec::new();
        for &subject in subjects {
            let ban = self
                .get(subject)
                .with_context(|| format!("xdp: what is counted for {subject} cannot be read"))?;
            all.extend(ban.and_then(|ban| knocks(subject, &ban, &clock)));
        }
        Ok(all)
    }

    fn get(&self, subject: Subject) -> std::io::Result<Option<Ban>> {
        match Place::of(subject) {
            Place::Ipv4Host(key) => self.ipv4_hosts.get(&key),
            Place::Ipv6Subnet(key) => self.ipv6_subnets.get(&key),
            Place::Ipv6Host(key) => self.ipv6_hosts.get(&key),
            Place::Ipv4Network(key) => self.ipv4_networks.get(&key),
            Place::Ipv6Network(key) => self.ipv6_networks.get(&key),
        }
        // A trie answers with the network around it where it does not have it.
        .map(|ban| ban.filter(|ban| ban.terms.prefix_len() == subject.network().prefix_len()))
    }
}

/// What an entry has counted; none where the ban is over and the entry only not swept yet.
fn knocks(subject: Subject, ban: &Ban, clock: &Clock) -> Option<Knocks> {
    let is_over = ban.until != Ban::FOREVER && ban.until <= ticks(clock.monotonic);
    (!is_over).then(|| Knocks {
        subject,
        packets: ban.packets.into(),
        last: (ban.last_packet > 0).then(|| clock.in_wall_time(ban.last_packet)),
    })
}

#[cfg(test)]
mod tests {
    use blocker_common::map::{TICK_SHIFT, Terms};
    use jiff::SignedDuration;

    use super::*;

    fn ban(until: u32, packets: u32, last_packet: u32) -> Ban {
        Ban {
            until,
            packets,
            last_packet,
            terms: Terms::one(32, 0, 0),
        }
    }

    #[test]
    fn the_last_knock_is_told_in_the_wall_clock_s_time() {
        let wall = Timestamp::from_second(1_000).unwrap();
        let clock = Clock {
            wall,
            monotonic: 90 << TICK_SHIFT,
        };
        let subject: Subject = "192.0.2.7".parse().unwrap();
        let of = |ban| knocks(subject, &ban, &clock).map(|knocks| (knocks.packets, knocks.last));
        let ago = |ticks: i64| {
            wall.checked_sub(SignedDuration::from_nanos(ticks << TICK_SHIFT))
                .unwrap()
        };
        assert_eq!(of(ban(91, 3, 80)), Some((3, Some(ago(10)))));
        assert_eq!(of(ban(Ban::FOREVER, 0, 0)), Some((0, None)));
        assert_eq!(of(ban(90, 3, 80)), None, "it is over");
    }
}
