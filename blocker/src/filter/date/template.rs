//! One way to write a date, compiled.
//!
//! A date pattern is a regular expression with fields. Unless told otherwise it matches whole words only; `{^LN-BEG}` before it holds it to
//! the line's beginning, `{UNB}` or `**` at an end takes the bounds away, `{DATE}` within it stands for every default template,
//! `EPOCH`, `LEPOCH` and `TAI64N` for counts of seconds. What is cut out of the line is the pattern's first group, or all of it.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::pattern::python::{Lines, Translated, translate};
use super::super::pattern::{Pattern, PatternError, Slots};
use super::defaults::{self, LINE_BEGIN};
use super::{field, moment};

/// Seconds since 1970, with their fraction.
const EPOCH: &str = r"[0-9]{10,11}(?:\.[0-9]{3,6}\b|\b)";
/// The same with milliseconds or microseconds behind, with or without a point.
const LONG_EPOCH: &str = r"[0-9]{10,11}(?:[0-9]{6}|[0-9]{3}(?:\.[0-9]{1,6})?)?";
/// A label of TAI64N: `@` and 24 hexadecimal digits, in small letters. <https://cr.yp.to/libtai/tai64.html>
const LABEL: &str = "(@[0-9a-f]{24})";
/// A word does not begin or end in the midst of another: on one of the two sides stands no letter, digit or `_`.
const BOUND: &str = r"(?:\b{start-half}|\b{end-half})";

/// A compiled template.
#[derive(Debug)]
pub(super) struct Template {
    /// The pattern as it was written.
    pub(super) name: String,
    translated: Translated,
    /// Compiled when the first line is tried on it: of the default templates most logs need one or two.
    pattern: OnceLock<Option<Pattern>>,
    /// Whether it can only match at the line's beginning or end.
    pub(super) is_anchored: bool,
    /// Whether it is one of those that hold where a filter names none.
    pub(super) is_default: bool,
    /// Whether all that it reads lies within its match.
    is_self_contained: bool,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fields,
    /// Seconds, in the group of this number.
    Epoch(usize),
    /// Seconds, milliseconds or microseconds.
    LongEpoch(usize),
    Tai64n,
}

/// Which ends of a template are held to whole words.
#[derive(Clone, Copy)]
struct Bounds {
    begin: Begin,
    end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Begin {
    Free,
    Word,
    Line,
}

impl Template {
    /// Compiles it at once, to see whether that can be.
    pub(super) fn compiled(self) -> Result<Self, PatternError> {
        let pattern = Pattern::from_translated(self.translated.clone())?;
        Ok(Self {
            pattern: OnceLock::from(Some(pattern)),
            ..self
        })
    }

    /// None where it cannot be compiled, which is known of those that have not been.
    pub(super) fn pattern(&self) -> Option<&Pattern> {
        let compile = || Pattern::from_translated(self.translated.clone()).ok();
        self.pattern.get_or_init(compile).as_ref()
    }

    /// The number of a group.
    pub(super) fn group(&self, name: &str) -> Option<usize> {
        self.pattern()?.group(name)
    }

    /// Where the date stands in a line.
    pub(super) fn find(&self, line: &str, slots: &mut Slots) -> Option<(usize, usize)> {
        // A search that is given up finds nothing.
        if !self.pattern()?.search(line, slots).unwrap_or(false) {
            return None;
        }
        let date = slots.group(1).or_else(|| slots.group(0))?;
        Some((date.start, date.end))
    }

    /// The time of the date that [`find`](Self::find) left in `slots`; `None` where there is no such day.
    pub(super) fn time(&self, line: &str, slots: &Slots, zone: &TimeZone, now: Timestamp) -> Option<Timestamp> {
        let text = |group| slots.group(group).map(|range| &line[range]);
        match self.kind {
            Kind::Fields => moment::of(&|name| text(self.group(name)?), zone, now),
            Kind::Epoch(group) => moment::of_epoch(text(group)?),
            Kind::LongEpoch(group) => moment::of_long_epoch(text(group)?),
            Kind::Tai64n => moment::of_tai64n(text(1)?),
        }
    }

