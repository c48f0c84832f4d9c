//! What an expression takes, as a tree from which texts are made.

use std::cell::OnceCell;
use std::fmt::{self, Write};
use std::rc::Rc;

use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Look, Repetition};

use super::plain::Plain;
use super::sample::{Fill, Piece, Route, Sample};

/// A repetition that cannot grow to this leaves no room for a client's words: the shortest address takes seven signs.
const SHORT: u32 = 8;
/// A repetition of which more are needed is left alone.
const MAX_TIMES: u32 = 1000;
/// Longest text of a repetition that is made.
const MAX_LEAST: usize = 16 * 1024;
/// Bytes of what is repeated, written out, beyond which it is not asked what it accepts.
const MAX_WRITTEN: usize = 128 * 1024;
/// Bytes that its compiled form may take.
const SIZE_LIMIT: usize = 256 * 1024;

/// What a place in a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// An IPv4 address.
    Ip4,
    /// An IPv6 address.
    Ip6,
    /// A host's name.
    Dns,
    /// Whatever else the filter takes for the one to blame.
    Id,
    /// What a prefregex leaves for the failregexes.
    Content,
}

impl Tag {
    /// All, with the names of their groups.
    const NAMED: [(&str, Self); 5] = [
        ("ip4", Self::Ip4),
        ("ip6", Self::Ip6),
        ("dns", Self::Dns),
        ("fid", Self::Id),
        ("content", Self::Content),
    ];

    /// What a group of this name stands for, if it is no plain group.
    fn of(sub: &Hir, name: &str) -> Option<Self> {
        let tag = Self::NAMED.into_iter().find(|(known, _)| *known == name)?.1;
        // A filter's own identity may hold an address and more.
        (tag != Self::Id || !holds_tag(sub)).then_some(tag)
    }
}

/// An expression.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Node,
    /// The marks of repetitions.
    pub(super) loose: Vec<usize>,
    /// The marks of branches.
    pub(super) branches: Vec<usize>,
    /// Whether the expression begins at the line's beginning.
    pub(super) is_anchored: bool,
    /// Whether it ends at the line's end.
    pub(super) ends_line: bool,
}

/// A part of an expression.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    /// The first of the marks within, and the first behind it. A mark names a repetition or a branch.
    pub(super) marks: (usize, usize),
    tags: u8,
}

/// What a part is.
#[derive(Debug)]
pub(super) enum NodeKind {
    Text(String),
    /// What may be repeated, with its mark.
    Loose(Rc<Loose>, usize),
    Tag(Tag),
    Sequence(Vec<Node>),
    Branches(Vec<Node>),
    Optional(Box<Node>),
    Times(Box<Node>, u32),
    /// A group to which something refers back.
    Group(u32, Box<Node>),
    /// The text of a group once more.
    Back(u32),
}

impl Node {
    pub(super) const fn has(&self, tag: Tag) -> bool {
        self.tags & (1 << tag as u8) != 0
    }

    pub(super) const fn is_marked(&self, mark: usize) -> bool {
        self.marks.0 <= mark && mark < self.marks.1
    }
}

/// What may be repeated.
#[derive(Debug)]
pub(super) struct Loose {
    /// The least of it.
    pub(super) least: String,
    /// How often at the most.
    pub(super) most: Option<u32>,
    /// Whether a text that a client chose stands in it by the expression's own words: `(?:\w+=\S+ )*`.
    pub(super) has_words: bool,
    takes: Takes,
}

#[derive(Debug)]
enum Takes {
    Signs(ClassUnicode),
    /// Something longer, and the expression that takes any number of it, once it was needed.
    Text(Hir, OnceCell<Option<regex::Regex>>),
}

impl Loose {
    /// Whether a text, of whatever length, is what is repeated.
    pub(super) fn accepts(&self, text: &str) -> bool {
        match &self.takes {
            Takes::Signs(class) => text.chars().all(|char| has(class, char)),
            Takes::Text(hir, compiled) => {
                let regex = compiled.get_or_init(|| any_number(hir));
                regex.as_ref().is_some_and(|regex| regex.is_match(text))
            }
        }
    }

