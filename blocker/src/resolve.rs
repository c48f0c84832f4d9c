//! Looks up the names of hosts, for filters that let a name stand where an address should.
//!
//! Names in log lines are anybody's: so the answers are kept in a bounded cache, a name that is none is not asked for, and whoever
//! must not wait hands the name to another thread.

use std::net::{IpAddr, ToSocketAddrs as _};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use lru::LruCache;

/// Names whose answers are remembered.
const MAX_NAMES: NonZeroUsize = NonZeroUsize::new(1000).expect("not zero");
/// For how long.
const KEEP: Duration = Duration::from_secs(300);
/// Longest name, RFC 1035, 2.3.4.
const MAX_LEN: usize = 253;
/// Addresses taken of one name.
const MAX_ADDRESSES: usize = 16;

/// Looks names up and remembers the answers.
#[derive(Debug)]
pub struct Resolver {
    known: LruCache<String, (Instant, Vec<IpAddr>)>,
}

impl Default for Resolver {
    fn default() -> Self {
        Self {
            known: LruCache::new(MAX_NAMES),
        }
    }
}

impl Resolver {
    /// The addresses of a host; none where it has none or nobody answers. Waits for the machine's resolver.
    pub fn addresses(&mut self, name: &str) -> Vec<IpAddr> {
        if !is_name(name) {
            return Vec::new();
        }
        let now = Instant::now();
        if let Some((since, addresses)) = self.known.get(name)
            && now.duration_since(*since) < KEEP
        {
            return addresses.clone();
        }
        let answers = (name, 0).to_socket_addrs().into_iter().flatten();
        let mut addresses: Vec<IpAddr> = answers.map(|answer| answer.ip().to_canonical()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MAX_ADDRESSES);
        self.known.put(name.to_owned(), (now, addresses.clone()));
        addresses
    }
}

/// Whether a text can be the full name of a host.
fn is_name(text: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    // The machine's resolver takes `198.51.2313` and `127.0x1` for addresses, as inet_aton(3) does.
    let last = text.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    text.len() <= MAX_LEN && text.contains('.') && text.chars().all(plain) && !is_number(last)
}

/// Whether a text is a number in C's ways of writing one.
fn is_number(text: &str) -> bool {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => digits.chars().all(|char| char.is_ascii_hexdigit()),
        None => text.chars().all(|char| char.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_is_not_asked_for() {
        let mut resolver = Resolver::default();
        for name in [
            "198.51.2313",
            "127.1",
            "0xC6.0x336409",
            "relay.0X7f.",
            "relay.017",
            "localhost",
            "a b.example",
            "<script>.example",
            "",
            &"a.".repeat(200),
        ] {
            assert!(resolver.addresses(name).is_empty(), "{name}");
        }
        assert!(resolver.known.is_empty());
    }

    #[test]
    fn a_label_may_begin_with_a_digit_even_the_last() {
        for name in ["mx1.4you", "163.example", "1and1.3com.", "a.0xyz", "relay.7f"] {
            assert!(is_name(name), "{name}");
        }
    }
}
