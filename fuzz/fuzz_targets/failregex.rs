//! Regular expressions: any text as a failregex, from fail2ban's tags and Python's language to an engine, and then at work.
//!
//! Behind a NUL may stand a prefregex, and behind another ignoreregexes. With `<SKIPLINES>` anywhere a failure may take three lines.
//! What an operator types is refused or runs; it never panics, be it over lines that have nothing to do with it, over ones that
//! look like it, or when it is asked whether it can be led astray.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use blocker::filter::date::Cut;
use blocker::filter::definition::Definition;
use blocker::filter::matcher::{Matcher, Search};
use blocker::filter::value::Value;
use blocker::filter::{Filter, hijack};
use blocker::problem::Place;
use jiff::Timestamp;
use libfuzzer_sys::{Corpus, fuzz_target};

/// A longer expression finds no other faults, and takes long to compile.
const MAX_LEN: usize = 512;

const LINES: [&str; 6] = [
    "",
    " relay postfix/smtpd[12]: NOQUEUE: reject: RCPT from unknown[192.0.2.4]: 550 5.1.1 <x@y.example>: Recipient rejected",
    " relay dovecot: imap-login: Disconnected (auth failed, 1 attempts): user=<ü>, method=PLAIN, rip=2001:db8::4, lip=::1",
    "host mail.example from [::ffff:192.0.2.4]:25",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
    "\u{feff}é\u{2028}\r\t\u{0}𝕏",
];

fuzz_target!(|data: &[u8]| -> Corpus {
    if data.len() > MAX_LEN {
        return Corpus::Reject;
    }
    let text = String::from_utf8_lossy(data);
    let mut parts = text.split('\0');
    let mut definition = Definition::of_regex(parts.next().unwrap_or_default());
    let lines = text.contains("<SKIPLINES>").then_some(("maxlines", "3"));
    for (key, text) in ["prefregex", "ignoreregex"].into_iter().zip(parts).chain(lines) {
        let place = Place::file(Path::new("fuzz"));
        definition.replace(key, Value::given(&place, text));
    }
    let filter = match Filter::compile(&definition) {
        Ok(filter) => Arc::new(filter),
        Err(problems) => {
            let speaks = problems.0.iter().all(|problem| !problem.what.is_empty());
            assert!(speaks && !problems.0.is_empty(), "refused without a word");
            return Corpus::Keep;
        }
    };
    let _whatever = hijack::warnings(&filter);
    let mut matcher = Matcher::new(Arc::clone(&filter), Search::All);
    let alike = resembling(&text);
    for line in LINES.into_iter().chain(alike.iter().map(String::as_str)) {
        let found = matcher.apply(&Cut::undated(line, Timestamp::UNIX_EPOCH));
        let numbers = found.hits.iter().map(|hit| hit.failregex);
        assert!(numbers.into_iter().all(|n| n < filter.failregex().len()));
    }
    Corpus::Keep
});

/// Lines that the expression may well match: itself, and itself as a line of a log where it is plain enough.
fn resembling(text: &str) -> [String; 2] {
    let tags = ["<HOST>", "<ADDR>", "<IP4>", "<DNS>", "<F-ID/>"];
    let named = tags
        .into_iter()
        .fold(text.to_owned(), |line, tag| line.replace(tag, "192.0.2.4"));
    let plain = named.replace(['\\', '^', '$', '(', ')', '?', '*', '+'], "");
    [text.to_owned(), plain]
}
