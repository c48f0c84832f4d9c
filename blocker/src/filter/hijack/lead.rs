//! Lines that may lead an expression astray: what the server writes of the client, and in it, in his words, what the client would
//! like it to have written of the victim.

use super::sample::{Fill, Piece, Sample};

/// What takes more than this is taken for endless.
const MAX_FILLING: u32 = 1000;
/// What a client says, where anything will do.
const WORD: &str = "x1";

/// A line that may lead an expression astray.
#[derive(Debug)]
pub(super) struct Led {
    pub(super) line: String,
    pub(super) way: Way,
}

/// How the client's words come to be read as the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The expression may begin anywhere in the line.
    Unanchored,
    /// A repetition before the address reaches over it.
    Past,
    /// The same, if such a line can end in the client's words, which the expression itself does not say.
    PastAtEnd,
    /// A repetition before the address gives way to what comes first.
    Before,
    /// A name that the client chose holds blanks, which the expression does not think of.
    Word,
}

impl Way {
    /// What to do about it.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Unanchored => {
                "anchor it: begin it with `^` and spell out what the line begins with, up to the address"
            }
            Self::Past => {
                "write what cannot reach past an address, such as `[^\\[\\]]*`, in the place of `.*` before it"
            }
            Self::PastAtEnd => {
                "it holds only while nothing that a client says can stand at the end of such a line; to be sure, write what cannot \
                 reach past an address, such as `[^\\[\\]]*`, in the place of `.*` before it"
            }
            Self::Before => {
                "write what the server puts there, or what cannot hold an address, such as `[^\\[\\]]*`, in the place of `.*` before it"
            }
            Self::Word => {
                "such a name may hold blanks; spell out the line behind the address, too, and end the expression with `$`"
            }
        }
    }
}

/// Lines for an expression that may begin at this piece anywhere in a line.
pub(super) fn anywhere(sample: &Sample, begin: usize, client: Fill<'_>, victim: Fill<'_>) -> Vec<Led> {
    let (own, other) = (sample.text(begin.., client), sample.text(begin.., victim));
    let ((own, _), (other, rest)) = (first_line(&own), first_line(&other));
    let Some(target) = sample.target().filter(|target| own != other && *target >= begin) else {
        return Vec::new();
    };
    let begun = sample.text(begin..=target, client);
    // As the server begins its line, and any line in which it speaks of the client.
    let lines = [
        format!("{begun} {other}{rest}"),
        format!(" relay program[12]: the client {} says {other}{rest}", client.address),
    ];
    let way = Way::Unanchored;
    lines.map(|line| Led { line, way }).into()
}

/// Lines for what may be repeated at a piece.
pub(super) fn around(sample: &Sample, at: usize, client: Fill<'_>, victim: Fill<'_>) -> Vec<Led> {
    let Some(Piece::Loose(loose, _)) = sample.pieces.get(at) else {
        return Vec::new();
    };
    let before = sample.text(..at, client);
    let (own, other) = (sample.text(at + 1.., client), sample.text(at + 1.., victim));
    // A client's words have no line breaks.
    let ((own, rest), (other, _)) = (first_line(&own), first_line(&other));
    if own == other {
        return Vec::new();
    }
    let least = &loose.least;
    // An ignoreregex may be meant for lines in which nothing stands here, or the expression itself have no use for them.
    let word = Some(format!("{least}{WORD}")).filter(|word| loose.accepts(word));
    let mut led = Vec::new();
    for least in [least.clone()].into_iter().chain(word) {
        // Where the failregexes hold the address, what leads them astray is theirs to be warned of.
        if sample.has_address() || loose.accepts(&format!("{least}{own} ")) {
            led.push(Led {
                line: format!("{before}{least}{own} {other}{rest}"),
                way: Way::Past,
            });
        }
        let words = format!("{least}{other} ");
        if loose.accepts(&words) {
            // What takes only so much is kept by more from finding the client behind it.
            let more = loose
                .most
                .filter(|most| *most <= MAX_FILLING)
                .map(|most| "x".repeat(most as usize));
            led.extend([String::new()].into_iter().chain(more).map(|more| Led {
                line: format!("{before}{words}{more}{own}{rest}"),
                way: Way::Before,
            }));
        } else if loose.has_words || sample.is_clients_word(at) {
            led.push(Led {
                line: format!("{before}{words}{own}{rest}"),
                way: Way::Word,
            });
        }
    }
    led
}

/// The first line of a text, and what follows, from the line break on.
pub(super) fn first_line(text: &str) -> (&str, &str) {
    text.split_at(text.find('\n').unwrap_or(text.len()))
}
