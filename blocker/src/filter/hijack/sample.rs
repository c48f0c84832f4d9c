//! Texts that an expression matches, in pieces.

use std::rc::Rc;
use std::slice::SliceIndex;

use super::tree::{Loose, Node, NodeKind, Tag, Tree};

/// Longest text that is made.
const MAX_LEN: usize = 16 * 1024;
/// Steps that the making of a text may take.
const MAX_STEPS: usize = 50_000;
/// Which words stand before what a client is called, or calls himself.
const BEFORE_NAME: [&str; 10] = [
    "user",
    "username",
    "login",
    "account",
    "ruser",
    "sasl_username",
    "authid",
    "helo",
    "ehlo",
    "mailbox",
];
/// Which keys stand before an address of mail. Elsewhere the same words stand before hosts.
const BEFORE_MAIL: [&str; 6] = ["from", "to", "sender", "recipient", "rcpt", "message-id"];

/// A way through an expression.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// What the text is to hold.
    pub(super) tag: Option<Tag>,
    /// The repetition or the branch that it leads through, by its mark.
    pub(super) through: Option<usize>,
    /// Whether it takes what is optional.
    pub(super) takes_optional: bool,
}

impl Route {
    /// The one that takes as little as possible.
    pub(super) const SHORTEST: Self = Self {
        tag: None,
        through: None,
        takes_optional: false,
    };
}

/// A text that an expression matches.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) pieces: Vec<Piece>,
}

/// A part of the text.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    /// The least of what may be repeated, with its mark.
    Loose(Rc<Loose>, usize),
    /// The address of whoever is to blame.
    Address,
    /// What a prefregex leaves for the failregexes.
    Content,
}

/// What stands in a sample's gaps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fill<'a> {
    pub(super) address: &'a str,
    /// What a prefregex leaves.
    pub(super) content: &'a str,
}

impl Sample {
    /// Makes one; none where the way leads nowhere.
    pub(super) fn of(node: &Node, route: Route) -> Option<Self> {
        let mut maker = Maker {
            route,
            pieces: Vec::new(),
            groups: Vec::new(),
            len: 0,
            steps: 0,
        };
        maker.add(node)?;
        Some(Self { pieces: maker.pieces })
    }

    /// Where what is to be found stands: the address or, where a prefregex leaves it to others, the content.
    pub(super) fn target(&self) -> Option<usize> {
        let find = |wanted: fn(&Piece) -> bool| self.pieces.iter().position(wanted);
        find(|piece| matches!(piece, Piece::Address)).or_else(|| find(|piece| matches!(piece, Piece::Content)))
    }

    pub(super) fn has_address(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Address))
    }

    /// The piece from which on the expression may begin anywhere in a line: the first, unless it is anchored, or the one behind a
    /// `.*` that undoes the anchor.
    pub(super) fn begins_anywhere(&self, is_anchored: bool) -> Option<usize> {
        if !is_anchored {
            return Some(0);
        }
        // Blanks and names of hosts hold nothing down; the first plain text does.
        for (at, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Text(text) if text.trim().is_empty() => {}
                Piece::Loose(loose, _) => {
                    if loose.accepts("a line: of [any] kind") {
                        return Some(at + 1);
                    }
                }
                Piece::Text(_) | Piece::Address | Piece::Content => return None,
            }
        }
        None
    }

    /// Whether a piece is behind the address and takes these words.
    pub(super) fn is_followed_by(&self, words: &str) -> bool {
        let mut behind = self.pieces.iter().skip_while(|piece| !matches!(piece, Piece::Address));
        behind.any(|piece| match piece {
            Piece::Loose(loose, _) => loose.accepts(words),
            Piece::Content => true,
            Piece::Text(_) | Piece::Address => false,
        })
    }

    /// Whether a piece takes a word that is for the client to choose, as its key says: `user=\S+`. It may hold blanks then, though
    /// the expression does not think of it.
    pub(super) fn is_clients_word(&self, piece: usize) -> bool {
        if !matches!(&self.pieces[piece], Piece::Loose(loose, _) if loose.is_word()) {
            return false;
        }
        let mut before = String::new();
        for piece in self.pieces[..piece].iter().rev() {
            match piece {
                Piece::Text(text) => before.insert_str(0, text),
                // Any key, so the client's among them.
                Piece::Loose(..) if before.trim_end_matches(['"', '\'', '<']) == "=" => return true,
                Piece::Loose(..) | Piece::Address | Piece::Content => break,
            }
            if before.len() > 64 {
                break;
            }
        }
        let text = before.trim_end_matches(['"', '\'', '<', '(', '[']);
        let stem = text.trim_end_matches(['=', ':', ' ']);
        let sign = |char: char| !char.is_alphanumeric() && !"_-".contains(char);
        let key = stem.rsplit(sign).next().unwrap_or_default().to_lowercase();
        BEFORE_NAME.contains(&key.as_str()) && stem != text
            || BEFORE_MAIL.contains(&key.as_str()) && text.ends_with('=')
    }

    /// The text of some pieces.
    pub(super) fn text(&self, part: impl SliceIndex<[Piece], Output = [Piece]>, fill: Fill<'_>) -> String {
        join(&self.pieces[part], fill)
    }
}

