//! SPF records: any text, as whoever controls a domain may publish it.
//!
//! What a record lists is never dropped. So nothing may be listed that it does not say, and it can be only so much.
#![no_main]

use blocker::dns::spf::record::{Lengths, Record, Term, is_spf};
use libfuzzer_sys::fuzz_target;

/// Terms of one record that are read, and the one that it may be redirected to.
const MOST: usize = 513;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let text = format!("v=spf1 {text}");
    assert!(is_spf(&text));
    let record = Record::parse(&text);
    assert!(record.terms.len() <= MOST && record.warnings.len() <= MOST, "not bounded");
    assert!(record.warnings.iter().all(|warning| !warning.is_empty()), "left out without a word");
    for term in &record.terms {
        is_said(term, &text);
    }
    let shouted = Record::parse(&text.to_ascii_uppercase());
    assert_eq!(record.terms, shouted.terms, "capitals mean something");
    let wide = Record::parse(&text.replace(' ', "   "));
    assert_eq!(record.terms, wide.terms, "blanks mean something");
});

/// A word of the record says so, and does not say no.
fn is_said(term: &Term, text: &str) {
    let text = text.to_ascii_lowercase();
    let mut words = text.split(' ').map(|word| word.strip_prefix('+').unwrap_or(word));
    let has = match term {
        Term::Asks => true,
        Term::Network(network) => {
            assert_eq!(*network, network.trunc(), "not where the network begins");
            words.any(|word| word.starts_with("ip4:") || word.starts_with("ip6:"))
        }
        Term::Record(name) => words.any(|word| {
            let said = word.strip_prefix("include:").or_else(|| word.strip_prefix("redirect="));
            said.is_some_and(|said| said.strip_suffix('.').unwrap_or(said) == name.as_str())
        }),
        Term::Addresses(name, lengths) => is_within(*lengths) && words.any(|word| names(word, "a", name.as_ref())),
        Term::Exchanges(name, lengths) => is_within(*lengths) && words.any(|word| names(word, "mx", name.as_ref())),
    };
    assert!(has, "the record does not say {term:?}");
}

fn is_within(Lengths { v4, v6 }: Lengths) -> bool {
    v4 <= 32 && v6 <= 128
}

/// Whether a word is this mechanism, for this name or for none.
fn names(word: &str, mechanism: &str, name: Option<&blocker::dns::HostName>) -> bool {
    let Some(rest) = word.strip_prefix(mechanism) else {
        return false;
    };
    let rest = rest.split('/').next().unwrap_or_default();
    match name {
        None => rest.is_empty(),
        Some(name) => rest
            .strip_prefix(':')
            .is_some_and(|said| said.strip_suffix('.').unwrap_or(said) == name.as_str()),
    }
}
