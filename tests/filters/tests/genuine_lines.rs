//! The compiled-in filters find what mail servers log of abuse, in each of their modes, and nothing else.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use blocker::filter::matcher::{Hit, Search};
use blocker_filter_tests::{compile, corpus, trial};

/// In the winter after the lines of the corpus.
const NOW: i64 = 1_732_406_400;

/// What is wrong with the lines of a filter's corpus.
fn wrong(name: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for section in corpus::read("genuine", name) {
        for parameters in &section.parameters {
            let filter = compile(None, name, parameters);
            let journal = parameters
                .iter()
                .any(|(key, value)| key == "logtype" && value == "journal");
            let mut trial = trial(&filter, Search::First, "UTC", NOW);
            for (number, line) in &section.lines {
                let (expected, text) = line.split_once('\t').expect("a tab behind what is expected");
                let answer = trial.line(text);
                let found = answer
                    .hits
                    .iter()
                    .find(|hit| hit.is_failure())
                    .map_or("-".to_owned(), shown);
                if !agree(expected, &found) || (answer.time.is_none() && !journal) {
                    wrong.push(format!(
                        "{name}.txt:{number} {parameters:?}: {found}, not {expected}: {text}"
                    ));
                }
            }
        }
    }
    wrong
}

/// A failure as the corpus writes it.
fn shown(hit: &Hit) -> String {
    let identity = hit.identity.as_ref().map(ToString::to_string).unwrap_or_default();
    match hit.facts.text("user") {
        Some(user) => format!("{identity} user={user}"),
        None => identity,
    }
}

/// A user is compared where the corpus names one.
fn agree(expected: &str, found: &str) -> bool {
    let address = found.split(' ').next().unwrap_or_default();
    expected == found || expected == address
}

macro_rules! filters {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            let wrong = wrong(stringify!($name));
            assert!(wrong.is_empty(), "{} lines:\n{}", wrong.len(), wrong.join("\n"));
        }
    )*};
}

filters!(postfix, dovecot, exim, sendmail, opensmtpd, rspamd);
