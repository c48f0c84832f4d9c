//! The shortest text that an expression matches, in pieces.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::filter::pattern::Pattern;

/// A repetition that may grow to this is taken for one without an end.
const LONG: u32 = 40;
/// Longest text of a repetition that is made.
const MAX_LEN: usize = 64 * 1024;
/// A repetition of which more are needed is left alone.
const MAX_TIMES: u32 = 1000;
/// Pieces of a text; an expression that needs more is left alone.
const MAX_PIECES: usize = 10_000;

/// A text that an expression matches.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) pieces: Vec<Piece>,
    /// Whether the expression begins at the line's beginning.
    is_anchored: bool,
    /// Whether it ends at the line's end.
    ends_line: bool,
}

/// A part of the text.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    /// What may be repeated without an end: the least of it, and what of a text it accepts.
    Repeated {
        least: String,
        accepts: Option<regex::Regex>,
    },
    /// The address of whoever is to blame.
    Address,
    /// What a prefregex leaves for the failregexes.
    Content,
}

impl Sample {
    /// Makes one; none where the expression is beyond what is understood here.
    pub(super) fn of(pattern: &Pattern) -> Option<Self> {
        let plain = without_look_around(pattern.expression());
        let hir = regex_syntax::Parser::new().parse(&plain).ok()?;
        let group = ["ip4", "ip6", "fid"]
            .into_iter()
            .find(|group| pattern.group(group).is_some());
        let mut maker = Maker {
            address: group.unwrap_or_default(),
            pieces: Vec::new(),
        };
        maker.add(&hir)?;
        Some(Self {
            pieces: maker.pieces,
            is_anchored: hir.properties().look_set_prefix().contains(Look::Start),
            ends_line: [Look::End, Look::EndLF]
                .into_iter()
                .any(|look| hir.properties().look_set_suffix().contains(look)),
        })
    }

    pub(super) fn has_address(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Address))
    }

    /// The piece from which on the expression may begin anywhere in a line: the first, unless it is anchored, or the one behind a
    /// `.*` that undoes the anchor.
    pub(super) fn begins_anywhere(&self) -> Option<usize> {
        if !self.is_anchored {
            return Some(0);
        }
        // Blanks and names of hosts hold nothing down; the first plain text does.
        for (at, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Text(text) if text.trim().is_empty() => {}
                Piece::Repeated { accepts, .. } => {
                    if accepts.as_ref()?.is_match("a line: of [any] kind") {
                        return Some(at + 1);
                    }
                }
                Piece::Text(_) | Piece::Address | Piece::Content => return None,
            }
        }
        None
    }

    /// Whether anything may follow the address, as these words: either the expression leaves open what comes at the line's end,
    /// or it takes what a client may have said there.
    pub(super) fn may_be_followed_by(&self, words: &str) -> bool {
        let mut behind = self.pieces.iter().skip_while(|piece| !matches!(piece, Piece::Address));
        let takes = |piece: &Piece| match piece {
            Piece::Repeated { accepts, .. } => accepts.as_ref().is_some_and(|accepts| accepts.is_match(words)),
            Piece::Content => true,
            Piece::Text(_) | Piece::Address => false,
        };
        !self.ends_line || behind.any(takes)
    }

    /// The text, with this address and this content.
    pub(super) fn text(&self, address: &str, content: &str) -> String {
        join(&self.pieces, address, content)
    }

    /// The text from a piece on.
    pub(super) fn text_from(&self, piece: usize, address: &str, content: &str) -> String {
        join(&self.pieces[piece..], address, content)
    }

    /// The text before a piece.
    pub(super) fn text_to(&self, piece: usize, address: &str, content: &str) -> String {
        join(&self.pieces[..piece], address, content)
    }
}

fn join(pieces: &[Piece], address: &str, content: &str) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) | Piece::Repeated { least: text, .. } => text.as_str(),
            Piece::Address => address,
            Piece::Content => content,
        })
        .collect()
}

struct Maker<'a> {
    /// The name of the group that holds the address.
    address: &'a str,
    pieces: Vec<Piece>,
}

