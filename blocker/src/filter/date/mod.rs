//! Cuts the date out of a line, wherever it stands and however it is written.
//!
//! A log is written by one program, so the template that matched the line before is tried first. Where it does not match, the
//! templates that hold a line's beginning come first; of those that search, the one whose date stands furthest to the left counts.

mod defaults;
mod field;
mod moment;
mod number;
mod repeated;
mod template;
mod zone;

use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use self::repeated::Repeated;
use self::template::Template;
use super::pattern::{PatternError, Slots};

pub use self::zone::parse as parse_zone;

/// A line without a date belongs to the line before it, if that is not older than this.
const NEAR: SignedDuration = SignedDuration::from_secs(60);

/// What dates look like in one log.
#[derive(Debug, Default)]
pub struct DatePatterns {
    templates: Vec<Arc<Template>>,
}

/// Reads the dates of one log's lines, in order.
#[derive(Debug)]
pub struct DateReader {
    patterns: Arc<DatePatterns>,
    slots: Vec<Slots>,
    /// For dates that name no zone of their own.
    zone: TimeZone,
    /// Where the latest date stood.
    latest: Option<Found>,
    /// The latest match of which template, and its time, for the many lines of one second.
    read: (usize, String, Option<Timestamp>),
    /// What the latest date was like, where the next can be told by that.
    repeated: Option<Repeated>,
    /// The latest time.
    time: Option<Timestamp>,
}

/// Where a template found a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    template: usize,
    start: usize,
    end: usize,
}

impl Found {
    fn cut(self, line: &str, time: Timestamp) -> Cut<'_> {
        Cut {
            before: &line[..self.start],
            after: &line[self.end..],
            time: Some(time),
            template: Some(self.template),
        }
    }
}

/// A line, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut<'a> {
    /// What stands before the date.
    pub before: &'a str,
    /// What follows it.
    pub after: &'a str,
    /// The line's time: its date's, or that of the line before where it has none.
    pub time: Option<Timestamp>,
    /// Which of the templates found the date; none where none did.
    pub template: Option<usize>,
}

impl<'a> Cut<'a> {
    /// A line that carries no date because its time is known otherwise, as from the journal.
    #[must_use]
    pub const fn undated(line: &'a str, time: Timestamp) -> Self {
        Self {
            before: "",
            after: line,
            time: Some(time),
            template: None,
        }
    }
}

