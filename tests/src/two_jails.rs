//! A relay with two jails under attack, for what shows it as a postmaster sees it: some hosts send spam, others guess passwords.

use std::fs;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::agent::Agent;
use crate::eventually_within;
use crate::knocking::knock;
use crate::relay::Relay;

/// What finds those who guess passwords.
const GUESSES: &str = r"[Definition]
failregex = : warning: unknown\[<HOST>\]: SASL LOGIN authentication failed: .*$
";

/// The hosts of the attack, by the last octet of their addresses; the first few are banned at its beginning.
const HOSTS: std::ops::Range<u8> = 20..99;
const FIRST: u8 = 7;

/// Every so many hosts one guesses passwords.
const GUESSES_EVERY: u8 = 3;

/// A relay with the jails `spam` and `sasl` over one log.
///
/// # Panics
///
/// When the machine refuses anything.
#[must_use]
pub fn two_jails() -> Relay {
    let relay = Relay::new("3600");
    fs::write(relay.config().join("filter.d/sasl.conf"), GUESSES).expect("a file can be written");
    let spam = fs::read_to_string(relay.config().join("jail.conf")).expect("it was written");
    let sasl = spam
        .replace("[spam]", "[sasl]")
        .replace("filter   = spam", "filter   = sasl")
        .replace("port=smtp", "port=\"smtp,submission\"")
        .replace("maxretry = 2", "maxretry = 4");
    relay.configure(&(spam + &sasl));
    relay
}

/// A relay's attackers, of whom there are more and more.
pub struct Attack<'a> {
    relay: &'a Relay,
    agent: &'a mut Agent,
    banned: u8,
}

impl<'a> Attack<'a> {
    /// The first of them are banned.
    ///
    /// # Panics
    ///
    /// When they are not.
    pub fn begin(relay: &'a Relay, agent: &'a mut Agent) -> Self {
        let mut attack = Self {
            relay,
            agent,
            banned: 0,
        };
        for _ in 0..FIRST {
            attack.one_more();
        }
        attack
    }

    /// Goes on for so long: banned hosts knock, now more and now less, some more than others, and every now and then one more is banned.
    ///
    /// # Panics
    ///
    /// When one is not banned.
    pub fn go_on(&mut self, long: Duration) {
        let begun = Instant::now();
        let more = HOSTS.end - HOSTS.start - self.banned;
        let (first, mut round) = (self.banned, 0_u32);
        eventually_within(long * 2, "it has gone on for long enough", || {
            round += 1;
            let part = begun.elapsed().as_secs_f64() / long.as_secs_f64();
            let wave = 14.0 + 10.0 * (part * 14.0).sin() + f64::from(round % 5);
            let one = (round % 37).pow(2) % 37 % u32::from(self.banned);
            knock(self.relay, host(one as u8), wave as u32);
            if part < 1.0 && f64::from(self.banned - first) < part * f64::from(more) {
                self.one_more();
            }
            std::thread::park_timeout(Duration::from_millis(50));
            part > 1.0
        });
    }

    fn one_more(&mut self) {
        let host = host(self.banned);
        if self.banned % GUESSES_EVERY == 1 {
            let line = format!(
                "{:.6} relay postfix/smtpd[6908]: warning: unknown[{host}]: SASL LOGIN authentication failed: UGFzc3dvcmQ6\n",
                Timestamp::now()
            );
            self.relay.write(&line.repeat(4));
        } else {
            self.relay.reject(host, 2);
        }
        self.agent.says(&["INFO banned", &format!("address={host} ")]);
        self.banned += 1;
    }
}

fn host(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, HOSTS.start + number])
}
