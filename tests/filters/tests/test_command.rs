//! `blocker test` as a person and as a program uses it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use std::fs;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use blocker_filter_tests::program;
use serde_json::{Value, json};

const LOG: &str = "\
Aug 26 01:33:38 relay postfix/smtpd[1]: warning: unknown[192.0.2.4]: SASL LOGIN authentication failed: x, sasl_username=bob
Aug 26 01:33:39 relay postfix/smtpd[1]: connect from unknown[192.0.2.4]
a line without a date
Aug 26 01:35:00 relay postfix/smtpd[1]: warning: unknown[2001:db8::4]: SASL PLAIN authentication failed: \u{1b}[31mx
";

/// Runs the command over a log given on standard input.
fn run(arguments: &[&str], log: &[u8]) -> Output {
    let mut command = Command::new(program());
    command.arg("test").args(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let log = log.to_vec();
    let writer = std::thread::spawn(move || {
        // A command that reads no log closes the pipe.
        let _ = stdin.write_all(&log);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    text(output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// By the clock of the autumn after.
const CLOCK: [&str; 4] = ["--tz", "CET-1CEST,M3.5.0,M10.5.0/3", "--now", "1732406400"];

#[test]
fn one_object_a_line_says_what_was_found_in_it() {
    let output = run(
        &[&["-", "postfix[mode=auth]", "--json", "--raw-host"][..], &CLOCK].concat(),
        LOG.as_bytes(),
    );
    let hit = |id: &str, fail: Value| json!({"re": 0, "id": id, "nofail": false, "pending": false, "fail": fail, "nmatches": 1});
    let expected = [
        json!({"n": 1, "time": 1_724_628_818.0, "hits": [hit("192.0.2.4", json!({"ip4": "192.0.2.4", "user": "bob"}))]}),
        json!({"n": 2, "time": 1_724_628_819.0, "hits": []}),
        json!({"n": 3, "time": null, "hits": []}),
        json!({"n": 4, "time": 1_724_628_900.0, "hits": [hit("2001:db8::4", json!({"ip6": "2001:db8::4"}))]}),
    ];
    assert_eq!(lines(&output), expected);
}

#[test]
fn a_line_of_the_journal_carries_no_date_and_is_of_now() {
    let log = "relay postfix/smtpd[1]: warning: unknown[192.0.2.4]: SASL LOGIN authentication failed: x\n";
    let output = run(
        &[
            "-",
            "postfix[mode=auth, logtype=journal]",
            "--json",
            "--now",
            "1124013600.5",
        ],
        log.as_bytes(),
    );
    let line = &lines(&output)[0];
    assert_eq!(line["time"], json!(1_124_013_600.5));
    assert_eq!(line["hits"][0]["id"], json!("192.0.2.4"));
}

#[test]
fn a_session_waits_until_somebody_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("my.conf");
    let filter = "[Definition]\nfailregex = ^ <F-MLFID>\\d+</F-MLFID> failed$\n  ^ <F-MLFID>\\d+</F-MLFID> <F-NOFAIL>was</F-NOFAIL> <ADDR>$\n";
    fs::write(&file, filter).unwrap();
    let output = run(
        &[
            "-",
            file.to_str().unwrap(),
            "--json",
            "--all-regex",
            "--now",
            "1124013600",
        ],
        b"2005-08-14T11:58:00 1 failed\n2005-08-14T11:58:01 1 was 192.0.2.4\n",
    );
    let lines = lines(&output);
    assert_eq!(
        (&lines[0]["hits"][0]["pending"], &lines[0]["hits"][0]["id"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(lines[1]["hits"][0]["id"], json!("192.0.2.4"));
}

#[test]
fn the_filter_may_be_a_name_of_the_folder_a_path_or_a_regular_expression() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("filter.d")).unwrap();
    let file = folder.path().join("filter.d/mine.conf");
    fs::write(
        &file,
        "[Definition]\nfailregex = ^ <what> from <ADDR>$\nwhat = nothing\n",
    )
    .unwrap();
    let configuration = folder.path().to_str().unwrap();
    let log = b"2005-08-14T11:58:00 reject from 192.0.2.4\n";
    for filter in [
        "mine[what='reject']".to_owned(),
        format!("{}[what=\"reject\"]", file.display()),
        "^ reject from <HOST>$".to_owned(),
    ] {
        let output = run(&["-", &filter, "--config", configuration, "--json", "--raw-host"], log);
        assert_eq!(lines(&output)[0]["hits"][0]["id"], json!("192.0.2.4"), "{filter}");
    }
}

#[test]
fn the_expressions_are_listed_with_the_engine_that_runs_each() {
    for arguments in [
        &["--list-regexes", "-", "^a <HOST>(?! b)"][..],
        &["--list-regexes", "^a <HOST>(?! b)"],
    ] {
        let listed: Value = serde_json::from_str(&text(&run(arguments, b""))).unwrap();
        assert_eq!(listed["failregex"][0]["engine"], json!("fancy-regex"));
        assert_eq!(listed["failregex"][0]["written"], json!("^a <HOST>(?! b)"));
        assert!(
            listed["failregex"][0]["expression"]
                .as_str()
                .unwrap()
                .contains("(?P<ip4>")
        );
        assert_eq!(listed["prefregex"], Value::Null);
    }
}

#[test]
fn the_report_is_for_people_and_nothing_in_a_log_steers_their_terminal() {
    let output = run(&[&["-", "postfix[mode=auth]"][..], &CLOCK].concat(), LOG.as_bytes());
    let report = text(&output);
    let column = |name: &str| {
        let line = report
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name}\n{report}"));
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(
        ["matched", "ignored", "missed", "undated"].map(column),
        ["2", "0", "2", "1"]
    );
    assert!(report.contains("a line without a date"), "{report}");
    assert!(
        report.contains("hosts with most failures, of 2\n          1  192.0.2.4\n"),
        "{report}"
    );
    assert!(
        report.lines().any(|line| line.trim_start().starts_with("3  {^LN-BEG}")),
        "{report}"
    );
    assert!(!report.contains('\u{1b}'), "{report}");
}

#[test]
fn the_report_names_the_file_of_the_filter_or_says_that_it_is_compiled_in() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("filter.d")).unwrap();
    let file = folder.path().join("filter.d/mine.conf");
    fs::write(&file, "[Definition]\nfailregex = ^ from <ADDR>$\n").unwrap();
    let configuration = folder.path().to_str().unwrap();
    let file = file.to_str().unwrap();
    for (filter, from) in [
        ("mine", file),
        (file, file),
        ("postfix[mode=auth]", "the filters compiled in"),
        ("^ from <ADDR>$", "the regular expression given"),
    ] {
        let report = text(&run(&["-", filter, "--config", configuration], b""));
        assert!(report.contains(&format!("\nfrom      {from}\n")), "{filter}: {report}");
    }
}

#[test]
fn a_parameter_that_nothing_asks_for_is_told_of() {
    let meant =
        "postfix[mood=rbl]: nothing in the filter `postfix` asks for its parameter `mood`; did you mean `mode`?";
    let report = text(&run(&["-", "postfix[mood=rbl]"], b""));
    assert!(report.contains(&format!("warning: {meant}")), "{report}");
    let output = run(&["-", "postfix[mood=rbl]", "--json"], b"");
    assert_eq!(text(&output), "", "what is printed is for programs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(meant), "{said}");
}

#[test]
fn a_regular_expression_may_begin_as_a_filter_does() {
    let output = run(
        &["-", "postfix[/a-z]*: reject <HOST>$", "--json", "--raw-host"],
        b"2005-08-14T11:58:00 postfix/smtpd: reject 192.0.2.4\n",
    );
    assert_eq!(lines(&output)[0]["hits"][0]["id"], json!("192.0.2.4"));
}

#[test]
fn lines_of_any_length_and_any_bytes_are_read() {
    let mut log =
        b"Aug 26 01:33:38 relay postfix/smtpd[1]: warning: unknown[192.0.2.4]: SASL LOGIN authentication failed: "
            .to_vec();
    log.extend(vec![b'x'; 200_000]);
    log.extend(b"\n\0\xff\xfe\n\r\n\nAug 26 01:33:39 relay postfix/smtpd[1]: warning: unknown[192.0.2.5]: SASL LOGIN authentication failed: x");
    let output = run(&[&["-", "postfix[mode=auth]", "--json"][..], &CLOCK].concat(), &log);
    let lines = lines(&output);
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["hits"][0]["id"], json!("192.0.2.4"));
    assert_eq!(
        lines[4]["hits"][0]["id"],
        json!("192.0.2.5"),
        "the last line need not end"
    );
    assert!(text(&run(&[&["-", "postfix[mode=auth]"][..], &CLOCK].concat(), &log)).contains("\ncut "));
}

#[test]
fn what_was_got_wrong_is_said_with_the_way_out() {
    let cases: [(&[&str], &[&str]); 12] = [
        (
            &["/nonexistent/mail.log", "postfix"],
            &["/nonexistent/mail.log", "cannot be opened"],
        ),
        (&["/", "postfix"], &["is a folder"]),
        (&["-", "postfxi"], &["no such filter", "did you mean `postfix`?"]),
        (&["-", "/nonexistent/x.conf"], &["no such filter file"]),
        (
            &["-", "postfix[mode=agressive]"],
            &["<counts-agressive>", "counts-aggressive"],
        ),
        (&["-", "postfix", "--tz", "Mars"], &["--tz", "Mars", "Europe/Berlin"]),
        (&["-", "postfix", "--now", "soon"], &["--now soon"]),
        (
            &["-", "postfix", "--config", "/nonexistent"],
            &["/nonexistent: there is no such folder", "point --config at a folder"],
        ),
        (
            &["-", "^from <HOST>$", "--config", "/dev/null"],
            &["/dev/null: is no folder"],
        ),
        (
            &["-", "postfix[mode=rbl"],
            &["`postfix[mode=rbl` lacks its closing `]`"],
        ),
        (
            &["-", "dovecot[mode=\"aggressive]"],
            &["the value of `mode` lacks its closing \""],
        ),
        (&["-", "postfix[mode]"], &["the parameter `mode` has no value"]),
    ];
    for (arguments, parts) in cases {
        let output = run(arguments, b"");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "{arguments:?}: `{part}` is missing in {said}");
        }
    }
}
