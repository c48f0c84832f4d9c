//! How many distinct hosts logs have named lately, in a few kilobytes however many they are.
//!
//! Counted by HyperLogLog: of each host's hash, the longest run of leading zeros in one of 4096 registers. The error is 1.6 % (Flajolet et
//! al., 2007). Two sets of registers take turns, each for half of the time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use ahash::RandomState;
use jiff::{SignedDuration, Timestamp};
use memchr::memchr3;

use crate::ban::{Ipv6Prefix, Subject};

/// Hosts are remembered for at least this long, and for at most twice as long.
const HALF: SignedDuration = SignedDuration::from_mins(5);
const REGISTERS: usize = 4096;
/// Addresses that are taken from one line: attackers write parts of lines.
const MOST_IN_A_LINE: usize = 4;
/// What Sendmail writes before an IPv6 address.
const SENDMAIL: &[u8] = b"IPv6:";

/// The hosts. Readers of logs note them, the judge asks how many they are.
#[derive(Debug)]
pub struct Seen {
    /// Attackers choose addresses; they must not be able to choose registers.
    hash: RandomState,
    halves: [Half; 2],
}

#[derive(Debug)]
struct Half {
    /// Which half of the time this is about.
    of: AtomicI64,
    registers: Box<[AtomicU8]>,
}

impl Default for Seen {
    fn default() -> Self {
        Self::by(RandomState::new())
    }
}

impl Seen {
    /// An empty one that errs as this does, so that the two can be compared.
    #[must_use]
    pub fn alike(&self) -> Self {
        Self::by(self.hash.clone())
    }

    fn by(hash: RandomState) -> Self {
        let half = || Half {
            of: AtomicI64::new(i64::MIN),
            registers: (0..REGISTERS).map(|_| AtomicU8::new(0)).collect(),
        };
        Self {
            hash,
            halves: [half(), half()],
        }
    }

    /// Takes note of the hosts that a line names.
    pub fn line(&self, line: &[u8], now: Timestamp) {
        for address in addresses(line).take(MOST_IN_A_LINE) {
            self.host(address, now);
        }
    }

    /// Takes note of a host; of one subscriber's IPv6 addresses as one.
    pub fn host(&self, address: IpAddr, now: Timestamp) {
        let hash = self.hash.hash_one(Subject::around(address, Ipv6Prefix::SUBNET));
        let run = ((hash >> 12).leading_zeros() - 12 + 1) as u8;
        let register = &self.of(half(now)).registers[hash as usize % REGISTERS];
        // Nearly every host has been seen before, or others like it: to look is cheaper than to write.
        if register.load(Ordering::Relaxed) < run {
            register.fetch_max(run, Ordering::Relaxed);
        }
    }

    /// How many distinct hosts there were, about.
    #[must_use]
    pub fn count(&self, now: Timestamp) -> f64 {
        let present = half(now);
        let registers = |of: i64| {
            let half = &self.halves[of.rem_euclid(2) as usize];
            (half.of.load(Ordering::Relaxed) == of).then_some(&half.registers)
        };
        let [now, before] = [present, present - 1].map(registers);
        let run = |half: Option<&Box<[AtomicU8]>>, n: usize| half.map_or(0, |half| half[n].load(Ordering::Relaxed));
        let runs = (0..REGISTERS).map(|n| run(now, n).max(run(before, n)));
        estimate(runs)
    }

    /// The registers of a half of the time, emptied if they were another's.
    fn of(&self, of: i64) -> &Half {
        let half = &self.halves[of.rem_euclid(2) as usize];
        // Two readers may both empty them: the few hosts that one of them has noted between are no matter to a share.
        if half.of.load(Ordering::Relaxed) != of && half.of.swap(of, Ordering::Relaxed) != of {
            for register in &half.registers {
                register.store(0, Ordering::Relaxed);
            }
        }
        half
    }
}

/// Which half of the time a moment is in.
fn half(now: Timestamp) -> i64 {
    now.as_second().div_euclid(HALF.as_secs())
}

fn estimate(runs: impl Iterator<Item = u8>) -> f64 {
    let (mut sum, mut empty) = (0.0, 0_usize);
    for run in runs {
        // 2 to the -run, by its exponent alone: this is asked for at every ban.
        sum += f64::from_bits((1023 - u64::from(run)) << 52);
        empty += usize::from(run == 0);
    }
    let registers = REGISTERS as f64;
    let raw = 0.7213 / (1.0 + 1.079 / registers) * registers * registers / sum;
    if raw <= 2.5 * registers && empty > 0 {
        registers * (registers / empty as f64).ln()
    } else {
        raw
    }
}

/// The addresses in a line: IPv4 as four numbers wherever they stand, IPv6 between brackets or behind `=`, as mail servers write it.
fn addresses(line: &[u8]) -> impl Iterator<Item = IpAddr> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            // Every line passes here: the few places where an address can be are found many bytes at a time.
            let at = from + memchr3(b'.', b'[', b'=', line.get(from..)?)?;
            let address = if line[at] == b'.' {
                ipv4(line, from, at)
            } else {
                ipv6(line, at + 1)
            };
            from = at + 1;
            if let Some((address, end)) = address {
                from = end;
                return Some(address);
            }
        }
    })
}

