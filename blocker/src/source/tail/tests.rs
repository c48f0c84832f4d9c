use std::fs::{self, OpenOptions};
use std::io::Write as _;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

struct Log {
    folder: TempDir,
    tail: Tail,
    start: Instant,
}

impl Log {
    fn new(content: &str, begin: Begin) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mail.log");
        fs::write(&path, content).unwrap();
        let tail = Tail::new(&path, begin).unwrap();
        Self {
            folder,
            tail,
            start: Instant::now(),
        }
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

    /// Everything there is to read, `seconds` after the start.
    fn lines_at(&mut self, seconds: u64) -> Vec<String> {
        let now = self.start + Duration::from_secs(seconds);
        let mut lines = Vec::new();
        while self
            .tail
            .read(now, |line| lines.push(String::from_utf8_lossy(line).into_owned()))
            .unwrap()
            .more
        {}
        lines
    }

    fn lines(&mut self) -> Vec<String> {
        self.lines_at(0)
    }
}

#[test]
fn a_line_is_handed_on_once_it_is_whole() {
    let mut log = Log::new("old\n", Begin::End);
    log.append("one\ntw");
    assert_eq!(log.lines(), ["one"]);
    log.append("o\nthree\n");
    assert_eq!(log.lines(), ["two", "three"]);
    assert!(log.lines().is_empty());
}

#[test]
fn what_was_written_before_the_start_is_read_from_a_whole_line_on() {
    assert_eq!(Log::new("one\ntwo\nthree\n", Begin::Before(8)).lines(), ["three"]);
    assert_eq!(Log::new("one\ntwo\nthree\n", Begin::Before(6)).lines(), ["three"]);
    assert_eq!(
        Log::new("one\ntwo\nthree\n", Begin::Before(10)).lines(),
        ["two", "three"]
    );
    assert_eq!(Log::new("one\ntwo\n", Begin::Before(100)).lines(), ["one", "two"]);
}

#[test]
fn after_a_rename_the_rest_of_the_old_file_and_the_new_one_are_read() {
    let mut log = Log::new("", Begin::End);
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
    let mut log = Log::new("", Begin::End);
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
    let mut log = Log::new("", Begin::End);
    log.append("one\ntwo\n");
    assert_eq!(log.lines(), ["one", "two"]);
    fs::write(log.path("mail.log"), "x\n").unwrap();
    assert_eq!(log.lines(), ["x"]);
}

#[test]
fn a_truncated_file_that_has_grown_again_is_read_from_its_beginning() {
    let mut log = Log::new("", Begin::End);
    log.append("one\n");
    assert_eq!(log.lines(), ["one"]);
    fs::write(log.path("mail.log"), "two\nthree\n").unwrap();
    assert_eq!(log.lines(), ["two", "three"]);
}

#[test]
fn a_file_that_appears_later_is_read_from_its_beginning() {
    let mut log = Log::new("", Begin::End);
    fs::remove_file(log.path("mail.log")).unwrap();
    log.tail = Tail::new(&log.path("mail.log"), Begin::End).unwrap();
    assert!(!log.tail.exists());
    assert!(log.lines().is_empty());
    log.append("one\n");
    assert_eq!(log.lines(), ["one"]);
}

#[test]
fn a_line_too_long_is_cut_and_the_next_one_is_whole() {
    let mut log = Log::new("", Begin::End);
    log.append(&format!("{}\nnext\n", "x".repeat(3 * MAX_LINE)));
    let lines = log.lines();
    let lengths: Vec<usize> = lines.iter().map(String::len).collect();
    assert_eq!(lengths, [MAX_LINE, 4]);
}

#[test]
fn a_folder_is_no_log() {
    assert!(Tail::new(Path::new("/tmp"), Begin::End).is_err());
}

#[derive(Clone, Debug)]
enum Step {
    Write(String),
    Rename,
    CopyTruncate,
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => "[a-z]{0,9}\n?".prop_map(Step::Write),
        1 => Just(Step::Rename),
        1 => Just(Step::CopyTruncate),
        4 => Just(Step::Read),
    ]
}

proptest! {
    /// Whatever is written and however it is rotated: every ended line is read exactly once, in order. (What was written between
    /// the last reading and a truncation is gone by the nature of copytruncate, so the model reads before.)
    #[test]
    fn every_line_is_read_exactly_once(steps in proptest::collection::vec(step(), 0..60)) {
        let mut log = Log::new("", Begin::End);
        let (mut written, mut read) = (String::new(), Vec::new());
        for (n, step) in steps.into_iter().enumerate() {
            match step {
                Step::Write(text) => {
                    log.append(&text);
                    written.push_str(&text);
                }
                Step::Rename => {
                    // Writers end their line before they turn to the new file.
                    log.append("\n");
                    written.push('\n');
                    fs::rename(log.path("mail.log"), log.path(&format!("mail.log.{n}"))).unwrap();
                    log.append("");
                    read.extend(log.lines());
                }
                Step::CopyTruncate => {
                    log.append("\n");
                    written.push('\n');
                    read.extend(log.lines());
                    OpenOptions::new().write(true).truncate(true).open(log.path("mail.log")).unwrap();
                    read.extend(log.lines());
                }
                Step::Read => read.extend(log.lines()),
            }
        }
        log.append("\n");
        written.push('\n');
        read.extend(log.lines());
        let expected: Vec<&str> = written.strip_suffix('\n').unwrap().split('\n').collect();
        prop_assert_eq!(read, expected);
    }
}
