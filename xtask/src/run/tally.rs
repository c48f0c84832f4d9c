//! The figures of the show, from what Postfix logged and what the hosts met with.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use blocker_lab::mail_log;
use blocker_lab::smtp::Outcome;

use super::commands::Tried;
use super::hosts::REJECTS;

/// What is known of each spamming host, and of the honest mail.
#[derive(Debug)]
pub(crate) struct Tally {
    hosts: BTreeMap<IpAddr, Host>,
    deliveries: u64,
}

#[derive(Debug, Default)]
struct Host {
    /// Rejects that Postfix logged.
    rejects: u32,
    /// When it had been rejected often enough.
    due: Option<Instant>,
    banned: bool,
    /// Connections that Postfix logged although the host was banned.
    connects_after_ban: u64,
    /// Attempts to connect since the ban.
    insisted: u64,
    /// Those that somebody answered, be it by a refusal.
    answered: u64,
}

impl Host {
    /// Whether it was rejected, and then shut out.
    const fn shut_out(&self) -> bool {
        self.rejects >= REJECTS && self.insisted > 0 && self.answered == 0
    }
}

/// What the show reports.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figures {
    /// What enforces the bans.
    pub(crate) firewall: String,
    /// Hosts that Postfix rejected and that nobody answered afterwards.
    pub(crate) bans: u64,
    /// How many hosts spam.
    pub(crate) spammers: u64,
    /// Packets of banned hosts that got no answer.
    pub(crate) dropped_packets: u64,
    /// Connections of banned hosts that reached Postfix.
    pub(crate) banned_connects_after_ban: u64,
    /// Honest mails that Postfix delivered.
    pub(crate) honest_deliveries: u64,
    /// How long the show took.
    pub(crate) time: Duration,
}

impl Tally {
    pub(crate) fn new(spammers: &[IpAddr]) -> Self {
        Self {
            hosts: spammers.iter().map(|&address| (address, Host::default())).collect(),
            deliveries: 0,
        }
    }

    /// Postfix logged something.
    pub(crate) fn logged(&mut self, event: &mail_log::Event) {
        match event {
            mail_log::Event::Sent { .. } => self.deliveries += 1,
            mail_log::Event::Connect { address } => {
                if let Some(host) = self.hosts.get_mut(address).filter(|host| host.banned) {
                    host.connects_after_ban += 1;
                }
            }
            mail_log::Event::Reject { address, .. } => {
                if let Some(host) = self.hosts.get_mut(address) {
                    host.rejects += 1;
                    if host.rejects == REJECTS {
                        host.due = Some(Instant::now());
                    }
                }
            }
        }
    }

    /// The agent says that it banned a host.
    pub(crate) fn banned(&mut self, address: IpAddr) {
        if let Some(host) = self.hosts.get_mut(&address) {
            host.banned = true;
        }
    }

    /// A banned host tried to send.
    pub(crate) fn insisted(&mut self, address: IpAddr, outcome: &Outcome) {
        if let Some(host) = self.hosts.get_mut(&address) {
            host.insisted += 1;
            host.answered += u64::from(*outcome != Outcome::NoAnswer);
        }
    }

    /// Hosts that are banned, by the agent's word.
    pub(crate) fn banned_hosts(&self) -> impl Iterator<Item = IpAddr> {
        self.hosts
            .iter()
            .filter(|(_, host)| host.banned)
            .map(|(&address, _)| address)
    }

    /// Whether all hosts are.
    pub(crate) fn all_are_banned(&self) -> bool {
        self.hosts.values().all(|host| host.banned)
    }

    /// A host that should have been banned this long ago and was not.
    pub(crate) fn overdue(&self, patience: Duration) -> Option<IpAddr> {
        let late = |host: &Host| !host.banned && host.due.is_some_and(|due| due.elapsed() > patience);
        self.hosts
            .iter()
            .find(|(_, host)| late(host))
            .map(|(&address, _)| address)
    }

    /// A host that Postfix did not reject often enough.
    pub(crate) fn unrejected(&self) -> Option<IpAddr> {
        self.hosts
            .iter()
            .find(|(_, host)| host.due.is_none() && !host.banned)
            .map(|(&address, _)| address)
    }

    /// Honest mails that Postfix delivered.
    pub(crate) const fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// The figures.
    pub(crate) fn figures(&self, firewall: &str, dropped_packets: u64, time: Duration) -> Figures {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Figures {
            firewall: firewall.to_owned(),
            bans: count(self.hosts.values().filter(|host| host.shut_out()).count()),
            spammers: count(self.hosts.len()),
            dropped_packets,
            banned_connects_after_ban: self.hosts.values().map(|host| host.connects_after_ban).sum(),
            honest_deliveries: self.deliveries,
            time,
        }
    }
}