/// The address whose first number, which begins not before `from`, ends at `dot`, and where it ends.
fn ipv4(line: &[u8], from: usize, dot: usize) -> Option<(IpAddr, usize)> {
    let before = &line[from..dot];
    // Most dots stand in names.
    if !line.get(dot + 1)?.is_ascii_digit() || !before.last()?.is_ascii_digit() {
        return None;
    }
    let is_word = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let digits = before.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let begin = dot - digits;
    if digits > 3 || (begin > 0 && is_word(&line[begin - 1])) {
        return None;
    }
    let word = &line[begin..];
    let word = &word[..word.iter().position(|byte| !is_word(byte)).unwrap_or(word.len())];
    let end = word.iter().rposition(|byte| !matches!(byte, b'.' | b':'))? + 1;
    let address: Ipv4Addr = std::str::from_utf8(&word[..end]).ok()?.parse().ok()?;
    Some((address.into(), begin + word.len()))
}

/// The address that begins at `begin`, behind Sendmail's word for it maybe, and where it ends.
fn ipv6(line: &[u8], begin: usize) -> Option<(IpAddr, usize)> {
    let word = line.get(begin..)?;
    // Only then may it be one: most of what stands behind `=` is not.
    let (begin, word) = match word.first()? {
        b'I' => (begin + SENDMAIL.len(), word.strip_prefix(SENDMAIL)?),
        byte if byte.is_ascii_hexdigit() || *byte == b':' => (begin, word),
        _ => return None,
    };
    // An IPv4 address may be written as one of IPv6, with its dots.
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let word = &word[..word.iter().position(|byte| !is_part(byte)).unwrap_or(word.len())];
    if word.len() <= 2 || !word.contains(&b':') {
        return None;
    }
    let text = std::str::from_utf8(word).ok()?.trim_end_matches('.');
    let address: Ipv6Addr = text.parse().ok()?;
    Some((address.to_canonical(), begin + word.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> Vec<String> {
        addresses(line.as_bytes()).map(|address| address.to_string()).collect()
    }

    #[test]
    fn the_hosts_that_mail_servers_name_are_found() {
        let lines = [
            (
                "Nov 24 05:02:52 relay postfix/smtpd[99]: connect from unknown[192.0.2.7]",
                vec!["192.0.2.7"],
            ),
            (
                "2026-11-24T05:02:52.655584+00:00 relay dovecot: rip=192.0.2.8, lip=192.0.2.1",
                vec!["192.0.2.8", "192.0.2.1"],
            ),
            ("connect from x[2001:db8::7]: 554", vec!["2001:db8::7"]),
            ("rip=2001:db8::7, session", vec!["2001:db8::7"]),
            ("[IPv6:2001:db8::7]", vec!["2001:db8::7"]),
            ("rip=::ffff:192.0.2.7, lip=::1", vec!["192.0.2.7", "::1"]),
            ("from 192.0.2.9: refused.", vec!["192.0.2.9"]),
            ("version 3.7.11 of postfix-3.5.6.1.2.3 at 12:34:56", vec![]),
            ("", vec![]),
        ];
        for (line, expected) in lines {
            assert_eq!(found(line), expected, "{line}");
        }
    }

    #[test]
    fn distinct_hosts_are_counted_within_a_few_percent_however_many_they_are() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for number in [10_u32, 1000, 20_000, 1_000_000] {
            // By chance two of ten hosts may share a register.
            let seen = Seen::by(RandomState::with_seeds(1, 2, 3, 4));
            for host in 0..number {
                for _ in 0..2 {
                    seen.host(IpAddr::from((0x0a00_0000 + host).to_be_bytes()), now);
                }
            }
            let error = (seen.count(now) - f64::from(number)).abs();
            // Two of a few hosts may have the same register.
            assert!(error < 0.08 * f64::from(number) + 2.0, "{number}: {}", seen.count(now));
        }
    }

    #[test]
    fn hosts_are_forgotten_after_a_while_and_not_before() {
        let seen = Seen::default();
        let now = Timestamp::from_second(1_000_000).unwrap();
        seen.host(IpAddr::from([192, 0, 2, 7]), now);
        assert_eq!(seen.count(now + HALF).round(), 1.0);
        assert_eq!(seen.count(now + HALF * 2).round(), 0.0);
        seen.host(IpAddr::from([192, 0, 2, 8]), now + HALF * 2);
        assert_eq!(seen.count(now + HALF * 2).round(), 1.0);
    }

    #[test]
    fn a_line_full_of_addresses_counts_for_a_few() {
        let seen = Seen::default();
        let now = Timestamp::from_second(1_000_000).unwrap();
        let line: String = (0..99).map(|host| format!("[192.0.2.{host}]")).collect();
        seen.line(line.as_bytes(), now);
        assert_eq!(seen.count(now).round(), MOST_IN_A_LINE as f64);
    }
}
