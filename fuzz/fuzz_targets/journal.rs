//! Entries of the journal: the input is what journalctl writes, and beside that the fields of an entry, with NULs between them.
//!
//! Whoever can log can choose what an entry holds. A filter must see it in one line, as `HOST IDENTIFIER[PID]: MESSAGE`, and whatever
//! journalctl may write, nobody runs out of memory.
#![no_main]

use blocker::source::journal::entry::Entry;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

/// A number in the JSON is at most so many times longer where it is written out.
const GROWTH: usize = 8;
/// What stands around the fields of a line.
const AROUND: usize = 64;

fuzz_target!(|data: &[u8]| {
    if let Some(entry) = Entry::parse(data) {
        assert!(!entry.line.contains('\n'), "more than one line");
        assert!(entry.line.len() <= GROWTH * data.len() + AROUND, "longer than what was written");
    }
    comes_back(data);
});

/// The fields of an entry come back as the line that they are.
fn comes_back(data: &[u8]) {
    let mut fields = data.splitn(4, |byte| *byte == 0);
    let mut next = || fields.next().unwrap_or_default();
    let (host, identifier, pid, message) = (next(), next(), next(), next());
    let json = json!({
        "__CURSOR": "s=1;i=1",
        "__REALTIME_TIMESTAMP": "1795543220973903",
        "_HOSTNAME": as_journalctl(host),
        "SYSLOG_IDENTIFIER": as_journalctl(identifier),
        "_PID": as_journalctl(pid),
        "MESSAGE": as_journalctl(message),
    });
    let entry = Entry::parse(json.to_string().as_bytes()).expect("it is an entry");
    assert_eq!(entry.time.as_microsecond(), 1_795_543_220_973_903);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // The kernel's own lines have a time since the start before the message; here none has.
    let mut line = String::new();
    if !host.is_empty() {
        line += &text(host);
        line.push(' ');
    }
    if !identifier.is_empty() {
        line += &text(identifier);
        if !pid.is_empty() {
            line += &format!("[{}]", text(pid));
        }
        line += ": ";
    }
    line += &text(message);
    assert_eq!(entry.line, line.replace('\n', "\\n"));
}

/// Text as a string; what is none, or holds control characters, as a list of bytes.
fn as_journalctl(field: &[u8]) -> Value {
    match std::str::from_utf8(field) {
        Ok(text) if !text.chars().any(|char| char.is_control() && char != '\n' && char != '\t') => text.into(),
        _ => field.into(),
    }
}
