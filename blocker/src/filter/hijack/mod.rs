//! Which failregexes an attacker can lead past his own address, to have another's banned.
//!
//! Names, HELOs, senders and users in a log line are the client's own words. An expression that may begin anywhere, or that has a `.*`
//! before the address, can find in them the address that the client chose (CVE-2013-7176, CVE-2013-7177). So for each
//! expression lines are made that an honest server might write, with such words in them, and given to the filter itself: where it
//! blames the address in the words, it is warned of, with that line as the proof.
//!
//! An expression is read into a tree (`tree`), if need be after what only a search understands is written in plain words (`plain`).
//! Along each way through the tree that has a repetition of its own a text is made (`sample`), and from it the lines (`lead`),
//! which are then really matched (`proof`). An expression for which no line at all can be made that it matches is named as not
//! examined.
//!
//! A filter that is not warned of is not proved safe. Above all nobody but the program that writes the log knows whether what stands in
//! a place can hold blanks, brackets or quotes: a class that takes no blank (`\S+`) or no bracket is trusted to mean it, unless it
//! stands behind a key whose value is for the client to choose, as in `user=\S+`.

mod case;
mod examination;
mod lead;
mod plain;
mod proof;
mod sample;
mod tree;

use std::sync::Arc;

use self::examination::Examination;
use super::Filter;
use crate::problem::Problem;

/// Warns of the failregexes, and of the prefregex, that can be led astray, and names those that were not examined.
#[must_use]
pub fn warnings(filter: &Arc<Filter>) -> Vec<Problem> {
    Examination::new(filter).all()
}

#[cfg(test)]
mod tests;
