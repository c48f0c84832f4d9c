use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::source::watch::PATROL;

/// A stand-in for journalctl, for what the real one does too seldom.
struct Fake {
    folder: TempDir,
    journal: Journal,
    now: Instant,
}

const NOW: i64 = 1_800_000_000;

impl Fake {
    /// Runs this shell script in the place of journalctl.
    fn new(script: &str, positions: &Positions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stop = Stop::new().unwrap();
        let since = Timestamp::from_second(NOW - 600).unwrap();
        let mut journal = Journal::new(Selection::default(), positions, since, stop);
        journal.program = folder.path().join("journalctl");
        let fake = Self {
            folder,
            journal,
            now: Instant::now(),
        };
        fake.script(script);
        fake
    }

    fn script(&self, script: &str) {
        let log = self.folder.path().join("arguments");
        let text = format!("#!/bin/sh\necho \"$*\" >> {}\n{script}\n", log.display());
        // A program that somebody has open for writing cannot be started. Were it this process, that might be a child of another test's
        // that has come to be meanwhile.
        let mut sh = Command::new("sh");
        sh.args(["-c", "cat > draft && chmod 755 draft && mv draft journalctl"]);
        let mut sh = sh
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        sh.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(sh.wait().unwrap().success());
    }

    /// How it was started, each time.
    fn arguments(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("arguments")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Reads until `is_enough` of the lines there are.
    fn read_until(&mut self, is_enough: impl Fn(&[(String, bool)], &Journal) -> bool) -> Vec<(String, bool)> {
        let mut lines = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !is_enough(&lines, &self.journal) {
            assert!(Instant::now() < deadline, "{lines:?}");
            let mut each = |line: Line<'_>| {
                let again = if line.again { "again: " } else { "" };
                lines.push((format!("{again}{}", String::from_utf8_lossy(line.bytes)), line.cut));
            };
            if !self.journal.read(self.now, &mut each) {
                assert_eq!(self.journal.wait().unwrap(), Woken::Look);
            }
        }
        lines
    }

    fn lines(&mut self, count: usize) -> Vec<String> {
        let lines = self.read_until(|lines, _| lines.len() >= count);
        lines.into_iter().map(|(line, _)| line).collect()
    }

    fn is_in_trouble(&self) -> bool {
        self.journal.logs()[0].trouble.is_some()
    }
}

fn entry(n: i64) -> String {
    format!(
        r#"{{"__CURSOR":"c={n}","__REALTIME_TIMESTAMP":"{}","SYSLOG_IDENTIFIER":"a","MESSAGE":"m{n}"}}"#,
        (NOW + n) * 1_000_000
    )
}

#[test]
fn a_child_that_ends_is_started_again_behind_the_last_entry_and_each_time_later() {
    let mut fake = Fake::new(
        &format!("echo '{}'\necho 'gone wrong' >&2\nexit 3", entry(1)),
        &Positions::default(),
    );
    assert_eq!(fake.lines(1), ["a: m1"]);
    fake.read_until(|_, journal| journal.log[0].trouble.is_some());
    assert!(fake.is_in_trouble());
    assert!(!fake.journal.read(fake.now, &mut |_| {}), "not at once");
    assert_eq!(fake.arguments().len(), 1);

    fake.script("exit 1");
    for (n, delay) in [1, 2, 4, 8].into_iter().enumerate() {
        assert_eq!(fake.arguments().len(), n + 1);
        fake.now += Duration::from_secs(delay);
        // Put off once it has ended, which may be in the call that starts it.
        let retry = fake.journal.retry;
        fake.read_until(|_, journal| journal.retry != retry);
    }
    let arguments = fake.arguments();
    assert!(
        arguments[0].contains(&format!("--since=@{}", NOW - 600)),
        "{arguments:?}"
    );
    assert!(arguments[1].contains("--after-cursor=c=1"), "{arguments:?}");
    assert!(
        arguments[4].contains(&format!("--since=@{}", NOW + 1)),
        "the cursor may be the reason"
    );

    fake.script(&format!("echo '{}'\necho '{}'\nexec sleep 60", entry(1), entry(2)));
    fake.now += LONGEST_DELAY;
    assert_eq!(fake.lines(1), ["a: m2"], "what was read before is not read again");
    assert!(!fake.is_in_trouble());
}

