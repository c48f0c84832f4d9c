//! Which failregexes an attacker can lead past his own address, to have another's banned.
//!
//! Names, HELOs, senders and users in a log line are the client's own words. An expression that may begin anywhere, or that has a `.*`
//! before the address, can find in them the address that the client chose (CVE-2013-7176, CVE-2013-7177). So for each
//! expression a line is made that an honest server might write, with such words in it, and given to the filter itself: where it
//! blames the address in the words, it is warned of, with that line as the proof. A filter that is not warned of is not proved
//! safe.

mod sample;

use std::net::IpAddr;
use std::sync::Arc;

use self::sample::{Piece, Sample};
use super::Filter;
use super::date::Cut;
use super::identity::Identity;
use super::matcher::{Matcher, Search};
use crate::problem::Problem;

/// The client, and whom he would like to be banned: addresses for documentation, RFC 5737.
const CLIENT: &str = "192.0.2.4";
const VICTIM: &str = "198.51.100.9";
/// Signs of an expression that are shown.
const SHOWN: usize = 120;
/// What servers log of a client before they come to his words.
const BEFORE_WORDS: [&str; 3] = [
    " relay postfix/smtpd[12]: NOQUEUE: reject: RCPT from unknown[192.0.2.4]: 550 5.1.1 <x@y.example>: Recipient address rejected; helo=<",
    " relay postfix/cleanup[12]: 4F2: message-id=<",
    " relay sshd[12]: Invalid user ",
];

/// Warns of the failregexes, and of the prefregex, that can be led astray.
#[must_use]
pub fn warnings(filter: &Arc<Filter>) -> Vec<Problem> {
    if filter.max_lines > 1 {
        return Vec::new();
    }
    let prefix = filter.prefregex().map(|regex| (regex, Sample::of(&regex.pattern)));
    let mut found = Vec::new();
    if let Some((regex, Some(sample))) = &prefix {
        // Either the prefix holds the address, or the text that it leaves does.
        let samples = filter.failregex.iter().filter_map(|regex| Sample::of(&regex.pattern));
        let mut samples = samples.filter(|inner| inner.has_address() || sample.has_address());
        let [client, victim] = samples.next().map_or_else(Default::default, |inner| {
            [CLIENT, VICTIM].map(|address| inner.text(address, ""))
        });
        let client = Fill {
            address: CLIENT,
            content: &client,
        };
        let victim = Fill {
            address: VICTIM,
            content: &victim,
        };
        let lines = candidates(sample, client, victim);
        let proven = lines.into_iter().find_map(|led| led.proven(filter, None));
        found.extend(proven.map(|led| led.problem("prefregex", regex)));
    }
    let around = |content: &str| match &prefix {
        Some((_, Some(sample))) => sample.text(CLIENT, content),
        _ => content.to_owned(),
    };
    for (n, regex) in filter.failregex.iter().enumerate() {
        let Some(sample) = Sample::of(&regex.pattern).filter(Sample::has_address) else {
            continue;
        };
        let fill = |address| Fill { address, content: "" };
        let lines = candidates(&sample, fill(CLIENT), fill(VICTIM))
            .into_iter()
            .map(|led| Led {
                line: around(&led.line),
                ..led
            });
        let proven = lines.into_iter().find_map(|led| led.proven(filter, Some(n)));
        found.extend(proven.map(|led| led.problem("failregex", regex)));
    }
    found
}

/// The end of a long expression: its beginning is mostly the same for all of a filter's.
fn shortened(text: &str) -> String {
    let len = text.chars().count();
    if len <= SHOWN {
        return text.to_owned();
    }
    let end: String = text.chars().skip(len - SHOWN).collect();
    format!("…{end}")
}

/// A text in which nothing can steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .collect()
}

/// A line that may lead an expression astray.
struct Led {
    line: String,
    way: Way,
}

