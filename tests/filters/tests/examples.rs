//! The filters that this project shows as examples do what they are shown for, and cannot be led astray.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use blocker::filter::definition::{Definition, LogType};
use blocker::filter::layers::Disk;
use blocker::filter::matcher::{Hit, Search};
use blocker::filter::{Filter, hijack};
use blocker_filter_tests::trial;

const LISTED: &str = "Aug 26 01:33:38 relay postfix/smtpd[2731]: NOQUEUE: reject: RCPT from unknown[192.0.2.4]: 554 5.7.1 Service \
                      unavailable; Client host [192.0.2.4] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.4; \
                      from=<a@sender.example> to=<b@relay.example> proto=ESMTP helo=<x.example>";
/// As the sandbox's Postfix writes it.
const RELAYED: &str = "Nov 23 23:29:09 relay postfix/smtpd[6908]: NOQUEUE: reject: RCPT from unknown[2001:db8::4]: 554 5.7.1 \
                       <a@domain3.com>: Relay access denied; from=<x@spam.example> to=<a@domain3.com> proto=ESMTP helo=<spam.example>";

/// Compiles the filter that this text of a file is.
fn compile(text: &str) -> Arc<Filter> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spam.conf");
    fs::write(&file, text).unwrap();
    let read = Definition::read(&Disk, &[file], &[], LogType::File);
    Arc::new(Filter::compile_partial(read).unwrap())
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)).unwrap()
}

fn check(filter: &Arc<Filter>, lines: &[&str]) {
    assert_eq!(hijack::warnings(filter), []);
    let mut trial = trial(filter, Search::First, "UTC", 1_732_406_400);
    for line in lines {
        assert!(trial.line(line).hits.iter().any(Hit::is_failure), "{line}");
        let honest = line.replace("554 5.7.1", "450 4.7.1");
        assert!(trial.line(&honest).hits.is_empty(), "{honest}");
    }
}

#[test]
fn that_of_the_readme_finds_listed_hosts() {
    let readme = read("README.md");
    let (_, example) = readme
        .split_once("# /etc/blocker/filter.d/spam.conf\n")
        .expect("the example");
    // It stands between fences, within a list.
    let text: Vec<&str> = example
        .lines()
        .map(str::trim_start)
        .take_while(|line| *line != "```")
        .collect();
    check(&compile(&text.join("\n")), &[LISTED]);
}

#[test]
fn that_of_the_sandbox_finds_listed_hosts_and_relay_probes() {
    check(&compile(&read("xtask/src/run/config/spam.conf")), &[LISTED, RELAYED]);
}
