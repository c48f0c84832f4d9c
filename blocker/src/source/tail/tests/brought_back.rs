//! A file at the path that is not new although it has come there: brought back, or written anew with what it held.

use super::*;

#[test]
fn a_log_that_was_written_anew_with_what_it_held_is_not_read_again() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\ntwo\n");
    assert_eq!(log.lines(), ["a line long enough", "two"]);
    fs::copy(log.path("mail.log"), log.path("new")).unwrap();
    fs::rename(log.path("new"), log.path("mail.log")).unwrap();
    log.append("three\n");
    assert_eq!(log.lines(), ["three"]);
}

#[test]
fn a_log_that_begins_with_the_same_words_every_time_is_new_every_time() {
    let title = "# what this program always begins its log with: its name, its version, its licence, the columns of what comes, and so on\n";
    let mut log = Log::new("", 0);
    log.append(&format!("{title}{title}one\ntwo\n"));
    assert_eq!(log.lines().len(), 4);
    log.rename("mail.log.1");
    log.append(&format!("{title}{title}three\nfour\nfive\n"));
    assert_eq!(log.lines()[2..], ["three", "four", "five"]);
}

#[test]
fn a_log_that_is_brought_back_by_its_name_is_read_once() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\n");
    assert_eq!(log.lines(), ["a line long enough"]);
    log.rename("mail.log.1");
    log.append("another line, long enough\n");
    assert_eq!(log.lines(), ["another line, long enough"]);
    fs::rename(log.path("mail.log.1"), log.path("mail.log")).unwrap();
    log.append("three\n");
    assert_eq!(log.lines(), ["three"]);
}

#[test]
fn rotated_files_stay_known_when_the_folder_cannot_be_read_for_once() {
    let mut log = Log::new("zero\n", 0);
    log.append_to("mail.log.7", b"old\n");
    log.tail = tail(&log.path("mail.log"), &[], 0);
    assert!(log.lines().is_empty());
    let (folder, away) = (log.folder.path().to_owned(), log.folder.path().with_extension("away"));
    fs::rename(&folder, &away).unwrap();
    File::create(&folder).unwrap();
    assert!(log.tail.push_unseen(log.start).is_err());
    fs::remove_file(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    log.append("one\n");
    log.rename("mail.log.8");
    log.append("two\n");
    assert_eq!(log.lines(), ["one", "two"]);
}
