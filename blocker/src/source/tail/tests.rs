mod beginning;
mod brought_back;
mod copies;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::time::SystemTime;

use jiff::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::source::MAX_LINE;
use crate::source::lines::RawLine;

struct Log {
    folder: TempDir,
    tail: Tail,
    start: Instant,
    began: SystemTime,
}

/// So many bytes back, whatever their age.
fn back(bytes: u64) -> ReadBack {
    ReadBack {
        bytes,
        since: Timestamp::UNIX_EPOCH,
    }
}

/// What is known if a former agent has read up to these places.
fn known(places: &[Place]) -> Known<'_> {
    static NOTHING: BTreeSet<FileId> = BTreeSet::new();
    Known { places, held: &NOTHING }
}

fn tail(path: &Path, places: &[Place], bytes: u64) -> Tail {
    Tail::new(path, known(places), back(bytes), Others::Read, &mut |_| None).unwrap()
}

impl Log {
    fn new(content: &str, bytes_back: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mail.log");
        fs::write(&path, content).unwrap();
        Self {
            tail: tail(&path, &[], bytes_back),
            folder,
            start: Instant::now(),
            began: SystemTime::now(),
        }
    }

    /// An agent that knows where it was, and later another one.
    fn restarted(&mut self, while_away: impl FnOnce(&Self)) {
        let position = self.tail.position();
        let text = position.as_ref().map(Position::to_text);
        while_away(self);
        let places = text.map(|text| Position::from_text(&text).unwrap().places());
        self.tail = tail(&self.path("mail.log"), &places.unwrap_or_default(), 1 << 20);
    }

    fn rename(&self, name: &str) {
        fs::rename(self.path("mail.log"), self.path(name)).unwrap();
    }

    fn copy_truncate(&self, name: &str) {
        fs::copy(self.path("mail.log"), self.path(name)).unwrap();
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(self.path("mail.log"))
            .unwrap();
    }

    /// Has a file be last written so many milliseconds after the start: two rotations are never at one time.
    fn written_at(&self, name: &str, milliseconds: u64) {
        let time = self.began + Duration::from_millis(milliseconds);
        File::options()
            .write(true)
            .open(self.path(name))
            .unwrap()
            .set_modified(time)
            .unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append_to(&self, name: &str, text: &[u8]) {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text).unwrap();
    }

    fn append(&self, text: &str) {
        self.append_to("mail.log", text.as_bytes());
    }

    /// Everything there is to read, `seconds` after the start, and whether a former agent has read it before.
    fn all_lines_at(&mut self, seconds: u64) -> Vec<(String, bool)> {
        let now = self.start + Duration::from_secs(seconds);
        let mut lines = Vec::new();
        let mut each = |line: RawLine<'_>, again| lines.push((String::from_utf8_lossy(line.bytes).into_owned(), again));
        while self.tail.read(now, &mut each).unwrap().more {}
        lines
    }

    /// What of it no former agent has read.
    fn lines_at(&mut self, seconds: u64) -> Vec<String> {
        let lines = self.all_lines_at(seconds).into_iter();
        lines.filter_map(|(line, again)| (!again).then_some(line)).collect()
    }

    fn lines(&mut self) -> Vec<String> {
        self.lines_at(0)
    }
}

#[test]
fn a_line_is_handed_on_once_it_is_whole() {
    let mut log = Log::new("old\n", 0);
    log.append("one\ntw");
    assert_eq!(log.lines(), ["one"]);
    log.append("o\nthree\n");
    assert_eq!(log.lines(), ["two", "three"]);
    assert!(log.lines().is_empty());
}

#[test]
fn what_was_written_before_the_start_is_read_from_a_whole_line_on() {
    assert_eq!(Log::new("one\ntwo\nthree\n", 8).lines(), ["three"]);
    assert_eq!(Log::new("one\ntwo\nthree\n", 6).lines(), ["three"]);
    assert_eq!(Log::new("one\ntwo\nthree\n", 10).lines(), ["two", "three"]);
    assert_eq!(Log::new("one\ntwo\n", 100).lines(), ["one", "two"]);
}

