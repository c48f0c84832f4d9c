//! Whatever an attacker writes into a log line, the compiled-in filters blame himself or nobody.
//!
//! Each template of the corpus is filled with each of the attacker's texts, alone and with ten thousand signs before or behind. The
//! client is 192.0.2.4 or 2001:db8::4; he would like 198.51.100.9 or 2001:db8:bad::9 to be banned.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::net::IpAddr;
use std::sync::Arc;

use blocker::filter::Filter;
use blocker::filter::identity::Identity;
use blocker::filter::matcher::Search;
use blocker_filter_tests::corpus::{self, Section};
use blocker_filter_tests::{compile, say, trial};

const NOW: i64 = 1_732_406_400;
const CLIENTS: [&str; 2] = ["192.0.2.4", "2001:db8::4"];
const FILLER: usize = 10_000;

/// How many lines were tried, and those for which somebody else is blamed.
#[derive(Default)]
struct Outcome {
    tried: usize,
    wrong: Vec<String>,
}

fn try_all(name: &str) -> Outcome {
    let payloads = corpus::payloads();
    let filler = "x".repeat(FILLER);
    let mut outcome = Outcome::default();
    for section in corpus::read("spoofed", name) {
        for (set, parameters) in section.parameters.iter().enumerate() {
            let filter = compile(None, name, parameters);
            for (n, payload) in payloads.iter().enumerate() {
                outcome.try_section(&filter, &section, payload);
                // With one set of parameters, and before and behind by turns: every text stands long in many places even so.
                if set == 0 {
                    let long = if n % 2 == 0 {
                        format!("{payload}{filler}")
                    } else {
                        format!("{filler}{payload}")
                    };
                    outcome.try_section(&filter, &section, &long);
                }
            }
        }
    }
    outcome
}

impl Outcome {
    /// One fresh filter reads the section's lines, which may belong to one session.
    fn try_section(&mut self, filter: &Arc<Filter>, section: &Section, words: &str) {
        // A name in the DNS has no other characters, and neither Postfix nor the resolver lets them through.
        let host: String = words
            .chars()
            .filter(|char| char.is_ascii_alphanumeric() || "._-".contains(*char))
            .collect();
        let clients = CLIENTS.map(|client| Identity::Address(client.parse::<IpAddr>().unwrap()));
        let mut trial = trial(filter, Search::All, "UTC", NOW);
        for (number, template) in &section.lines {
            let line = template.replace("{host}", &host).replace("{}", words);
            self.tried += 1;
            let answer = trial.line(&line);
            let blamed = answer.hits.iter().filter_map(|hit| hit.identity.as_ref());
            let other = blamed.filter(|identity| !clients.contains(identity));
            let address = answer.hits.iter().find_map(|hit| hit.address);
            for identity in other {
                let shown: String = line.chars().take(400).collect();
                self.wrong.push(format!("line {number}: {identity} is blamed: {shown}"));
            }
            assert_eq!(address, None, "no compiled-in filter has identities beside the address");
        }
    }
}

macro_rules! filters {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            let outcome = try_all(stringify!($name));
            let first = outcome.wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
            assert!(outcome.wrong.is_empty(), "{} of {} lines:\n{first}", outcome.wrong.len(), outcome.tried);
            assert!(outcome.tried > 1000, "only {} lines were tried", outcome.tried);
            say(&format!("{}: {} spoofed lines, nobody else blamed", stringify!($name), outcome.tried));
        }
    )*};
}

filters!(postfix, dovecot, exim, sendmail, opensmtpd, rspamd);
