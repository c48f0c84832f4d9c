//! `blocker replay` as a person and as a program uses it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use blocker_filter_tests::program;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::{Value, json};

const JAILS: &str = r"[spam]
enabled = true
filter = spam
port = smtp
logpath = /nonexistent/mail.log
logtimezone = UTC
findtime = 10m
bantime = 1h
maxretry = 2
ignoreip = 198.51.100.0/24

[login]
enabled = true
filter = postfix[mode=auth]
port = smtp,submission
logpath = /nonexistent/mail.log
logtimezone = UTC
maxretry = 1
";
const SPAM: &str = "[Definition]\nfailregex = ^ relay spam: bad <ADDR>$\n";

/// A folder with a configuration and logs.
struct Case(tempfile::TempDir);

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("config/filter.d")).unwrap();
        fs::write(folder.path().join("config/jail.conf"), JAILS).unwrap();
        fs::write(folder.path().join("config/filter.d/spam.conf"), SPAM).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a log as if at this time, compressed where its name says so.
    fn log(&self, name: &str, text: &str, written: &str) {
        let path = self.path(name);
        let bytes = if name.ends_with(".gz") {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        } else {
            text.as_bytes().to_vec()
        };
        fs::write(&path, bytes).unwrap();
        let written: Timestamp = written.parse().unwrap();
        let since = Duration::from_secs(written.as_second().unsigned_abs());
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + since).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .current_dir(self.0.path())
            .args(["replay", "--config", "config"]);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The objects of a replay with `--json`.
    fn json(&self, arguments: &[&str]) -> Vec<Value> {
        objects(&self.run(&[arguments, &["--json"]].concat()))
    }
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    let text = text(output);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn epoch(time: &str) -> f64 {
    time.parse::<Timestamp>().unwrap().as_second() as f64
}

/// The ban of a host for its second failure at this time.
fn ban(address: &str, time: &str) -> Value {
    let time = epoch(time);
    json!({"time": time, "jail": "spam", "address": address, "until": time + 3600.0, "failures": 2})
}

fn bad(time: &str, address: &str) -> String {
    format!("{time} relay spam: bad {address}\n")
}

#[test]
fn one_object_a_ban_and_then_the_sums() {
    let case = Case::new();
    let log = [
        bad("2025-06-01T00:00:00Z", "192.0.2.7"),
        bad("2025-06-01T00:01:00Z", "192.0.2.7"),
        bad("2025-06-01T00:02:00Z", "192.0.2.7"),
        bad("2025-06-01T00:02:00Z", "198.51.100.7").repeat(9),
        "2025-06-01T00:03:00Z relay postfix/smtpd[1]: warning: unknown[192.0.2.8]: SASL LOGIN authentication failed: x\n"
            .to_owned(),
    ];
    case.log("mail.log", &log.concat(), "2025-06-01T00:03:00Z");
    let objects = case.json(&["mail.log"]);
    let login = epoch("2025-06-01T00:03:00Z");
    assert_eq!(objects[0], ban("192.0.2.7", "2025-06-01T00:01:00Z"));
    assert_eq!(
        objects[1],
        json!({"time": login, "jail": "login", "address": "192.0.2.8", "until": login + 600.0, "failures": 1})
    );
    let sums = &objects[2];
    assert_eq!(objects.len(), 3);
    for (key, value) in [("lines", 13), ("failures", 13), ("saved", 1), ("bans", 2)] {
        assert_eq!(sums[key], value, "{key}: {sums}");
    }
    assert!(sums["seconds"].as_f64().unwrap() > 0.0 && sums["lines_per_second"].as_f64().unwrap() > 0.0);

    let narrowed = case.json(&["mail.log", "--jail", "login"]);
    assert_eq!(narrowed[0], objects[1]);
    assert_eq!(narrowed[1]["failures"], 1);
    let allowed = case.json(&["mail.log", "--allow", "192.0.2.0/29", "--allow", "2001:db8::1"]);
    assert_eq!(allowed[0], objects[1]);
}