#[test]
fn after_a_rename_the_rest_of_the_old_file_and_the_new_one_are_read() {
    let mut log = Log::new("", 0);
    log.append("one\n");
    assert_eq!(log.lines(), ["one"]);
    fs::rename(log.path("mail.log"), log.path("mail.log.1")).unwrap();
    log.append_to("mail.log.1", b"two\n");
    log.append("three\n");
    assert_eq!(log.lines(), ["two", "three"]);
    // The writer has not noticed yet.
    log.append_to("mail.log.1", b"four\n");
    assert_eq!(log.lines(), ["four"]);
}

#[test]
fn a_rotated_file_is_let_go_after_it_was_quiet_for_long() {
    let mut log = Log::new("", 0);
    fs::rename(log.path("mail.log"), log.path("mail.log.1")).unwrap();
    log.append("one\n");
    assert_eq!(log.lines_at(0), ["one"]);
    log.append_to("mail.log.1", b"unended");
    assert!(log.lines_at(59).is_empty());
    assert_eq!(log.lines_at(59 + 60), ["unended"]);
    log.append_to("mail.log.1", b"too late\n");
    assert!(log.lines_at(120).is_empty());
}

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let mut log = Log::new("", 0);
    log.append("one\ntwo\n");
    assert_eq!(log.lines(), ["one", "two"]);
    fs::write(log.path("mail.log"), "x\n").unwrap();
    assert_eq!(log.lines(), ["x"]);
}

#[test]
fn a_truncated_file_that_has_grown_again_is_read_from_its_beginning() {
    let mut log = Log::new("", 0);
    log.append("one\n");
    assert_eq!(log.lines(), ["one"]);
    fs::write(log.path("mail.log"), "two\nthree\n").unwrap();
    assert_eq!(log.lines(), ["two", "three"]);
}

#[test]
fn a_file_that_appears_later_is_read_from_its_beginning() {
    let mut log = Log::new("", 0);
    fs::remove_file(log.path("mail.log")).unwrap();
    log.tail = tail(&log.path("mail.log"), &[], 0);
    assert!(!log.tail.exists());
    assert!(log.lines().is_empty());
    log.append("one\n");
    assert_eq!(log.lines(), ["one"]);
}

#[test]
fn a_line_too_long_is_cut_and_the_next_one_is_whole() {
    let mut log = Log::new("", 0);
    log.append(&format!("{}\nnext\n", "x".repeat(3 * MAX_LINE)));
    let lines = log.lines();
    let lengths: Vec<usize> = lines.iter().map(String::len).collect();
    assert_eq!(lengths, [MAX_LINE, 4]);
}

#[test]
fn a_folder_or_a_device_is_no_log() {
    let on = |path: &str| Tail::new(Path::new(path), known(&[]), back(0), Others::Read, &mut |_| None);
    assert!(on("/tmp").is_err());
    assert!(on("/dev/zero").is_err());
}

#[test]
fn what_a_copy_holds_and_was_not_read_before_the_truncation_is_read_from_the_copy() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\n");
    assert_eq!(log.lines(), ["a line long enough"]);
    log.append("two\n");
    log.copy_truncate("mail.log.1");
    log.append("three\n");
    assert_eq!(log.lines(), ["two", "three"]);
    assert!(log.lines_at(100).is_empty());
}

#[test]
fn files_that_were_there_between_two_looks_are_read_and_old_ones_are_not() {
    let mut log = Log::new("zero\n", 0);
    log.append_to("mail.log.7", b"old\n");
    log.tail = tail(&log.path("mail.log"), &[], 0);
    log.append("one\n");
    log.rename("mail.log.8");
    log.append("two\n");
    log.rename("mail.log.9");
    log.append("three\n");
    log.append_to("mail.log.err", b"another log\n");
    assert_eq!(log.lines(), ["one", "two", "three"]);
    log.append("four\n");
    log.rename("mail.log.99");
    log.append("five\n");
    assert_eq!(log.lines(), ["four", "five"]);
}

