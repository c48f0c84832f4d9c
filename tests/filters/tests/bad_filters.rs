//! Whatever is wrong with jails and filters is reported at once, each with file, line, text and the way out.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::process::Command;

use blocker_filter_tests::program;

const JAIL: &str = "\
[DEFAULT]
enabled = true
port = smtp
logpath = /var/log/mail.log
[bad]
findtime = 10 parsecs
bantime = 1fortnight
[circle]
logpath = %(there)s
there = %(back)s
back = %(there)s
[lost]
filter = lost[mode=slow]
no key
";
const BAD: &str = "\
[INCLUDES]
before = missing.conf
[Definition]
failregex = ^fine <HOST>$
            ^<HOSTT> what$
            ^never \\p{Greek} <ADDR>$
            ^(?P<x>a) (?P=y) <ADDR>$
            ^<ADDR> then <ADDR>$
            ^no host$
ignoreregex = ^a**$
datepattern = ^%%Y-%%Q
maxlines = none
";
const CIRCLE: &str = "\
[Definition]
failregex = ^<a> <HOST>$
a = <b>
b = <a>
";
const LOST: &str = "\
[Definition]
failregex = <re-<mode>>
re-fast = ^x <HOST>$
mode = fast
";

#[test]
fn every_problem_is_reported_together() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("filter.d")).unwrap();
    fs::write(folder.path().join("jail.local"), JAIL).unwrap();
    for (name, text) in [("bad", BAD), ("circle", CIRCLE), ("lost", LOST)] {
        fs::write(folder.path().join(format!("filter.d/{name}.conf")), text).unwrap();
    }
    let check = || {
        let output = Command::new(program())
            .arg("check")
            .arg("--config")
            .arg(folder.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let expect = |said: &str, problems: &[(&str, &[&str])]| {
        for (place, parts) in problems {
            let found = said
                .lines()
                .any(|line| line.contains(place) && parts.iter().all(|part| line.contains(part)));
            assert!(found, "{place} {parts:?} is missing in:\n{said}");
        }
    };
    expect(
        &check(),
        &[
            ("jail.local:6:", &["findtime", "parsecs"]),
            ("jail.local:7:", &["bantime", "fortnight"]),
            ("jail.local:11:", &["there → back → there", "break the circle"]),
            ("jail.local:14:", &["cannot read `no key`"]),
            ("filter.d/bad.conf:2:", &["missing.conf", "does not exist"]),
            ("filter.d/bad.conf:5:", &["^<HOSTT> what$", "did you mean `HOST`?"]),
            ("filter.d/bad.conf:6:", &["\\p"]),
            ("filter.d/bad.conf:7:", &["(?P=y)", "no `(?P<y>`"]),
            ("filter.d/bad.conf:8:", &["named twice"]),
            ("filter.d/bad.conf:9:", &["^no host$", "put <HOST>"]),
            ("filter.d/bad.conf:10:", &["ignoreregex", "repeats nothing"]),
            ("filter.d/bad.conf:11:", &["%Q"]),
            ("filter.d/bad.conf:12:", &["maxlines", "none"]),
            ("filter.d/circle.conf:", &["stands for itself"]),
            ("filter.d/lost.conf:2:", &["<re-slow>", "re-fast"]),
        ],
    );
}
