//! fail2ban's own configuration, with its jails enabled, is warned of only where there is reason to.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::os::unix::fs::symlink;

use blocker::config::{self, Folder, OnBroken};
use blocker_filter_tests::{package, say};

#[test]
fn no_parameter_of_fail2bans_own_jails_is_said_to_be_misspelt_and_no_log_to_be_named_twice() {
    let stock = package::fail2ban().unwrap().configuration();
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(&stock).unwrap() {
        let entry = entry.unwrap();
        symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    fs::write(folder.path().join("jail.local"), "[DEFAULT]\nenabled = true\n").unwrap();

    let settings = config::load(Folder::Given(folder.path()), OnBroken::Skip).unwrap();
    assert!(settings.jails.len() > 60, "only {} jails run", settings.jails.len());
    let warnings: Vec<String> = settings.warnings.0.iter().map(ToString::to_string).collect();
    let wrong = |warning: &&String| warning.contains("asks for its parameter") || warning.contains("names already");
    let wrong: Vec<&String> = warnings.iter().filter(wrong).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    say(&format!("{} jails of fail2ban's run", settings.jails.len()));
}
