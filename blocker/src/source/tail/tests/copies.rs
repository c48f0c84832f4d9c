//! Copies of a log that are there when it is rotated: each line comes once, from wherever.

use super::*;

#[test]
fn a_copy_that_was_empty_when_it_was_seen_is_looked_at_again() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\n");
    assert_eq!(log.lines(), ["a line long enough"]);
    log.rename("mail.log.0");
    log.append("another line, long enough\n");
    log.append_to("mail.log.1", b"");
    assert_eq!(log.lines(), ["another line, long enough"]);
    log.append_to("mail.log.1", b"what nobody has read\n");
    log.rename("mail.log.2");
    log.append("a line after that\n");
    assert_eq!(log.lines(), ["what nobody has read", "a line after that"]);
}

#[test]
fn a_copy_of_what_is_still_to_be_read_is_no_other_file() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\n");
    assert_eq!(log.lines(), ["a line long enough"]);
    log.rename("mail.log.0");
    log.append("another line, long enough\n");
    fs::copy(log.path("mail.log"), log.path("mail.log.1")).unwrap();
    assert_eq!(log.lines(), ["another line, long enough"]);
    log.copy_truncate("mail.log.1");
    log.append("a line after that\n");
    assert_eq!(log.lines(), ["a line after that"]);
}

#[test]
fn a_copy_that_lacks_what_was_read_before_the_truncation_is_not_read_again() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\n");
    fs::copy(log.path("mail.log"), log.path("mail.log.1")).unwrap();
    log.append("two\n");
    assert_eq!(log.lines(), ["a line long enough", "two"]);
    File::create(log.path("mail.log")).unwrap();
    log.append("a line after that\n");
    assert_eq!(log.lines(), ["a line after that"]);
}

#[test]
fn the_rest_is_read_from_the_copy_and_not_from_another_log_that_begins_alike() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\n");
    assert_eq!(log.lines(), ["a line long enough"]);
    log.append_to("mail.info", b"a line long enough\ninfo only\nand more of it\n");
    log.append("two\n");
    log.copy_truncate("mail.log.1");
    assert_eq!(log.lines(), ["two"]);
}

#[test]
fn a_log_that_was_truncated_and_filled_before_it_was_renamed_is_read_to_its_end() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\n");
    assert_eq!(log.lines(), ["a line long enough"]);
    // Between the look at the file and the one at its path.
    log.copy_truncate("mail.log.1");
    log.append("a line after that\n");
    log.rename("mail.log.2");
    log.append("and one after that\n");
    let mut lines = Vec::new();
    let mut each = |line: RawLine<'_>, _| lines.push(String::from_utf8_lossy(line.bytes).into_owned());
    assert!(log.tail.follow(log.start).unwrap());
    while log.tail.read(log.start, &mut each).unwrap().more {}
    assert_eq!(lines, ["a line after that", "and one after that"]);
}
