//! The agent looks for words first and shows a line only to the expressions that need those it holds: that must find what the expressions
//! find by themselves.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::sync::Arc;

use blocker::filter::Filter;
use blocker::filter::date::Cut;
use blocker::filter::matcher::{Matcher, Search};
use blocker::filter::trial::{Clock, Trial};
use blocker_filter_tests::{compile, package, say};
use jiff::Timestamp;

/// Filters that are read in several ways, beside all of them in their usual one.
const MODES: [(&str, &str); 9] = [
    ("postfix", "aggressive"),
    ("postfix", "auth"),
    ("postfix", "ddos"),
    ("postfix", "rbl"),
    ("dovecot", "aggressive"),
    ("exim", "aggressive"),
    ("sendmail-auth", "aggressive"),
    ("sendmail-reject", "aggressive"),
    ("sshd", "aggressive"),
];

/// What a filter finds in each line: by itself, and as the agent has it look.
fn compare(filter: &Arc<Filter>, lines: &[String]) -> usize {
    let now = Timestamp::from_second(1_124_013_600).unwrap();
    let mut itself = Matcher::new(Arc::clone(filter), Search::First);
    let mut agents = Trial::new(filter, Search::First, Clock::Fixed(now));
    let mut found = 0;
    for line in lines {
        let hits = itself.apply(&Cut::undated(line, now)).hits;
        found += hits.len();
        assert_eq!(agents.line(line).hits, hits, "{}: {line}", filter.name());
    }
    found
}

#[test]
fn what_the_agent_finds_is_what_the_expressions_find_for_every_filter_of_fail2ban_on_every_sample() {
    let package = package::fail2ban().unwrap();
    let mut lines: Vec<String> = Vec::new();
    for file in fs::read_dir(package.logs()).unwrap() {
        let path = file.unwrap().path();
        // There are folders among them.
        let Ok(bytes) = fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in samples {
            lines.push(line.to_owned());
            // Without its date, as the filter sees it.
            lines.extend((9..40).step_by(6).filter_map(|at| Some(line.get(at..)?.to_owned())));
            // And with something in it that is no ASCII.
            lines.push(format!("{line} é"));
        }
    }
    let configuration = package.configuration();
    let mut names: Vec<(String, Vec<(String, String)>)> = fs::read_dir(configuration.join("filter.d"))
        .unwrap()
        .filter_map(|file| Some((file.ok()?.path().file_stem()?.to_str()?.to_owned(), Vec::new())))
        .filter(|(name, _)| !name.ends_with("common"))
        .collect();
    names.extend(MODES.map(|(name, mode)| (name.to_owned(), vec![("mode".to_owned(), mode.to_owned())])));
    let mut found = 0;
    for (name, parameters) in &names {
        if fs::metadata(configuration.join(format!("filter.d/{name}.conf"))).is_ok() {
            found += compare(&compile(Some(&configuration), name, parameters), &lines);
        }
    }
    say(&format!(
        "{} filters on {} lines: {found} hits, the same both ways",
        names.len(),
        lines.len()
    ));
    assert!(found > 1_000, "{found}");
}
