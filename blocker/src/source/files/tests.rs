use std::fs::{self, File, OpenOptions};
use std::io::Write as _;

use tempfile::TempDir;

use super::*;
use crate::source::Written;
use crate::source::tail::GRACE;

/// A folder of logs, and what reads them. Time passes only when a test says so.
struct Logs {
    folder: TempDir,
    files: Files,
    stop: Stop,
    now: Instant,
}

type Read = (String, Vec<usize>);

impl Logs {
    /// What these paths find, after `prepare` has written what is there at the start.
    fn new(paths: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let stop = Stop::new().unwrap();
        Self {
            files: files(folder.path(), paths, &Positions::default(), &stop),
            folder,
            stop,
            now: Instant::now(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    /// Waits once, and reads everything there is that no former agent has read.
    fn read(&mut self) -> Vec<Read> {
        assert_eq!(self.files.wait().unwrap(), Woken::Look);
        self.read_at_once()
    }

    fn read_at_once(&mut self) -> Vec<Read> {
        let mut lines = Vec::new();
        let mut each = |line: Line<'_>| {
            if !line.again {
                lines.push((String::from_utf8_lossy(line.bytes).into_owned(), line.logs.to_vec()));
            }
        };
        while self.files.read(self.now, &mut each) {}
        lines
    }

    fn lines(&mut self) -> Vec<String> {
        self.read().into_iter().map(|(line, _)| line).collect()
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Another agent in the place of this one.
    fn restarted(&mut self, paths: &[&str], while_away: impl FnOnce(&Self)) {
        let positions: Positions = self.files.positions().into_iter().collect();
        while_away(self);
        self.files = files(self.folder.path(), paths, &positions, &self.stop);
    }
}

fn files(folder: &Path, paths: &[&str], positions: &Positions, stop: &Stop) -> Files {
    let paths: Vec<PathBuf> = paths.iter().map(|path| folder.join(path)).collect();
    let back = ReadBack {
        bytes: 1 << 20,
        since: Timestamp::UNIX_EPOCH,
    };
    Files::new(&paths, positions, back, stop.clone(), &mut |_| None).unwrap()
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn files_that_appear_later_are_read_from_their_beginning() {
    let mut logs = Logs::new(&["*.log"], |folder| append(&folder.join("a.log"), "a1\n"));
    assert_eq!(logs.lines(), ["a1"]);
    logs.append("b.log", "b1\n");
    logs.append("b.txt", "no\n");
    logs.append("b.log.gz", "no\n");
    assert_eq!(logs.lines(), ["b1"]);
    logs.append("a.log", "a2\n");
    logs.append("b.log", "b2\n");
    assert_eq!(logs.lines(), ["a2", "b2"]);
}

#[test]
fn a_file_that_appears_empty_is_read_as_soon_as_something_is_in_it() {
    let mut logs = Logs::new(&["*.log"], |_| {});
    logs.append("a.log", "");
    assert!(logs.lines().is_empty());
    logs.append("a.log", "one\n");
    let start = Instant::now();
    assert_eq!(logs.lines(), ["one"]);
    assert!(start.elapsed() < PATROL / 2, "inotify did not tell");
}

#[test]
fn folders_that_appear_later_are_looked_into_at_once() {
    let mut logs = Logs::new(&["mail/today/mail.log", "hosts/*/mail.log"], |_| {});
    fs::create_dir_all(logs.path("mail/today")).unwrap();
    fs::create_dir_all(logs.path("hosts/relay")).unwrap();
    logs.append("mail/today/mail.log", "one\n");
    logs.append("hosts/relay/mail.log", "two\n");
    let mut lines = logs.lines();
    lines.sort();
    assert_eq!(lines, ["one", "two"]);
    // And so are those in which files were, and that are made anew.
    fs::remove_dir_all(logs.path("hosts")).unwrap();
    logs.pass(PATROL);
    assert!(logs.lines().is_empty());
    fs::create_dir_all(logs.path("hosts/other")).unwrap();
    logs.append("hosts/other/mail.log", "three\n");
    logs.pass(PATROL);
    assert_eq!(logs.lines(), ["three"]);
}

#[test]
fn a_file_that_several_paths_find_is_read_once_and_is_in_each() {
    let mut logs = Logs::new(&["mail.log", "*.log", "maillog"], |folder| {
        append(&folder.join("mail.log"), "one\n");
        append(&folder.join("other.log"), "two\n");
        std::os::unix::fs::symlink(folder.join("mail.log"), folder.join("maillog")).unwrap();
    });
    let expected = [("one".to_owned(), vec![0, 1, 2]), ("two".to_owned(), vec![1])];
    assert_eq!(logs.read(), expected);
    fs::rename(logs.path("mail.log"), logs.path("mail.old")).unwrap();
    logs.append("mail.log", "three\n");
    assert_eq!(logs.read(), [("three".to_owned(), vec![0, 1, 2])]);
}

#[test]
fn rotated_files_that_wildcards_find_again_are_not_read_again() {
    for pattern in [
        &["mail.log*"][..],
        &["mail.log", "mail.log*"],
        &["mail.log*", "mail.log"],
    ] {
        let rotations: [fn(&Logs, &str); 2] = [
            |logs, name| fs::rename(logs.path("mail.log"), logs.path(name)).unwrap(),
            |logs, name| {
                fs::copy(logs.path("mail.log"), logs.path(name)).unwrap();
                File::create(logs.path("mail.log")).unwrap();
            },
        ];
        for rotate in rotations {
            let mut logs = Logs::new(pattern, |folder| {
                append(&folder.join("mail.log"), "Jan 01 00:00:00 one\n")
            });
            assert_eq!(logs.lines(), ["Jan 01 00:00:00 one"]);
            logs.append("mail.log", "two\n");
            rotate(&logs, "mail.log.1");
            logs.append("mail.log", "Jan 01 00:00:01 three\n");
            let mut lines = logs.lines();
            lines.sort();
            assert_eq!(lines, ["Jan 01 00:00:01 three", "two"], "{pattern:?}");
            for _ in 0..3 {
                logs.pass(GRACE);
                assert_eq!(logs.read_at_once(), [], "{pattern:?}");
            }
            fs::rename(logs.path("mail.log.1"), logs.path("mail.log.2")).unwrap();
            rotate(&logs, "mail.log.1");
            logs.append("mail.log", "Jan 01 00:00:02 four\n");
            assert_eq!(logs.lines(), ["Jan 01 00:00:02 four"], "{pattern:?}");
            logs.pass(GRACE);
            assert_eq!(logs.read_at_once(), [], "{pattern:?}");
        }
    }
}

#[test]
fn a_copy_that_is_being_made_at_the_start_is_not_read_beside_the_log() {
    for pattern in [&["mail.log*"][..], &["mail.log", "mail.log*"]] {
        let mut logs = Logs::new(pattern, |folder| {
            append(&folder.join("mail.log"), "Jan 01 00:00:00 one\n");
            append(&folder.join("mail.log.1"), "");
        });
        fs::copy(logs.path("mail.log"), logs.path("mail.log.1")).unwrap();
        assert_eq!(logs.lines(), ["Jan 01 00:00:00 one"], "{pattern:?}");
        logs.append("mail.log", "two\n");
        fs::copy(logs.path("mail.log"), logs.path("mail.log.1")).unwrap();
        File::create(logs.path("mail.log")).unwrap();
        logs.append("mail.log", "Jan 01 00:00:01 three\n");
        assert_eq!(logs.lines(), ["two", "Jan 01 00:00:01 three"], "{pattern:?}");
    }
}

#[test]
fn a_rotated_log_stays_in_every_path_although_wildcards_do_not_find_its_old_name() {
    let mut logs = Logs::new(&["*.log", "mail.log"], |folder| {
        append(&folder.join("mail.log"), "one\n")
    });
    assert_eq!(logs.read(), [("one".to_owned(), vec![0, 1])]);
    fs::rename(logs.path("mail.log"), logs.path("mail.log.1")).unwrap();
    logs.append("mail.log", "two\n");
    assert_eq!(logs.read(), [("two".to_owned(), vec![0, 1])]);
}

#[test]
fn a_link_that_leads_to_another_log_takes_its_lines_from_there_alone() {
    let link = |folder: &Path, to: &str| {
        let _ = fs::remove_file(folder.join("current"));
        std::os::unix::fs::symlink(folder.join(to), folder.join("current")).unwrap();
    };
    let mut logs = Logs::new(&["*.log", "current"], |folder| {
        append(&folder.join("a.log"), "Jan 01 00:00:00 a1\n");
        append(&folder.join("b.log"), "Jan 01 00:00:00 b1\n");
        link(folder, "a.log");
    });
    assert_eq!(logs.read().len(), 2);
    link(logs.folder.path(), "b.log");
    logs.pass(PATROL);
    logs.append("a.log", "a2\n");
    logs.append("b.log", "b2\n");
    let mut lines = logs.read();
    lines.sort();
    assert_eq!(lines, [("a2".to_owned(), vec![0]), ("b2".to_owned(), vec![0, 1])]);
}

#[test]
fn however_many_rotated_files_a_path_has_read_wildcards_do_not_read_them_again() {
    let mut logs = Logs::new(&["mail.log", "mail.log*"], |folder| {
        for n in 1..13 {
            append(
                &folder.join(format!("mail.log.{n}")),
                &format!("Jan 01 00:00:{n:02} line\n"),
            );
        }
        append(&folder.join("mail.log"), "Jan 01 00:01:00 line\n");
    });
    assert_eq!(logs.read_at_once().len(), 13);
    for _ in 0..3 {
        logs.pass(PATROL);
        assert_eq!(logs.read_at_once(), []);
    }
}

#[test]
fn a_log_is_read_although_a_copy_of_it_comes_first_by_name() {
    let mut logs = Logs::new(&["mail*.log"], |folder| {
        append(&folder.join("mail.log"), "Jan 01 00:00:00 one\n");
        fs::copy(folder.join("mail.log"), folder.join("mail-old.log")).unwrap();
        append(&folder.join("mail.log"), "two\n");
    });
    assert_eq!(logs.lines(), ["Jan 01 00:00:00 one", "two"]);
}

#[test]
fn another_agent_goes_on_in_every_file_by_whatever_name_it_has_now() {
    let mut logs = Logs::new(&["*.log*"], |folder| {
        append(&folder.join("a.log"), "Jan 01 00:00:00 a1\n");
        append(&folder.join("b.log"), "Jan 01 00:00:00 b1\n");
    });
    assert_eq!(logs.lines().len(), 2);
    logs.restarted(&["*.log*"], |logs| {
        logs.append("a.log", "a2\n");
        fs::rename(logs.path("a.log"), logs.path("a.log.1")).unwrap();
        logs.append("a.log", "Jan 01 00:00:01 a3\n");
        logs.append("b.log", "b2\n");
        fs::copy(logs.path("b.log"), logs.path("b.log.1")).unwrap();
        fs::write(logs.path("b.log"), "Jan 01 00:00:02 b3\n").unwrap();
    });
    let mut lines = logs.lines();
    lines.sort();
    assert_eq!(lines, ["Jan 01 00:00:01 a3", "Jan 01 00:00:02 b3", "a2", "b2"]);
}

#[test]
fn another_agent_reads_a_rotated_file_once_although_several_paths_lead_to_it() {
    for paths in [
        &["mail.log", "mail.log.1"][..],
        &["mail.log.1", "mail.log"],
        &["mail.log", "mail.log*"],
        &["mail.log*", "mail.log"],
    ] {
        let mut logs = Logs::new(paths, |folder| {
            append(&folder.join("mail.log.1"), "Jan 01 00:00:00 one\n");
            append(&folder.join("mail.log"), "Jan 01 00:00:01 two\n");
        });
        for agent in 0..2 {
            let mut all = Vec::new();
            for _ in 0..4 {
                let mut each =
                    |line: Line<'_>| all.push((String::from_utf8_lossy(line.bytes).into_owned(), line.again));
                while logs.files.read(logs.now, &mut each) {}
                logs.pass(GRACE);
            }
            all.sort();
            let again = agent > 0;
            let lines = ["Jan 01 00:00:00 one", "Jan 01 00:00:01 two"];
            assert_eq!(all, lines.map(|line| (line.to_owned(), again)), "{paths:?}");
            logs.restarted(paths, |_| {});
        }
    }
}

#[test]
fn only_what_has_changed_is_told_of_positions() {
    let mut logs = Logs::new(&["a.log", "b.log"], |folder| append(&folder.join("a.log"), "a1\n"));
    assert_eq!(logs.lines(), ["a1"]);
    let told = |logs: &mut Logs| -> Vec<String> {
        let positions = logs.files.positions();
        positions.into_iter().map(|(source, _)| source.to_string()).collect()
    };
    assert_eq!(told(&mut logs), [format!("file {}", logs.path("a.log").display())]);
    assert!(told(&mut logs).is_empty());
    logs.append("b.log", "b1\n");
    assert_eq!(logs.lines(), ["b1"]);
    assert_eq!(told(&mut logs), [format!("file {}", logs.path("b.log").display())]);
}

#[test]
fn a_log_that_vanishes_is_missed_after_a_while_and_found_again() {
    let mut logs = Logs::new(&["mail.log", "never.log"], |folder| {
        append(&folder.join("mail.log"), "one\n")
    });
    assert_eq!(logs.lines(), ["one"]);
    fs::remove_file(logs.path("mail.log")).unwrap();
    let trouble = |logs: &Logs| {
        logs.files
            .logs()
            .iter()
            .map(|log| log.trouble.is_some())
            .collect::<Vec<_>>()
    };
    logs.pass(PATROL);
    assert_eq!(logs.read_at_once(), []);
    assert_eq!(trouble(&logs), [false, false], "a rotation takes a moment");
    logs.pass(MISSED);
    assert_eq!(logs.read_at_once(), []);
    assert_eq!(trouble(&logs), [true, false], "one that was never there is not missed");
    logs.append("mail.log", "two\n");
    logs.pass(PATROL);
    assert_eq!(logs.lines(), ["two"]);
    assert_eq!(trouble(&logs), [false, false]);
}

#[test]
fn a_log_that_cannot_be_read_is_in_trouble_and_keeps_no_other_from_being_read() {
    let mut logs = Logs::new(&["mail.log", "other.log"], |folder| {
        fs::create_dir(folder.join("mail.log")).unwrap();
        append(&folder.join("other.log"), "one\n");
    });
    assert_eq!(logs.lines(), ["one"]);
    assert!(logs.files.logs()[0].trouble.is_some() && logs.files.logs()[1].trouble.is_none());
    fs::remove_dir(logs.path("mail.log")).unwrap();
    logs.append("mail.log", "two\n");
    logs.pass(PATROL);
    assert_eq!(logs.lines(), ["two"]);
    assert!(logs.files.logs()[0].trouble.is_none());
}

#[test]
fn lines_are_of_now_once_the_backlog_is_read_and_in_files_that_appear_later() {
    let mut logs = Logs::new(&["*.log"], |folder| append(&folder.join("a.log"), "one\n"));
    let written = |logs: &mut Logs| {
        let mut all = Vec::new();
        logs.files.wait().unwrap();
        while logs.files.read(logs.now, &mut |line| all.push(line.written)) {}
        all
    };
    assert_eq!(written(&mut logs), [Written::Before]);
    logs.append("a.log", "two\n");
    assert_eq!(written(&mut logs), [Written::Now]);
    logs.append("b.log", "three\n");
    assert_eq!(written(&mut logs), [Written::Now]);
}

#[test]
fn no_more_files_are_read_than_there_is_room_for() {
    let mut logs = Logs::new(&["*.log"], |folder| {
        for n in 0..MAX_FILES + 5 {
            append(&folder.join(format!("{n:05}.log")), "line\n");
        }
    });
    assert_eq!(logs.lines().len(), MAX_FILES);
}
