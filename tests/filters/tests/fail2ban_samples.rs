//! fail2ban's sample lines give fail2ban's answers.
//!
//! Its package carries a file of lines for each of its filters, with what must be found in each. A line is tried with every
//! set of options that the file says; that makes one check for each answer and set.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

mod samples;

use std::fmt::Write as _;

use blocker_filter_tests::{package, say};

use self::samples::{Score, Source};

/// Filters for mail servers.
const MAIL: [&str; 18] = [
    "postfix",
    "dovecot",
    "exim",
    "exim-spam",
    "sendmail-auth",
    "sendmail-reject",
    "courier-auth",
    "courier-smtp",
    "cyrus-imap",
    "qmail",
    "perdition",
    "sogo-auth",
    "roundcube-auth",
    "solid-pop3d",
    "uwimap-auth",
    "squirrelmail",
    "kerio",
    "assp",
];
/// Right answers as they were when this was last changed; fewer fail the test. All of them were right then: of the filters that the
/// package installs, and of the two that only its tests have.
const RECORDED: usize = 1381;
const RECORDED_OF_TESTS: usize = 246;
const RECORDED_MAIL: usize = 406;

#[test]
fn every_filter_gives_fail2bans_answers() {
    let package = package::fail2ban().unwrap();
    let scores: Vec<Score> = Source::all(&package).iter().map(Source::score).collect();
    let mut report = String::new();
    for score in &scores {
        writeln!(report, "{:<30} {:>4} of {:>4}", score.name, score.right, score.checks).unwrap();
        for wrong in &score.wrong {
            writeln!(report, "    {wrong}").unwrap();
        }
    }
    let sum = |wanted: &dyn Fn(&Score) -> bool| {
        let wanted: Vec<&Score> = scores.iter().filter(|score| wanted(score)).collect();
        let right: usize = wanted.iter().map(|score| score.right).sum();
        (right, wanted.iter().map(|score| score.checks).sum::<usize>())
    };
    let of_tests = |score: &Score| score.name.starts_with("zzz-");
    let groups = [
        ("filters of the package", sum(&|score| !of_tests(score)), RECORDED),
        ("filters of its tests", sum(&of_tests), RECORDED_OF_TESTS),
        (
            "mail filters",
            sum(&|score| MAIL.contains(&score.name.as_str())),
            RECORDED_MAIL,
        ),
    ];
    for (name, (right, checks), _) in groups {
        writeln!(report, "{name}: {right} of {checks}").unwrap();
    }
    say(&report);
    for (name, (right, _), recorded) in groups {
        assert!(right >= recorded, "{name}: {right} right, {recorded} before\n{report}");
    }
    let wrong = scores.iter().map(|score| score.wrong.len()).sum::<usize>();
    assert_eq!(
        wrong, 0,
        "lines that should not match, or expressions that none reached\n{report}"
    );
}
