//! Where another agent begins, whatever has happened to the log since, and while it begins.

use super::*;

#[test]
fn another_agent_reads_what_was_written_meanwhile_and_no_line_twice() {
    let mut log = Log::new("", 0);
    log.append("one\ntwo\nthr");
    assert_eq!(log.lines(), ["one", "two"]);
    log.restarted(|log| log.append("ee\nfour\n"));
    assert_eq!(log.lines(), ["three", "four"]);
    log.restarted(|_| {});
    assert!(log.lines().is_empty());
}

#[test]
fn another_agent_reads_the_rest_of_a_file_that_was_rotated_meanwhile() {
    let rotations: [fn(&Log, &str); 2] = [|log, name| log.rename(name), |log, name| log.copy_truncate(name)];
    for rotate in rotations {
        let mut log = Log::new("", 0);
        log.append("a line long enough\n");
        assert_eq!(log.lines(), ["a line long enough"]);
        log.restarted(|log| {
            log.append("two\n");
            rotate(log, "mail.log.1");
            log.append("three\n");
            rotate(log, "mail.log.0");
            log.append("four\n");
        });
        assert_eq!(log.lines(), ["two", "three", "four"]);
        // Nothing of it comes again to a third one, even if the second ended in the middle.
        log.restarted(|_| {});
        assert!(log.lines().is_empty());
    }
}

#[test]
fn an_agent_that_ends_within_the_rest_of_a_rotated_file_goes_on_there() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\n");
    assert_eq!(log.lines(), ["a line long enough"]);
    let rest: String = (0..20_000).map(|n| format!("rest {n}\n")).collect();
    log.restarted(|log| {
        log.append(&rest);
        log.copy_truncate("mail.log.1");
        log.append("last\n");
    });
    let mut read = 0;
    while read == 0 {
        let mut each = |_: RawLine<'_>, again: bool| read += usize::from(!again);
        let _ = log.tail.read(log.start, &mut each).unwrap();
    }
    assert!((1..20_000).contains(&read), "{read}");
    log.restarted(|_| {});
    let lines = log.lines();
    assert_eq!(lines.len() + read, 20_001);
    assert_eq!(lines[0], format!("rest {read}"));
}

#[test]
fn a_line_that_was_cut_is_not_taken_for_two_by_another_agent() {
    let mut log = Log::new("", 0);
    log.append(&"x".repeat(3 * MAX_LINE));
    assert_eq!(log.lines().len(), 1);
    log.restarted(|log| log.append("xx\nnext\n"));
    assert_eq!(log.lines(), ["next"]);
}

#[test]
fn another_file_by_the_same_number_is_not_the_one_that_was_read() {
    let mut log = Log::new("", 0);
    log.append("one\n");
    assert_eq!(log.lines(), ["one"]);
    log.restarted(|log| fs::write(log.path("mail.log"), "xyz\ntwo\n").unwrap());
    assert_eq!(log.lines(), ["xyz", "two"]);
}

#[test]
fn all_that_was_not_read_yet_is_read_however_much_it_is() {
    let mut log = Log::new("one\ntwo\n", 100);
    assert_eq!(log.lines(), ["one", "two"]);
    let position = log.tail.position().unwrap();
    log.append("three\nfour\nfive\n");
    log.tail = tail(&log.path("mail.log"), &position.places(), 4);
    let again: Vec<(String, bool)> = log.all_lines_at(0);
    let lines: Vec<&str> = again.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(lines, ["two", "three", "four", "five"], "four bytes are read again");
    // Nor of a file that came to the path since.
    log.rename("mail.log.1");
    log.append("six\nseven\n");
    log.tail = tail(&log.path("mail.log"), &position.places(), 4);
    assert_eq!(log.lines(), ["three", "four", "five", "six", "seven"]);
}