#[test]
fn rotated_logs_are_read_oldest_first_in_whatever_order_and_however_stored() {
    let case = Case::new();
    case.log(
        "mail.log",
        &bad("2025-06-03T00:00:30Z", "192.0.2.7"),
        "2025-06-03T00:00:30Z",
    );
    case.log(
        "mail.log.1",
        &[
            bad("2025-06-02T00:00:00Z", "192.0.2.8"),
            bad("2025-06-02T23:59:30Z", "192.0.2.7"),
        ]
        .concat(),
        "2025-06-02T23:59:30Z",
    );
    case.log(
        "mail.log.2.gz",
        &bad("2025-06-01T23:59:00Z", "192.0.2.8"),
        // As after a careless copy: the lines say their own time.
        "2025-07-01T00:00:00Z",
    );
    let expected = [
        ban("192.0.2.8", "2025-06-02T00:00:00Z"),
        ban("192.0.2.7", "2025-06-03T00:00:30Z"),
    ];
    let (a, b, c) = ("mail.log", "mail.log.1", "mail.log.2.gz");
    for order in [[a, b, c], [c, b, a], [b, a, c], [b, c, a]] {
        assert_eq!(case.json(&order)[..2], expected, "{order:?}");
    }
    let mut command = case.command(&[a, "-", b, "--json"]);
    command.stdin(fs::File::open(case.path(c)).unwrap());
    assert_eq!(
        objects(&command.output().unwrap())[..2],
        expected,
        "compressed, on standard input"
    );
    let output = case.run(&[a, b, c, "./mail.log", "--json"]);
    assert_eq!(objects(&output)[..2], expected);
    assert!(String::from_utf8_lossy(&output.stderr).contains("the log was named already"));
}

#[test]
fn a_december_log_is_of_the_year_in_which_it_was_written() {
    let case = Case::new();
    let december = [bad("Dec 31 23:58:00", "192.0.2.7"), bad("Dec 31 23:59:00", "192.0.2.7")].concat();
    let january = bad("Jan  1 00:30:00", "192.0.2.7") + &bad("Jan  1 01:00:00", "192.0.2.7").repeat(2);
    case.log("mail.log.1", &december, "2019-12-31T23:59:00Z");
    case.log("mail.log", &january, "2020-01-01T01:00:00Z");
    let objects = case.json(&["mail.log", "mail.log.1"]);
    let expected = [
        ban("192.0.2.7", "2019-12-31T23:59:00Z"),
        ban("192.0.2.7", "2020-01-01T01:00:00Z"),
    ];
    assert_eq!(objects[..2], expected);
    // One log over the turn of the year, too.
    case.log("whole.log", &(december + &january), "2020-01-01T01:00:00Z");
    assert_eq!(case.json(&["whole.log"])[..2], expected);
}