    /// Whether that time follows from the text of the match alone, whatever stands around it and whenever it is read.
    pub(super) fn is_absolute(&self, line: &str, slots: &Slots) -> bool {
        let text = |name: &str| slots.group(self.group(name)?).map(|range| &line[range]);
        self.is_self_contained && (self.kind != Kind::Fields || moment::is_absolute(&text))
    }
}

/// Compiles one line of a date pattern, which may stand for several templates.
pub(super) fn compile(pattern: &str) -> Result<Vec<Arc<Template>>, PatternError> {
    let pattern = pattern.trim();
    let key = if pattern.contains('%') {
        pattern.to_owned()
    } else {
        pattern.to_uppercase()
    };
    match key.as_str() {
        "{DEFAULT}" => return Ok(defaults::all()),
        LINE_BEGIN => return Ok(defaults::at_line_begin()),
        // No date at all: an empty text at the line's beginning.
        "{NONE}" => return Ok(vec![Arc::new(one("{UNB}^")?.compiled()?)]),
        _ => {}
    }
    let Some(at) = find_marker(pattern, "{DATE}") else {
        return Ok(vec![Arc::new(one(pattern)?.compiled()?)]);
    };
    let (before, after) = (&pattern[..at], &pattern[at + "{DATE}".len()..]);
    let templates = defaults::patterns().filter_map(|date| {
        let date = date.strip_prefix(LINE_BEGIN).unwrap_or(date);
        let counts = ["EPOCH", "TAI64N"].contains(&date);
        // A count of seconds has no pattern to put in, but may be all there is.
        let alone = after.is_empty() && ["", "^", LINE_BEGIN].contains(&before);
        (!counts || alone).then(|| Ok(Arc::new(one(&format!("{before}{date}{after}"))?.compiled()?)))
    });
    templates.collect()
}

/// Reads one template; it is not compiled yet.
pub(super) fn one(pattern: &str) -> Result<Template, PatternError> {
    let (rest, begin) = match pattern.strip_prefix(LINE_BEGIN) {
        Some(rest) => (rest, Begin::Line),
        None => (pattern, Begin::Word),
    };
    let key = rest.strip_prefix('^').unwrap_or(rest).to_uppercase();
    let line = if begin == Begin::Line || rest.starts_with('^') {
        Begin::Line
    } else {
        Begin::Free
    };
    match key.as_str() {
        "EPOCH" => return epoch(pattern, line, EPOCH, Kind::Epoch(1)),
        "LEPOCH" => return epoch(pattern, line, LONG_EPOCH, Kind::LongEpoch(1)),
        "TAI64N" => return build(pattern, LABEL, Bounds { begin: line, end: true }, Kind::Tai64n),
        _ => {}
    }
    for (marker, expression, kind) in [
        ("{EPOCH}", EPOCH, Kind::Epoch(2)),
        ("{LEPOCH}", LONG_EPOCH, Kind::LongEpoch(2)),
    ] {
        if let Some(at) = find_marker(rest, marker) {
            let (before, after) = (&rest[..at], &rest[at + marker.len()..]);
            let fields = field::replace(&format!("{before}({expression}){after}"))?;
            return build(
                pattern,
                &format!("({})", fields.expression),
                Bounds { begin, end: true },
                kind,
            );
        }
    }
    let (rest, bounds) = match rest.strip_prefix("{UNB}") {
        Some(rest) => (
            rest,
            Bounds {
                begin: Begin::Free,
                end: false,
            },
        ),
        None => (rest, Bounds { begin, end: true }),
    };
    if let Some(at) = rest
        .find('{')
        .filter(|at| rest[at + 1..].starts_with(|char: char| char.is_ascii_uppercase() || char == '^'))
    {
        let marker = rest[at..].split_inclusive('}').next().unwrap_or_default();
        return Err(PatternError {
            what: format!("unknown marker `{marker}`"),
            hint: "markers are {DATE}, {DEFAULT}, {EPOCH}, {LEPOCH} and {NONE}, {^LN-BEG} and {UNB} at the beginning"
                .to_owned(),
        });
    }
    let fields = field::replace(rest)?;
    let mut expression = with_group(fields.expression.trim());
    if fields.has_words {
        expression.insert_str(0, "(?i)");
    }
    build(pattern, &expression, bounds, Kind::Fields)
}

/// Seconds at the line's beginning, or there in brackets, or in the kernel's audit log.
fn epoch(pattern: &str, line: Begin, expression: &str, kind: Kind) -> Result<Template, PatternError> {
    let group = format!("({expression})");
    let bounds = |begin| Bounds { begin, end: true };
    if line == Begin::Line {
        return build(pattern, &group, bounds(Begin::Line), kind);
    }
    let anywhere = format!(r"(?:^\[?|\baudit\(){group}");
    build(pattern, &anywhere, bounds(Begin::Free), kind)
}

/// Compiles an expression in Python's language with its bounds.
fn build(name: &str, expression: &str, bounds: Bounds, kind: Kind) -> Result<Template, PatternError> {
    let (flags, expression) = leading_flags(expression);
    let begin = match bounds.begin {
        Begin::Word | Begin::Line if begins_unbound(expression) => Begin::Free,
        begin => begin,
    };
    let end = bounds.end && !ends_unbound(expression);
    let is_anchored = begin == Begin::Line || begins_with_line(expression) || ends_with_line(expression);
    let expression = without_stars(expression);

    let translated = translate(&format!("{flags}{expression}"), Lines::One)?;
    let (global, text) = leading_flags(&translated.text);
    let before = match begin {
        Begin::Free => "",
        Begin::Word => BOUND,
        Begin::Line => r"^\W{0,2}",
    };
    let after = if end { BOUND } else { "" };
    Ok(Template {
        name: name.to_owned(),
        // What looks around depends on what is there.
        is_self_contained: !translated.backtracks,
        translated: Translated {
            text: format!("{global}{before}{text}{after}"),
            backtracks: translated.backtracks,
            relaxation: None,
            implied: None,
        },
        pattern: OnceLock::new(),
        is_anchored,
        is_default: false,
        kind,
    })
}

/// Finds a marker in either case, unless it is escaped.
fn find_marker(pattern: &str, marker: &str) -> Option<usize> {
    let found = pattern.to_ascii_uppercase().find(marker)?;
    (!pattern[..found].ends_with('\\')).then_some(found)
}

/// Puts all of an expression that has no group of its own into one, between its anchors.
fn with_group(expression: &str) -> String {
    let bytes = expression.as_bytes();
    let groups = bytes.iter().enumerate().any(|(at, byte)| {
        let before = at.checked_sub(1).map(|at| bytes[at]);
        *byte == b'(' && before != Some(b'\\') && bytes.get(at + 1) != Some(&b'?') && !expression[..at].ends_with("(?")
    });
    if groups {
        return expression.to_owned();
    }
    let (flags, rest) = leading_flags(expression);
    let (begin, rest) = rest.strip_prefix('^').map_or(("", rest), |rest| ("^", rest));
    let (rest, end) = rest.strip_suffix('$').map_or((rest, ""), |rest| (rest, "$"));
    format!("{flags}{begin}({rest}){end}")
}

/// `(?i)` at the beginning, and the rest.
fn leading_flags(expression: &str) -> (&str, &str) {
    let letters = expression
        .strip_prefix("(?")
        .map(|rest| rest.find(|char: char| !char.is_ascii_lowercase()).unwrap_or(rest.len()));
    match letters {
        Some(letters) if letters > 0 && expression[2 + letters..].starts_with(')') => expression.split_at(letters + 3),
        _ => ("", expression),
    }
}

fn opened(expression: &str) -> &str {
    expression.trim_start_matches('(')
}

fn begins_unbound(expression: &str) -> bool {
    let inner = opened(expression);
    inner.starts_with('^') || inner.starts_with("**") || inner.starts_with("?:^")
}

fn ends_unbound(expression: &str) -> bool {
    let inner = expression.trim_end_matches(')');
    let plain = |sign: &str| inner.ends_with(sign) && !inner.ends_with(&format!("\\{sign}"));
    plain("$") || plain("**") || expression.ends_with(r"\b") || expression.ends_with(r"\s")
}

fn begins_with_line(expression: &str) -> bool {
    let inner = expression
        .strip_prefix("(?:")
        .or_else(|| expression.strip_prefix('('))
        .unwrap_or(expression);
    expression.starts_with('^') || (inner.starts_with('^') && !inner.starts_with("^|"))
}

fn ends_with_line(expression: &str) -> bool {
    let inner = expression.strip_suffix(')').unwrap_or(expression);
    inner.ends_with('$') && !inner.ends_with(r"\$") && !inner.ends_with("|$")
}

/// Takes away the stars that said that an end has no bound.
fn without_stars(expression: &str) -> String {
    let opening = expression.len() - opened(expression).len();
    let (open, rest) = expression.split_at(opening);
    let rest = rest.strip_prefix("**").unwrap_or(rest);
    let inner = rest.trim_end_matches(')');
    let close = &rest[inner.len()..];
    let inner = inner
        .strip_suffix("**")
        .filter(|inner| !inner.ends_with('\\'))
        .unwrap_or(inner);
    format!("{open}{inner}{close}")
}
