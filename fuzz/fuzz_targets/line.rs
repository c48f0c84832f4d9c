//! Log lines: any bytes through every compiled-in filter.
//!
//! A line's words are the client's. They must not make a filter panic, and whom a filter blames must stand in the line, or in an
//! earlier one of the same session: an address that nobody wrote would be somebody else's.
#![no_main]

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use blocker::config::{self, Folder};
use blocker::filter::Filter;
use blocker::filter::date::DateReader;
use blocker::filter::identity::Identity;
use blocker::filter::matcher::{Hit, Matcher, Search};
use blocker::filter::parameters::Named;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;

/// The filters with all their modes; the first one is what a filter does unasked.
const FILTERS: [(&str, &[&str]); 6] = [
    (
        "postfix",
        &[
            "more",
            "normal",
            "rbl",
            "auth",
            "extra",
            "ddos",
            "errors",
            "abuse",
            "aggressive",
            "spam",
            "unknown",
        ],
    ),
    ("dovecot", &["normal", "aggressive"]),
    ("exim", &["normal", "rbl", "aggressive"]),
    ("sendmail", &["normal", "rbl", "aggressive", "ddos"]),
    ("opensmtpd", &["normal", "aggressive"]),
    ("rspamd", &["normal"]),
];
const MAX_LINES: usize = 20;
/// The longest way to write an address, RFC 4291, 2.2.
const MAX_ADDRESS: usize = 45;

static ALL: LazyLock<Vec<Arc<Filter>>> = LazyLock::new(|| {
    let named = FILTERS
        .iter()
        .flat_map(|(name, modes)| modes.iter().map(move |mode| (*name, *mode)));
    named.map(|(name, mode)| compiled(name, mode)).collect()
});

fn compiled(name: &str, mode: &str) -> Arc<Filter> {
    let named = Named {
        name: name.to_owned(),
        parameters: vec![("mode".to_owned(), mode.to_owned())],
    };
    let filter = Filter::compile_partial(config::filter(Folder::CompiledIn, &named));
    Arc::new(filter.unwrap_or_else(|problems| panic!("{name}[mode={mode}]: {problems}")))
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<&str> = text.split('\n').take(MAX_LINES).collect();
    for filter in ALL.iter() {
        let mut dates = DateReader::new(Arc::clone(filter.dates()), TimeZone::UTC);
        let mut matcher = Matcher::new(Arc::clone(filter), Search::All);
        for (n, line) in lines.iter().enumerate() {
            let found = matcher.apply(&dates.cut(line, Timestamp::UNIX_EPOCH));
            for hit in &found.hits {
                check(filter, hit, &lines[..=n]);
            }
        }
    }
});

/// `lines` end with the one of the hit.
fn check(filter: &Filter, hit: &Hit, lines: &[&str]) {
    assert!(hit.failregex < filter.failregex().len());
    let in_session = hit.facts.text("mlfid").is_some();
    let earliest = if in_session { 0 } else { lines.len() - 1 };
    let named = match &hit.identity {
        Some(Identity::Address(address)) => Some(*address),
        _ => None,
    };
    for address in named.into_iter().chain(hit.address) {
        assert!(
            lines[earliest..].iter().any(|line| has(line, address)),
            "{}: nobody wrote {address}",
            filter.name()
        );
    }
}

/// Whether the address stands in the line, in whatever form.
fn has(line: &str, address: IpAddr) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || b":.".contains(byte);
    let bytes = line.as_bytes();
    (0..bytes.len()).any(|start| {
        let parts = bytes[start..].iter().take(MAX_ADDRESS);
        let len = parts.take_while(|byte| is_part(byte)).count();
        // All of it is ASCII, so it can be cut anywhere.
        (2..=len).any(|len| {
            let read = line[start..start + len].parse::<IpAddr>();
            read.is_ok_and(|read| read.to_canonical() == address)
        })
    })
}
