//! What is kept of a line for whoever asks later why a host is banned.

use std::sync::Arc;

use jiff::Timestamp;

use crate::ban::Evidence;
use crate::ban::evidence::beginning;
use crate::filter::Filter;

/// Made for the first failure in a line, since nearly all lines have none, and shared by the others.
pub(super) struct Kept<'a> {
    text: &'a str,
    beginning: Option<Arc<str>>,
}

impl<'a> Kept<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, beginning: None }
    }

    /// That one of the filter's failregexes, by its index, has found something in it.
    pub(super) fn evidence(&mut self, filter: &Filter, failregex: usize, time: Timestamp) -> Option<Evidence> {
        let line = self.beginning.get_or_insert_with(|| beginning(self.text));
        Some(Evidence {
            time,
            line: Arc::clone(line),
            number: failregex.try_into().ok()?,
            failregex: Arc::clone(&filter.failregex().get(failregex)?.text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::definition::Definition;

    #[test]
    fn a_line_is_kept_once_for_all_jails_and_not_at_all_without_a_failure() {
        let filter = Filter::compile(&Definition::of_regex("^bad <ADDR>$")).unwrap();
        let mut kept = Kept::new("bad 192.0.2.7");
        assert!(kept.beginning.is_none());
        let mut evidence = || kept.evidence(&filter, 0, Timestamp::UNIX_EPOCH).unwrap();
        let (one, other) = (evidence(), evidence());
        assert!(Arc::ptr_eq(&one.line, &other.line) && Arc::ptr_eq(&one.failregex, &other.failregex));
        assert_eq!(
            kept.evidence(&filter, 1, Timestamp::UNIX_EPOCH),
            None,
            "there is none of this number"
        );
    }
}