impl Figures {
    /// The one line for machines.
    pub(crate) fn json(&self, commands: &[Tried]) -> String {
        let Self {
            firewall,
            bans,
            dropped_packets,
            banned_connects_after_ban,
            honest_deliveries,
            ..
        } = self;
        let firewall = serde_json::Value::from(firewall.as_str());
        // Tenths are what the clock of a show is good for.
        let seconds = self.time.as_secs_f64();
        format!(
            "{{\"firewall\": {firewall}, \"bans\": {bans}, \"dropped_packets\": {dropped_packets}, \
             \"banned_connects_after_ban\": {banned_connects_after_ban}, \"honest_deliveries\": {honest_deliveries}, \
             \"seconds\": {seconds:.1}, \"commands\": {}}}",
            Tried::json(commands)
        )
    }

    /// The summary for people.
    pub(crate) fn text(&self) -> String {
        let Self {
            firewall,
            bans,
            spammers,
            dropped_packets,
            banned_connects_after_ban,
            honest_deliveries,
            time,
        } = self;
        format!(
            "\nAfter {:.1} s, by Postfix's log and the packets on the wire (firewall {firewall}):\n  \
             {bans:>5}  of {spammers} spamming hosts rejected by Postfix and then shut out\n  \
             {dropped_packets:>5}  of their packets dropped\n  \
             {banned_connects_after_ban:>5}  of their connections reached Postfix after the ban\n  \
             {honest_deliveries:>5}  honest mails delivered",
            time.as_secs_f32()
        )
    }

    /// What a complete show must not end with.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.banned_connects_after_ban > 0 {
            let connects = self.banned_connects_after_ban;
            return Some(format!("{connects} connections of banned hosts reached Postfix"));
        }
        if self.bans < self.spammers {
            return Some(format!(
                "only {} of {} spamming hosts were shut out",
                self.bans, self.spammers
            ));
        }
        if self.dropped_packets == 0 {
            return Some("no packet was dropped".to_owned());
        }
        if self.honest_deliveries == 0 {
            return Some("no honest mail was delivered".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAMMER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn connect() -> mail_log::Event {
        mail_log::Event::Connect { address: SPAMMER }
    }

    fn reject() -> mail_log::Event {
        mail_log::Event::Reject {
            address: SPAMMER,
            reply: "554 5.7.1 no".to_owned(),
        }
    }

    fn banned() -> Tally {
        let mut tally = Tally::new(&[SPAMMER]);
        for _ in 0..REJECTS {
            tally.logged(&connect());
            tally.logged(&reject());
        }
        tally.banned(SPAMMER);
        tally
    }

    fn figures(tally: &Tally) -> Figures {
        tally.figures("xdp", 4, Duration::from_millis(12_345))
    }

    #[test]
    fn a_host_that_was_rejected_and_then_met_silence_counts_as_banned() {
        let mut tally = banned();
        tally.insisted(SPAMMER, &Outcome::NoAnswer);
        tally.logged(&mail_log::Event::Sent {
            to: "postmaster@relay.example".to_owned(),
        });
        assert_eq!(figures(&tally).fault(), None);
        let json = r#"{"banned_connects_after_ban":0,"bans":1,"dropped_packets":4,"firewall":"xdp","honest_deliveries":1,"seconds":12.3,"commands":{}}"#;
        let [left, right] = [json, &figures(&tally).json(&[])].map(|text| text.parse::<serde_json::Value>().unwrap());
        assert_eq!(left, right);
    }

    #[test]
    fn the_agents_word_alone_makes_no_ban() {
        let mut tally = banned();
        assert_eq!(figures(&tally).bans, 0);
        tally.insisted(SPAMMER, &Outcome::NoAnswer);
        tally.insisted(SPAMMER, &Outcome::Rejected(554));
        assert_eq!(figures(&tally).bans, 0);
        assert!(figures(&tally).fault().is_some());
        let mut tally = Tally::new(&[SPAMMER]);
        tally.banned(SPAMMER);
        tally.insisted(SPAMMER, &Outcome::NoAnswer);
        assert_eq!(figures(&tally).bans, 0);
    }

    #[test]
    fn only_connections_after_the_ban_are_held_against_it() {
        let mut tally = banned();
        assert_eq!(figures(&tally).banned_connects_after_ban, 0);
        tally.logged(&connect());
        assert_eq!(figures(&tally).banned_connects_after_ban, 1);
        assert!(figures(&tally).fault().is_some());
    }

    #[test]
    fn a_ban_that_does_not_come_is_noticed() {
        let mut tally = Tally::new(&[SPAMMER]);
        assert_eq!(tally.unrejected(), Some(SPAMMER));
        tally.logged(&reject());
        tally.logged(&reject());
        assert_eq!(
            (tally.unrejected(), tally.overdue(Duration::ZERO)),
            (None, Some(SPAMMER))
        );
        tally.banned(SPAMMER);
        assert_eq!(tally.overdue(Duration::ZERO), None);
    }
}