impl Maker<'_> {
    fn add(&mut self, hir: &Hir) -> Option<()> {
        if self.pieces.len() > MAX_PIECES {
            return None;
        }
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => self.text(std::str::from_utf8(&literal.0).ok()?),
            HirKind::Class(class) => self.text(&member(class)?.to_string()),
            HirKind::Capture(capture) => match capture.name.as_deref() {
                Some(name) if name == self.address => self.pieces.push(Piece::Address),
                Some("content") => self.pieces.push(Piece::Content),
                _ => self.add(&capture.sub)?,
            },
            HirKind::Concat(parts) => {
                for part in parts {
                    self.add(part)?;
                }
            }
            HirKind::Alternation(branches) => {
                let wanted = branches.iter().find(|branch| self.matters(branch));
                self.add(wanted.or(branches.first())?)?;
            }
            // A text that takes so many of anything is no line of a log.
            HirKind::Repetition(repetition) if repetition.min > MAX_TIMES => return None,
            HirKind::Repetition(repetition) => {
                let times = if self.matters(&repetition.sub) {
                    repetition.min.max(1)
                } else {
                    repetition.min
                };
                let endless = repetition.max.is_none_or(|max| max >= LONG);
                if endless && !self.matters(&repetition.sub) {
                    let least = Self {
                        address: "",
                        pieces: Vec::new(),
                    };
                    let least = least.text_of(&repetition.sub)?;
                    if least.len() * repetition.min as usize > MAX_LEN {
                        return None;
                    }
                    let least = least.repeat(repetition.min as usize);
                    let accepts = regex::Regex::new(&format!(r"\A(?:{hir})\z")).ok();
                    self.pieces.push(Piece::Repeated { least, accepts });
                } else {
                    for _ in 0..times {
                        self.add(&repetition.sub)?;
                    }
                }
            }
        }
        Some(())
    }

    fn text_of(mut self, hir: &Hir) -> Option<String> {
        self.add(hir)?;
        Some(join(&self.pieces, "", ""))
    }

    fn text(&mut self, text: &str) {
        self.pieces.push(Piece::Text(text.to_owned()));
    }

    /// Whether the address or the content is in there.
    fn matters(&self, hir: &Hir) -> bool {
        match hir.kind() {
            HirKind::Capture(capture) => {
                let name = capture.name.as_deref();
                name.is_some_and(|name| name == self.address || name == "content") || self.matters(&capture.sub)
            }
            HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(|part| self.matters(part)),
            HirKind::Repetition(repetition) => self.matters(&repetition.sub),
            HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) | HirKind::Class(_) => false,
        }
    }
}

/// A member of a class, a plain one if there is any.
fn member(class: &Class) -> Option<char> {
    let Class::Unicode(class) = class else {
        return None;
    };
    let has = |char: char| class.iter().any(|range| range.start() <= char && char <= range.end());
    // A dot that takes anything was mostly meant to be one.
    let anything = ['x', ' ', '['].into_iter().all(has) && has('.');
    let plain = ['x', 'X', '1', ' ', '.', '-'].into_iter().find(|char| has(*char));
    let plain = if anything { Some('.') } else { plain };
    plain.or_else(|| class.iter().map(|range| range.start()).next())
}

/// An expression without what the parser of `regex` does not know. The text that is made from it is tried on the real one.
fn without_look_around(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut rest = expression;
    let mut in_class = false;
    while let Some(char) = rest.chars().next() {
        let around = ["(?=", "(?!", "(?<=", "(?<!"]
            .into_iter()
            .any(|sign| rest.starts_with(sign));
        if !in_class && around {
            rest = &rest[group_len(rest)..];
            continue;
        }
        if !in_class && rest.starts_with("(?>") {
            out.push_str("(?:");
            rest = &rest[3..];
            continue;
        }
        let len = if char == '\\' {
            rest.chars().take(2).map(char::len_utf8).sum()
        } else {
            char.len_utf8()
        };
        match char {
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out
}

/// How long the group at the beginning is, with its parentheses.
fn group_len(text: &str) -> usize {
    let (mut depth, mut escaped, mut in_class) = (0_usize, false, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => depth += 1,
            ')' if !in_class => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}