#[test]
fn a_person_is_told_of_each_ban_and_of_the_sums() {
    let case = Case::new();
    let minutes = (0..5).map(|minute| bad(&format!("2025-06-01T00:0{minute}:00Z"), "192.0.2.7"));
    let log: String = minutes.collect();
    case.log("mail.log", &log, "2025-06-01T00:05:00Z");
    let said = text(&case.run(&["mail.log"]));
    for part in [
        "2025-06-01T00:01:00Z  spam   192.0.2.7 ",
        "  until 2025-06-01T01:01:00Z  failures 2\n",
        "\nlines               5 of 1 log, in 0.",
        "from 2025-06-01T00:00:00Z to 2025-06-01T00:04:00Z\n",
        "\nfailures            5 of 1 address\n",
        "\nsaved               3 failures, 60.0 %, of hosts that would have been banned by then\n",
        "\nbans                1 of 1 address\n",
        "\n          5            3            1  spam\n          0            0            0  login\n",
        "\n          5            3            1  192.0.2.7\n",
    ] {
        assert!(said.contains(part), "`{part}` is missing in:\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "no colours where no terminal is: {said}");
}

#[test]
fn whoever_has_read_enough_ends_it_quietly() {
    let case = Case::new();
    let hosts = (0..=255).flat_map(|net| (0..16).map(move |host| format!("203.0.{net}.{host}")));
    let log: String = hosts.map(|host| bad("2025-06-01T00:00:00Z", &host).repeat(2)).collect();
    case.log("mail.log", &log, "2025-06-01T00:00:00Z");
    for form in [&["mail.log"][..], &["mail.log", "--json"]] {
        let mut command = case.command(form);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.next().unwrap().unwrap().contains("203.0.0.0"));
        drop(lines);
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{output:?}");
    }
}

#[test]
fn lines_of_any_bytes_are_read() {
    let case = Case::new();
    let mut log = b"\0\xff\n\x1f\n\r\n".to_vec();
    log.extend(vec![b'x'; 200_000]);
    log.extend(b"\n2025-06-01T00:00:00Z relay spam: bad 192.0.2.7\r\n");
    log.extend(b"2025-13-45T99:00:00Z relay spam: bad 192.0.2.7\n+99999-01-01T00:00:00Z relay spam: bad 192.0.2.7\n");
    log.extend(b"2025-06-01T00:00:01Z relay spam: bad 192.0.2.7");
    fs::write(case.path("mail.log"), &log).unwrap();
    let objects = case.json(&["mail.log"]);
    assert_eq!(objects[0]["address"], "192.0.2.7");
    assert_eq!(objects.last().unwrap()["lines"], 8);
    let said = text(&case.run(&["mail.log"]));
    assert!(said.contains("\nundated ") && said.contains("\ncut "), "{said}");
    fs::write(case.path("empty.log"), "").unwrap();
    assert_eq!(case.json(&["empty.log", "mail.log"])[0]["address"], "192.0.2.7");
    assert_eq!(case.json(&["empty.log"])[0]["lines"], 0);
}

#[test]
fn what_was_got_wrong_is_said_with_the_way_out() {
    let case = Case::new();
    case.log(
        "mail.log",
        &bad("2025-06-01T00:00:00Z", "192.0.2.7"),
        "2025-06-01T00:00:00Z",
    );
    case.log(
        "cut.gz",
        &bad("2025-06-01T00:00:00Z", "192.0.2.7").repeat(9),
        "2025-06-01T00:00:00Z",
    );
    let cut = fs::read(case.path("cut.gz")).unwrap();
    fs::write(case.path("cut.gz"), &cut[..cut.len() - 9]).unwrap();
    let cases: [(&[&str], &[&str]); 6] = [
        (&["missing.log"], &["missing.log", "cannot be opened", "No such file"]),
        (&["mail.log", "/"], &["/: ", "is a folder", "name a log file"]),
        (&["cut.gz"], &["cut.gz: "]),
        (&["mail.log", "cut.gz"], &["cut.gz: "]),
        (
            &["mail.log", "--jail", "span"],
            &["--jail span: no jail of this name is enabled", "did you mean `spam`?"],
        ),
        (&["mail.log", "--jail", "x"], &["--jail x", "there are spam, login"]),
    ];
    for (arguments, parts) in cases {
        let output = case.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && !said.contains("panicked"),
            "{arguments:?}: {said}"
        );
        for part in parts {
            assert!(said.contains(part), "{arguments:?}: `{part}` is missing in {said}");
        }
    }
    let wrong = case.run(&["mail.log", "--allow", "nobody"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}

#[test]
fn a_jail_that_is_asked_for_runs_whatever_is_wrong_with_the_others() {
    let case = Case::new();
    let broken = format!("{JAILS}\n[odd]\nenabled = true\nfilter = odd\nport = smtp\nlogpath = /var/log/mail.log\n");
    fs::write(case.path("config/jail.conf"), broken).unwrap();
    case.log(
        "mail.log",
        &bad("2025-06-01T00:00:00Z", "192.0.2.7").repeat(2),
        "2025-06-01T00:00:00Z",
    );
    assert_eq!(case.json(&["mail.log", "--jail", "spam"]).len(), 2);
    for arguments in [&["mail.log"][..], &["mail.log", "--jail", "odd"]] {
        let output = case.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains("jail [odd]"), "{said}");
    }
}

#[test]
fn the_compiled_in_jails_do_without_a_configuration() {
    let case = Case::new();
    let line = "2025-06-01T00:00:00Z relay postfix/smtpd[1]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 \
                <a@b.example>: Relay access denied; from=<x@y.example> to=<a@b.example> proto=ESMTP helo=<spam.example>\n";
    case.log("mail.log", &line.repeat(2), "2025-06-01T00:00:00Z");
    if Path::new("/etc/blocker").exists() {
        return;
    }
    let output = Command::new(program())
        .args(["replay", "--json"])
        .arg(case.path("mail.log"))
        .output()
        .unwrap();
    assert_eq!(objects(&output)[0]["jail"], "postfix-spam");
}