    /// Whether it takes some time to say what it accepts.
    pub(super) const fn is_costly(&self) -> bool {
        matches!(self.takes, Takes::Text(..))
    }

    /// Whether it takes anything that has no blanks, and none with blanks.
    pub(super) fn is_word(&self) -> bool {
        match &self.takes {
            Takes::Signs(class) => {
                !has(class, ' ') && ('!'..='~').filter(|char| *char != ',').all(|char| has(class, char))
            }
            Takes::Text(..) => false,
        }
    }
}

fn any_number(hir: &Hir) -> Option<regex::Regex> {
    let mut written = Bounded(String::new());
    write!(written, r"\A(?:{hir})*\z").ok()?;
    regex::RegexBuilder::new(&written.0).size_limit(SIZE_LIMIT).build().ok()
}

/// A text that does not grow without an end: a class of Unicode's letters takes some kilobytes each time.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_WRITTEN {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

fn has(class: &ClassUnicode, char: char) -> bool {
    class.iter().any(|range| range.start() <= char && char <= range.end())
}

impl Tree {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// Why it is beyond what is understood here.
    pub(super) fn read(plain: &Plain) -> Result<Self, &'static str> {
        let hir = regex_syntax::Parser::new().parse(&plain.text);
        let hir = hir.map_err(|_| "it uses what only a search can understand")?;
        let mut reader = Reader {
            plain,
            loose: Vec::new(),
            branches: Vec::new(),
            marks: 0,
        };
        let root = reader.read(&hir).ok_or("it takes more text than a line has")?;
        let (begin, end) = (hir.properties().look_set_prefix(), hir.properties().look_set_suffix());
        Ok(Self {
            root,
            loose: reader.loose,
            branches: reader.branches,
            is_anchored: begin.contains(Look::Start) || begin.contains(Look::StartLF),
            ends_line: end.contains(Look::End) || end.contains(Look::EndLF),
        })
    }
}

struct Reader<'a> {
    plain: &'a Plain,
    loose: Vec<usize>,
    branches: Vec<usize>,
    marks: usize,
}