impl DatePatterns {
    /// Compiles a filter's date patterns, one a line; without any, the default templates hold.
    ///
    /// # Errors
    ///
    /// What is wrong with which of them, by its index.
    pub fn compile<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<(usize, PatternError)>> {
        let mut templates: Vec<Arc<Template>> = Vec::new();
        let mut errors = Vec::new();
        for (n, pattern) in patterns.into_iter().enumerate() {
            match template::compile(pattern) {
                Ok(compiled) => add(&mut templates, compiled),
                Err(error) => errors.push((n, error)),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        if templates.is_empty() {
            add(&mut templates, defaults::all());
        }
        Ok(Self { templates })
    }

    /// How many templates there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Whether there is no template.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// A template as it is written, for people.
    #[must_use]
    pub fn name(&self, template: usize) -> &str {
        self.templates
            .get(template)
            .map_or("", |template| template.name.as_str())
    }
}

/// Patterns are the same when they are written the same.
impl PartialEq for DatePatterns {
    fn eq(&self, other: &Self) -> bool {
        let names = |patterns: &Self| {
            patterns
                .templates
                .iter()
                .map(|template| template.name.clone())
                .collect::<Vec<_>>()
        };
        names(self) == names(other)
    }
}

fn add(templates: &mut Vec<Arc<Template>>, more: Vec<Arc<Template>>) {
    for template in more {
        if !templates.iter().any(|known| known.name == template.name) {
            templates.push(template);
        }
    }
}

impl DateReader {
    /// For dates that name no zone of their own, `zone` holds.
    #[must_use]
    pub fn new(patterns: Arc<DatePatterns>, zone: TimeZone) -> Self {
        Self {
            slots: patterns.templates.iter().map(|_| Slots::default()).collect(),
            patterns,
            zone,
            latest: None,
            read: (usize::MAX, String::new(), None),
            repeated: None,
            time: None,
        }
    }

    /// The patterns.
    #[must_use]
    pub fn patterns(&self) -> &DatePatterns {
        &self.patterns
    }

    /// Takes the date out of a line.
    ///
    /// A date without a year is one of the year of `now`, or of the year before where that would lie more than a day ahead.
    pub fn cut<'a>(&mut self, line: &'a str, now: Timestamp) -> Cut<'a> {
        if let Some((found, time)) = self.repeated.as_ref().and_then(|latest| latest.read(line, now)) {
            self.time = Some(time);
            return found.cut(line, time);
        }
        self.repeated = None;
        let Some(found) = self.find(line) else {
            return self.without_date(line, now, None);
        };
        self.latest = Some(found);
        let (before, date, after) = (&line[..found.start], &line[found.start..found.end], &line[found.end..]);
        if date.is_empty() {
            // The pattern says that there may be no date. Whether the line is of now is for those to say who know when it was written.
            return self.without_date(line, now, Some(found.template));
        }
        let Some(time) = self.time_of(line, found.template, now) else {
            // There is no such day. The line goes with the one before, as it is, or stays without a time.
            let cut = self.without_date(line, now, None);
            return if cut.time.is_some() {
                cut
            } else {
                Cut { before, after, ..cut }
            };
        };
        self.time = Some(time);
        let Self { patterns, slots, .. } = self;
        let template = (&patterns.templates[found.template], &slots[found.template]);
        self.repeated = Repeated::of(line, template.0, (found, template.1), (time, now));
        found.cut(line, time)
    }

    /// The time of the date that a template has just found.
    fn time_of(&mut self, line: &str, template: usize, now: Timestamp) -> Option<Timestamp> {
        let slots = &self.slots[template];
        let found = &self.patterns.templates[template];
        // Fields may lie outside of what is cut out, but not outside of the match.
        let whole = slots.group(0).map_or("", |range| &line[range]);
        if (self.read.0, self.read.1.as_str()) == (template, whole) {
            return self.read.2;
        }
        let time = found.time(line, slots, &self.zone, now);
        // A date that changes with the clock is read again for every line.
        if found.is_absolute(line, slots) {
            self.read = (template, whole.to_owned(), time);
        }
        time
    }

    /// The line as a whole, with the time of the line before.
    fn without_date<'a>(&self, line: &'a str, now: Timestamp, template: Option<usize>) -> Cut<'a> {
        let near = now.checked_sub(NEAR).unwrap_or(Timestamp::MIN);
        Cut {
            before: "",
            after: line,
            time: self.time.filter(|time| *time > near),
            template,
        }
    }

    fn find(&mut self, line: &str) -> Option<Found> {
        let templates = &self.patterns.templates;
        let mut best: Option<Found> = None;
        let mut tried = usize::MAX;
        if let Some(latest) = self.latest {
            let template = &templates[latest.template];
            if let Some((start, end)) = template.find(line, &mut self.slots[latest.template]) {
                let found = Found {
                    template: latest.template,
                    start,
                    end,
                };
                if template.is_anchored || templates.len() == 1 || found == latest {
                    return Some(found);
                }
                best = Some(found);
            }
            tried = latest.template;
        }
        for (n, template) in templates.iter().enumerate().filter(|(n, _)| *n != tried) {
            let Some((start, end)) = template.find(line, &mut self.slots[n]) else {
                continue;
            };
            let found = Found {
                template: n,
                start,
                end,
            };
            if template.is_anchored {
                return Some(found);
            }
            if best.is_none_or(|best| start < best.start) {
                best = Some(found);
            }
        }
        best
    }
}

#[cfg(test)]
mod tests;