#[test]
fn what_is_too_old_to_matter_is_not_read() {
    let minute = |n: i64| Timestamp::from_second(n * 60).unwrap();
    let mut log = Log::new("", 0);
    let text: String = (0..100_000).map(|n| format!("{n} a line\n")).collect();
    log.append(&text);
    let since = ReadBack {
        bytes: u64::MAX,
        since: minute(90_000),
    };
    let mut date_of = |line: &[u8]| {
        let text = String::from_utf8_lossy(line).into_owned();
        text.split(' ').next()?.parse().ok().map(minute)
    };
    log.tail = Tail::new(&log.path("mail.log"), known(&[]), since, Others::Read, &mut date_of).unwrap();
    let lines = log.lines();
    assert!((10_000..50_000).contains(&lines.len()), "{}", lines.len());
    assert_eq!(lines.last().unwrap(), "99999 a line");
}

#[derive(Clone, Debug)]
enum Step {
    Write(String),
    Rename,
    CopyTruncate,
    Restart,
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => "[a-z]{0,9}\n?".prop_map(Step::Write),
        1 => Just(Step::Rename),
        1 => Just(Step::CopyTruncate),
        1 => Just(Step::Restart),
        4 => Just(Step::Read),
    ]
}

proptest! {
    /// Whatever is written, however it is rotated, and whenever the agent is replaced: every ended line is read exactly once, in order,
    /// but for what a former agent has read and the next one reads again; it reads all there is.
    #[test]
    fn every_line_is_read_exactly_once(steps in proptest::collection::vec(step(), 0..60)) {
        let mut log = Log::new("", 0);
        let (mut written, mut read) = (String::new(), Vec::new());
        // Whether nothing of the file was read: nobody can tell then that it was truncated and has grown again.
        let mut is_fresh = true;
        for (n, step) in steps.into_iter().enumerate() {
            // By its beginning a file is known, as by dates.
            let text = |text: &str| format!("Jan 01 00:00:{n:02}{text}");
            match step {
                Step::Write(line) => {
                    log.append(&text(&line));
                    written.push_str(&text(&line));
                }
                Step::Rename => {
                    // Writers end their line before they turn to the new file.
                    log.append(&text("\n"));
                    written.push_str(&text("\n"));
                    log.rename(&format!("mail.log.{n:03}"));
                    log.written_at(&format!("mail.log.{n:03}"), n as u64);
                    log.append("");
                    is_fresh = true;
                }
                Step::CopyTruncate => {
                    log.append(&text("\n"));
                    written.push_str(&text("\n"));
                    if is_fresh {
                        read.extend(log.lines());
                    }
                    log.copy_truncate(&format!("mail.log.{n:03}"));
                    log.written_at(&format!("mail.log.{n:03}"), n as u64);
                    is_fresh = true;
                }
                Step::Restart => {
                    read.extend(log.lines());
                    log.restarted(|_| {});
                    is_fresh &= log.path("mail.log").metadata().unwrap().len() == 0;
                }
                Step::Read => {
                    read.extend(log.lines());
                    is_fresh &= log.path("mail.log").metadata().unwrap().len() == 0;
                }
            }
        }
        log.append("\n");
        written.push('\n');
        read.extend(log.lines());
        let expected: Vec<&str> = written.strip_suffix('\n').unwrap().split('\n').collect();
        prop_assert_eq!(&read, &expected);
        log.restarted(|_| {});
        let again: Vec<String> = log.all_lines_at(0).into_iter().map(|(line, _)| line).collect();
        prop_assert_eq!(again, expected);
    }
}