#[test]
fn a_program_that_cannot_be_started_is_tried_again() {
    let mut fake = Fake::new("exec sleep 60", &Positions::default());
    fs::remove_file(fake.folder.path().join("journalctl")).unwrap();
    fake.read_until(|_, journal| journal.log[0].trouble.is_some());
    fake.script(&format!("echo '{}'\nexec sleep 60", entry(1)));
    fake.now += FIRST_DELAY;
    assert_eq!(fake.lines(1), ["a: m1"]);
    assert!(!fake.is_in_trouble());
}

#[test]
fn what_is_no_entry_is_counted_and_entries_behind_it_are_read() {
    let script = format!(
        "echo garbage\nprintf '\\0\\377{{\\n'\necho '{}'\nexec sleep 60",
        entry(1)
    );
    let mut fake = Fake::new(&script, &Positions::default());
    assert_eq!(fake.lines(3), ["", "", "a: m1"]);
    let mut fake = Fake::new("while echo garbage; do :; done", &Positions::default());
    fake.read_until(|lines, _| lines.len() > 1000);
    assert!(fake.is_in_trouble());
}

#[test]
fn an_entry_that_is_too_long_is_skipped_and_counted_and_a_long_message_is_cut() {
    let huge = "head -c 3000000 /dev/zero | tr '\\0' x";
    let long = entry(1).replace("m1", &"y".repeat(2 * MAX_LINE));
    let script = format!(
        "{huge}\necho\ncat <<'END'\n{long}\nEND\necho '{}'\nexec sleep 60",
        entry(2)
    );
    let mut fake = Fake::new(&script, &Positions::default());
    let lines = fake.read_until(|lines, _| lines.len() >= 3);
    let lengths: Vec<(usize, bool)> = lines.iter().map(|(line, cut)| (line.len(), *cut)).collect();
    assert_eq!(lengths, [(0, true), (MAX_LINE, true), (5, false)]);
}

#[test]
fn another_agent_reads_from_what_is_too_old_to_matter_on_and_knows_what_was_read_before() {
    let mut first = Fake::new(&format!("echo '{}'\nexec sleep 60", entry(1)), &Positions::default());
    assert_eq!(first.lines(1), ["a: m1"]);
    let told = first.journal.positions();
    assert!(first.journal.positions().is_empty(), "nothing new");
    let positions: Positions = told.into_iter().collect();
    let entries = format!("echo '{}'\necho '{}'\nexec sleep 60", entry(1), entry(2));
    let mut second = Fake::new(&entries, &positions);
    assert_eq!(second.lines(2), ["again: a: m1", "a: m2"]);
    assert_eq!(second.journal.positions().len(), 1);
    let mut third = Fake::new(&format!("echo '{}'\nexec sleep 60", entry(1)), &positions);
    assert_eq!(third.lines(1), ["again: a: m1"]);
    assert!(third.journal.positions().is_empty(), "it goes not back");
    let started = |fake: &Fake| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while fake.arguments().is_empty() {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        fake.arguments().remove(0)
    };
    assert!(started(&second).contains("--since=@"));
}

#[test]
fn the_child_ends_with_its_journal() {
    let mut fake = Fake::new("echo $$ > \"$(dirname $0)/pid\"\nexec sleep 600", &Positions::default());
    let pid = fake.folder.path().join("pid");
    fake.read_until(|_, _| fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n')));
    let pid = fs::read_to_string(&pid).unwrap();
    let process = Path::new("/proc").join(pid.trim());
    assert!(process.exists());
    drop(fake);
    assert!(!process.exists());
}

#[test]
fn the_signal_to_stop_wakes() {
    let mut fake = Fake::new("exec sleep 600", &Positions::default());
    fake.read_until(|_, journal| journal.child.is_some());
    fake.journal.stop.stop();
    let start = Instant::now();
    while fake.journal.wait().unwrap() != Woken::Stop {}
    assert!(start.elapsed() < PATROL);
}
