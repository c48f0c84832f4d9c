//! What the tests of filters share: Debian's fail2ban package, a filter at work, the corpora.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in what its cases share too"
)]

pub mod corpus;
pub mod package;
pub mod postfix_log;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use blocker::config::{self, Folder};
use blocker::filter::Filter;
use blocker::filter::date::parse_zone;
use blocker::filter::matcher::Search;
use blocker::filter::parameters::Named;
use blocker::filter::trial::{Clock, Trial};
use jiff::Timestamp;

/// Compiles a filter of a folder, or of those compiled in.
///
/// # Panics
///
/// With every problem, when it does not compile.
#[must_use]
pub fn compile(folder: Option<&Path>, name: &str, parameters: &[(String, String)]) -> Arc<Filter> {
    let named = Named {
        name: name.to_owned(),
        parameters: parameters.to_vec(),
    };
    let folder = folder.map_or(Folder::CompiledIn, Folder::Given);
    match Filter::compile_partial(config::filter(folder, &named)) {
        Ok(filter) => Arc::new(filter),
        Err(problems) => panic!("{name}{parameters:?}:\n{problems}"),
    }
}

/// A filter at work by a clock: `zone` for dates that name none, `now` in seconds since 1970.
///
/// # Panics
///
/// When there is no such zone or time.
#[must_use]
pub fn trial(filter: &Arc<Filter>, search: Search, zone: &str, now: i64) -> Trial {
    let clock = Clock::Dates {
        zone: parse_zone(zone).expect("a zone"),
        now: Timestamp::from_second(now).expect("a time"),
    };
    Trial::new(filter, search, clock)
}

/// Prints a score also where the test succeeds: the test harness keeps to itself only what is printed by the macros.
pub fn say(text: &str) {
    // A score that nobody can read is no failure.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The agent's program, which was built before the tests.
///
/// # Panics
///
/// When it was not.
#[must_use]
pub fn program() -> std::path::PathBuf {
    let test = std::env::current_exe().expect("a test knows where it lies");
    let folder = test.ancestors().nth(2).expect("a test lies in target/debug/deps");
    let program = folder.join("blocker");
    assert!(
        program.exists(),
        "{}: not built yet; run `cargo xtask test`",
        program.display()
    );
    program
}
