//! docs/settings.md has every key of a jail and no other, with the default that the code has.

use std::fs;

use super::*;
use crate::config::tests::settings_page::{Row, rows};
use crate::config::{Folder, OnBroken, load};

/// A jail in which every default has something to act on.
const JAIL: &str = "[spam]\nenabled = true\nfilter = spam\nport = smtp\nlogpath = /a\nbantime.increment = true\n\
                    ignorecommand = /bin/true <ip>\n";
const FILTER: &str = "[Definition]\nfailregex = ^from <HOST>$\n";

/// The headings of the page's tables of keys.
const HEADINGS: [&str; 3] = ["A jail's keys", "Bans that grow and go on", "Keys of a filter"];
const READ_OVER_HEADING: &str = "Keys that are read over";

/// What a jail's text comes to, its problems included.
fn comes_to(folder: &std::path::Path, text: &str) -> String {
    fs::write(folder.join("jail.conf"), text).unwrap();
    match load(Folder::Given(folder), OnBroken::Refuse) {
        Ok(settings) => format!("{:?}", settings.jails),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn the_page_has_every_key_of_a_jail_and_no_other() {
    let sorted = |mut keys: Vec<&'static str>| {
        keys.sort_unstable();
        keys
    };
    let on_the_page = HEADINGS.iter().flat_map(|heading| rows(heading)).map(|row| row.name);
    assert_eq!(sorted(on_the_page.collect()), sorted(meaningful().collect()));
    let read_over = rows(READ_OVER_HEADING).into_iter().map(|row| row.name);
    assert_eq!(sorted(read_over.collect()), sorted(READ_OVER.to_vec()));
}

#[test]
fn the_defaults_on_the_page_are_the_codes() {
    let folder = tempfile::tempdir().unwrap();
    let filters = folder.path().join("filter.d");
    fs::create_dir(&filters).unwrap();
    fs::write(filters.join("spam.conf"), FILTER).unwrap();
    let mut compared = 0;
    for Row { name, default } in HEADINGS.iter().flat_map(|heading| rows(heading)) {
        let Some(default) = default else { continue };
        let own = |line: &&str| line.split(" = ").next() != Some(name);
        let without: String = JAIL.lines().filter(own).map(|line| format!("{line}\n")).collect();
        let with = format!("{without}{name} = {}\n", default.replace('%', "%%"));
        let [without, with] = [without, with].map(|text| comes_to(folder.path(), &text));
        // What is wrong without the key is told of the jail's heading, and with it of the key's line.
        assert_eq!(with, without, "left by the page's default of {name}");
        compared += 1;
    }
    assert!(compared > 10, "{compared}");
}