/// How the client's words come to be read as the server's.
#[derive(Clone, Copy)]
enum Way {
    /// The expression may begin anywhere in the line.
    Unanchored,
    /// A repetition before the address reaches over it.
    Past,
    /// The same, if such a line can end in the client's words, which the expression itself does not say.
    PastAtEnd,
    /// A repetition before the address gives way to what comes first.
    Before,
}

/// What stands in a sample's gaps.
#[derive(Clone, Copy)]
struct Fill<'a> {
    address: &'a str,
    /// What a prefregex leaves.
    content: &'a str,
}

/// The lines that are worth a try: what the server writes of the client, and what the client would like it to have written of the
/// victim.
fn candidates(sample: &Sample, client: Fill<'_>, victim: Fill<'_>) -> Vec<Led> {
    let mut lines = Vec::new();
    let from = |piece, fill: Fill<'_>| sample.text_from(piece, fill.address, fill.content);
    if let Some(begin) = sample.begins_anywhere() {
        lines.extend(BEFORE_WORDS.map(|before| Led {
            line: format!("{before}{}", from(begin, victim)),
            way: Way::Unanchored,
        }));
    }
    let honest = from(0, client);
    for (at, piece) in sample.pieces.iter().enumerate() {
        let Piece::Repeated { least, accepts } = piece else {
            let whole = matches!(piece, Piece::Address) || (matches!(piece, Piece::Content) && !sample.has_address());
            if whole {
                break;
            }
            continue;
        };
        let takes = |words: &str| accepts.as_ref().is_some_and(|accepts| accepts.is_match(words));
        let (own, other) = (from(at + 1, client), from(at + 1, victim));
        // Where the failregexes hold the address, what leads them astray is theirs to be warned of.
        if sample.has_address() || takes(&format!("{least}{own} ")) {
            let open = sample.may_be_followed_by(&format!(" {other}"));
            lines.push(Led {
                line: format!("{honest} {other}"),
                way: if open { Way::Past } else { Way::PastAtEnd },
            });
        }
        let words = format!("{least}{other} ");
        if takes(&words) {
            let before = sample.text_to(at, client.address, client.content);
            lines.push(Led {
                line: format!("{before}{words}{own}"),
                way: Way::Before,
            });
        }
    }
    lines
}

impl Led {
    /// The line, if the filter blames the victim for it. `failregex` says by which expression.
    fn proven(self, filter: &Arc<Filter>, failregex: Option<usize>) -> Option<Self> {
        let victim: IpAddr = VICTIM.parse().ok()?;
        let mut matcher = Matcher::new(Arc::clone(filter), Search::All);
        let cut = Cut {
            before: "",
            after: &self.line,
            time: None,
            template: None,
        };
        let blamed =
            matcher.apply(&cut).hits.into_iter().any(|hit| {
                failregex.is_none_or(|n| hit.failregex == n) && hit.identity == Some(Identity::Address(victim))
            });
        blamed.then_some(self)
    }

    fn problem(self, key: &str, regex: &super::Regex) -> Problem {
        let hint = match self.way {
            Way::Unanchored => {
                "anchor it: begin it with `^` and spell out what the line begins with, up to the address"
            }
            Way::Past => {
                "write what cannot reach past an address, such as `[^\\[\\]]*`, in the place of `.*` before it"
            }
            Way::PastAtEnd => {
                "it holds only while nothing that a client says can stand at the end of such a line; to be sure, write what cannot \
                 reach past an address, such as `[^\\[\\]]*`, in the place of `.*` before it"
            }
            Way::Before => {
                "write what the server puts there, or what cannot hold an address, such as `[^\\[\\]]*`, in the place of `.*` before it"
            }
        };
        Problem {
            place: regex.place.clone(),
            what: format!(
                "{key} `{}` can be led astray: a client at {CLIENT} who gets the line `{}` logged has {VICTIM} banned in his place",
                shortened(&regex.text),
                printable(&self.line)
            ),
            hint: hint.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