#[test]
fn a_copy_that_is_being_made_when_reading_begins_is_not_read_beside_the_log() {
    let all = "a line long enough\ntwo\n";
    for made in [0, 7, all.len()] {
        let mut log = Log::new("", 0);
        log.append("a line long enough\n");
        assert_eq!(log.lines(), ["a line long enough"]);
        log.restarted(|log| {
            log.append("two\n");
            log.append_to("mail.log.1", &all.as_bytes()[..made]);
        });
        log.append_to("mail.log.1", &all.as_bytes()[made..]);
        assert_eq!(log.lines(), ["two"], "{made} bytes were copied");
        log.append("three\n");
        log.copy_truncate("mail.log.1");
        log.append("a line after that\n");
        assert_eq!(log.lines(), ["three", "a line after that"], "{made} bytes were copied");
    }
}

#[test]
fn a_log_that_is_truncated_while_reading_begins_is_read_once() {
    let mut log = Log::new("", 0);
    let text: String = (0..30_000).map(|n| format!("{n} a line\n")).collect();
    log.append(&text);
    assert_eq!(log.lines().len(), 30_000);
    let places = log.tail.position().unwrap().places();
    log.append("two\n");
    // Its dates are asked for once it is known up to where it was read, and before the files beside it are looked at.
    let mut is_rotated = false;
    let mut date_of = |_: &[u8]| {
        if !std::mem::replace(&mut is_rotated, true) {
            log.copy_truncate("mail.log.1");
            log.append("a line after that\n");
        }
        None
    };
    let path = log.path("mail.log");
    let tail = Tail::new(&path, known(&places), back(1 << 20), Others::Read, &mut date_of).unwrap();
    log.tail = tail;
    let lines = log.all_lines_at(0);
    let unread: Vec<&str> = lines
        .iter()
        .filter_map(|(line, again)| (!again).then_some(line.as_str()))
        .collect();
    assert_eq!(unread, ["two", "a line after that"]);
    assert_eq!(lines.len(), 30_002, "what was read is read again once");
}

#[test]
fn what_is_still_to_be_read_again_when_the_log_is_truncated_is_read_from_the_copy() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\n");
    assert_eq!(log.lines(), ["a line long enough"]);
    log.restarted(|log| log.append("two\n"));
    log.copy_truncate("mail.log.1");
    log.append("a line after that\n");
    let expected = [
        ("a line long enough", true),
        ("two", false),
        ("a line after that", false),
    ];
    assert_eq!(
        log.all_lines_at(0),
        expected.map(|(line, again)| (line.to_owned(), again))
    );
}

#[test]
fn what_was_filled_and_rotated_while_no_agent_ran_was_read_by_nobody() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\n");
    assert_eq!(log.lines(), ["a line long enough"]);
    log.copy_truncate("mail.log.1");
    log.written_at("mail.log.1", 1);
    assert!(log.lines().is_empty());
    log.restarted(|log| {
        log.append("nobody has read it\n");
        log.copy_truncate("mail.log.2");
        log.written_at("mail.log.2", 2);
        log.append("a line after that\n");
    });
    assert_eq!(log.lines(), ["nobody has read it", "a line after that"]);
}

#[test]
fn what_was_read_while_nothing_was_at_the_path_is_known_to_another_agent() {
    let mut log = Log::new("", 0);
    log.append("a line long enough\n");
    log.rename("mail.log.1");
    log.tail = tail(&log.path("mail.log"), &[], 1 << 20);
    assert_eq!(log.lines(), ["a line long enough"]);
    log.restarted(|_| {});
    assert!(log.lines().is_empty());
}

#[test]
fn a_log_that_is_renamed_while_reading_begins_is_read_before_what_came_after_it() {
    let mut log = Log::new("", 0);
    let text: String = (0..30_000).map(|n| format!("{n} a line\n")).collect();
    log.append(&text);
    assert_eq!(log.lines().len(), 30_000);
    let places = log.tail.position().unwrap().places();
    let mut is_rotated = false;
    let mut date_of = |_: &[u8]| {
        if !std::mem::replace(&mut is_rotated, true) {
            log.rename("mail.log.1");
            log.append("a line after that\n");
            log.rename("mail.log.2");
            log.append("and one after that\n");
        }
        None
    };
    let path = log.path("mail.log");
    let tail = Tail::new(&path, known(&places), back(1 << 20), Others::Read, &mut date_of).unwrap();
    log.tail = tail;
    assert_eq!(log.lines(), ["a line after that", "and one after that"]);
}