impl Reader<'_> {
    fn read(&mut self, hir: &Hir) -> Option<Node> {
        let first = self.marks;
        let mut tags = 0;
        let kind = match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => NodeKind::Text(String::new()),
            HirKind::Literal(literal) => NodeKind::Text(std::str::from_utf8(&literal.0).ok()?.to_owned()),
            HirKind::Class(Class::Unicode(class)) => NodeKind::Text(member(class)?.to_string()),
            HirKind::Class(Class::Bytes(_)) => return None,
            HirKind::Capture(capture) => {
                let name = capture.name.as_deref().unwrap_or_default();
                let back = &self.plain.back;
                if let Some((_, group)) = back.iter().find(|(known, _)| known == name) {
                    NodeKind::Back(*group)
                } else if name == "cidr" {
                    // Of one host; it is longer than any network's of IPv4.
                    NodeKind::Text("128".to_owned())
                } else if let Some(tag) = Tag::of(&capture.sub, name) {
                    tags |= 1 << tag as u8;
                    NodeKind::Tag(tag)
                } else {
                    let is_back = back.iter().any(|(_, group)| *group == capture.index);
                    let sub = self.read(&capture.sub)?;
                    if !is_back {
                        return Some(sub);
                    }
                    tags |= sub.tags;
                    NodeKind::Group(capture.index, Box::new(sub))
                }
            }
            HirKind::Concat(parts) => {
                let parts: Vec<Node> = parts.iter().map(|part| self.read(part)).collect::<Option<_>>()?;
                tags |= parts.iter().fold(0, |tags, part| tags | part.tags);
                NodeKind::Sequence(parts)
            }
            HirKind::Alternation(branches) => {
                let branches: Vec<Node> = branches
                    .iter()
                    .map(|branch| self.branch(branch))
                    .collect::<Option<_>>()?;
                tags |= branches.iter().fold(0, |tags, part| tags | part.tags);
                NodeKind::Branches(branches)
            }
            HirKind::Repetition(repetition) => {
                // A text that takes so many of anything is no line of a log.
                if repetition.min > MAX_TIMES {
                    return None;
                }
                self.repetition(repetition, &mut tags)?
            }
        };
        Some(Node {
            kind,
            marks: (first, self.marks),
            tags,
        })
    }

    fn mark(&mut self) -> usize {
        self.marks += 1;
        self.marks - 1
    }

    fn branch(&mut self, hir: &Hir) -> Option<Node> {
        let mark = self.mark();
        self.branches.push(mark);
        let mut node = self.read(hir)?;
        node.marks.0 = mark;
        Some(node)
    }

    fn repetition(&mut self, repetition: &Repetition, tags: &mut u8) -> Option<NodeKind> {
        let (least, most) = (repetition.min, repetition.max);
        let long = most.is_none_or(|most| most >= SHORT && most > least);
        if long && !holds_tag(&repetition.sub) {
            let mark = self.mark();
            let loose = Rc::new(self.loose(repetition)?);
            self.loose.push(mark);
            return Some(NodeKind::Loose(loose, mark));
        }
        if least == 0 && most != Some(0) {
            let sub = self.branch(&repetition.sub)?;
            *tags |= sub.tags;
            return Some(NodeKind::Optional(Box::new(sub)));
        }
        let sub = self.read(&repetition.sub)?;
        if least > 0 {
            *tags |= sub.tags;
        }
        Some(NodeKind::Times(Box::new(sub), least))
    }

    fn loose(&self, repetition: &Repetition) -> Option<Loose> {
        // What is repeated is no way of its own through the expression.
        let mut inner = Reader {
            plain: self.plain,
            loose: Vec::new(),
            branches: Vec::new(),
            marks: 0,
        };
        let root = inner.read(&repetition.sub)?;
        let sample = Sample::of(&root, Route::SHORTEST)?;
        let once = sample.text(.., Fill::default());
        if once.len() * repetition.min as usize > MAX_LEAST {
            return None;
        }
        let has_words = (0..sample.pieces.len()).any(|at| match &sample.pieces[at] {
            Piece::Loose(loose, _) => loose.has_words || sample.is_clients_word(at),
            _ => false,
        });
        Some(Loose {
            least: once.repeat(repetition.min as usize),
            most: repetition.max,
            has_words,
            takes: takes(&repetition.sub),
        })
    }
}

/// What is repeated, through groups and further repetitions.
fn takes(hir: &Hir) -> Takes {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => Takes::Signs(class.clone()),
        HirKind::Capture(capture) => takes(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min <= 1 => match takes(&repetition.sub) {
            Takes::Signs(class) => Takes::Signs(class),
            Takes::Text(..) => Takes::Text(hir.clone(), OnceCell::new()),
        },
        _ => Takes::Text(hir.clone(), OnceCell::new()),
    }
}

/// Whether the address or the content is in there.
fn holds_tag(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Capture(capture) => {
            let name = capture.name.as_deref();
            Tag::NAMED.into_iter().any(|(known, _)| name == Some(known)) || holds_tag(&capture.sub)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(holds_tag),
        HirKind::Repetition(repetition) => holds_tag(&repetition.sub),
        HirKind::Empty | HirKind::Look(_) | HirKind::Literal(_) | HirKind::Class(_) => false,
    }
}

/// A member of a class, a plain one if there is any.
fn member(class: &ClassUnicode) -> Option<char> {
    // A dot that takes anything was mostly meant to be one.
    let anything = ['x', ' ', '[', '.'].into_iter().all(|char| has(class, char));
    let plain = ['x', 'X', '1', ' ', '.', '-']
        .into_iter()
        .find(|char| has(class, *char));
    let plain = if anything { Some('.') } else { plain };
    plain.or_else(|| class.iter().map(|range| range.start()).next())
}