fn join(pieces: &[Piece], fill: Fill<'_>) -> String {
    let texts = pieces.iter().map(|piece| match piece {
        Piece::Text(text) => text.as_str(),
        Piece::Loose(loose, _) => &loose.least,
        Piece::Address => fill.address,
        Piece::Content => fill.content,
    });
    texts.collect()
}

/// Ways through an expression to what it holds, of which each takes something that no other does; the shorter ones first.
pub(super) fn routes(tree: &Tree, tag: Tag) -> impl Iterator<Item = Route> {
    let branches: &[usize] = if tree.is_anchored { &[] } else { &tree.branches };
    let choices: &[bool] = if tree.branches.is_empty() {
        &[false]
    } else {
        &[false, true]
    };
    choices.iter().flat_map(move |takes_optional| {
        let through = tree.loose.iter().chain(branches).map(|mark| Some(*mark));
        std::iter::once(None).chain(through).map(move |through| Route {
            tag: Some(tag),
            through,
            takes_optional: *takes_optional,
        })
    })
}

struct Maker {
    route: Route,
    pieces: Vec<Piece>,
    /// The texts of the groups to which something refers back.
    groups: Vec<(u32, String)>,
    len: usize,
    steps: usize,
}

impl Maker {
    fn add(&mut self, node: &Node) -> Option<()> {
        self.steps += 1;
        if self.steps > MAX_STEPS || self.len > MAX_LEN {
            return None;
        }
        match &node.kind {
            NodeKind::Text(text) => self.text(text),
            NodeKind::Loose(loose, mark) => {
                self.len += loose.least.len();
                self.pieces.push(Piece::Loose(Rc::clone(loose), *mark));
            }
            NodeKind::Tag(Tag::Content) => self.pieces.push(Piece::Content),
            // A text has one address; another kind of it is no part of this way.
            NodeKind::Tag(tag) if Some(*tag) == self.route.tag => self.pieces.push(Piece::Address),
            NodeKind::Tag(_) => self.text("x"),
            NodeKind::Sequence(parts) => parts.iter().try_for_each(|part| self.add(part))?,
            NodeKind::Branches(branches) => {
                let wanted = branches.iter().find(|branch| self.is_through(branch));
                let wanted = wanted.or_else(|| branches.iter().find(|branch| self.is_wanted(branch)));
                self.add(wanted.or(branches.first())?)?;
            }
            NodeKind::Optional(part) => {
                if self.is_through(part) || self.is_wanted(part) || self.route.takes_optional {
                    self.add(part)?;
                }
            }
            NodeKind::Times(part, times) => (0..*times).try_for_each(|_| self.add(part))?,
            NodeKind::Group(number, part) => {
                let first = self.pieces.len();
                self.add(part)?;
                let text = join(&self.pieces[first..], Fill::default());
                self.groups.push((*number, text));
            }
            NodeKind::Back(number) => {
                let known = self.groups.iter().rev().find(|(known, _)| known == number);
                let text = known.map(|(_, text)| text.clone()).unwrap_or_default();
                self.text(&text);
            }
        }
        Some(())
    }

    fn text(&mut self, text: &str) {
        self.len += text.len();
        self.pieces.push(Piece::Text(text.to_owned()));
    }

    fn is_through(&self, node: &Node) -> bool {
        self.route.through.is_some_and(|mark| node.is_marked(mark))
    }

    fn is_wanted(&self, node: &Node) -> bool {
        self.route.tag.is_some_and(|tag| node.has(tag)) || node.has(Tag::Content)
    }
}
