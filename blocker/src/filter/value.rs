//! A value of a configuration file that remembers, line by line, where it was written.
//!
//! Values travel through interpolation and substitution as they are here, so that whatever is found wrong with a regular
//! expression in the end names the file and line in which somebody typed it.

use std::path::Path;

use crate::problem::Place;

/// A value, by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// At least one line where it comes from a file; empty lines are kept.
    pub lines: Vec<ValueLine>,
}

/// A line of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueLine {
    /// Where it was written.
    pub place: Place,
    /// Its text without surrounding blanks and comments.
    pub text: String,
}

impl Value {
    /// A value of one line that was not read from a file of settings: a parameter, or what was typed at the command line.
    #[must_use]
    pub fn given(place: &Place, text: &str) -> Self {
        let line = |text: &str| ValueLine {
            place: place.clone(),
            text: text.to_owned(),
        };
        Self {
            lines: text.split('\n').map(line).collect(),
        }
    }

    /// Where it begins.
    #[must_use]
    pub fn place(&self) -> Place {
        let first = self.lines.iter().find(|line| !line.text.is_empty());
        let line = first.or_else(|| self.lines.first());
        line.map_or_else(|| Place::file(Path::new("")), |line| line.place.clone())
    }

    /// Its lines as one text, separated by line breaks.
    #[must_use]
    pub fn text(&self) -> String {
        self.join("\n")
    }

    /// Its lines as one text, separated by blanks.
    #[must_use]
    pub fn joined(&self) -> String {
        self.join(" ")
    }

    /// The lines that say something.
    pub fn filled(&self) -> impl Iterator<Item = &ValueLine> {
        self.lines.iter().filter(|line| !line.text.trim().is_empty())
    }

    /// How many bytes of text it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.iter().map(|line| line.text.len() + 1).sum()
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled().next().is_none()
    }

    fn join(&self, between: &str) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        lines.join(between).trim().to_owned()
    }
}

/// Puts a value together from pieces of text and other values.
#[derive(Debug)]
pub(super) struct Builder {
    done: Vec<ValueLine>,
    current: ValueLine,
}

impl Builder {
    /// Begins with a line whose text is written at `place`.
    pub(super) fn new(place: &Place) -> Self {
        Self {
            done: Vec::new(),
            current: ValueLine {
                place: place.clone(),
                text: String::new(),
            },
        }
    }

    /// Goes on with text of the current line.
    pub(super) fn push(&mut self, text: &str) {
        self.current.text.push_str(text);
    }

    /// Goes on with a value: its first line behind the current text, the others in lines of their own.
    pub(super) fn insert(&mut self, value: &Value) {
        let Some((first, rest)) = value.lines.split_first() else {
            return;
        };
        if self.current.text.trim().is_empty() {
            // Nothing of the line is the referring file's own text, so an error is the other file's.
            self.current.place = first.place.clone();
        }
        self.current.text.push_str(&first.text);
        for line in rest {
            self.break_line(line.place.clone());
            self.current.text.push_str(&line.text);
        }
    }

    /// Begins another line.
    pub(super) fn break_line(&mut self, place: Place) {
        let next = ValueLine {
            place,
            text: String::new(),
        };
        self.done.push(std::mem::replace(&mut self.current, next));
    }

    /// How many bytes of text there are so far.
    pub(super) fn len(&self) -> usize {
        self.done.iter().map(|line| line.text.len() + 1).sum::<usize>() + self.current.text.len()
    }

    /// The value.
    pub(super) fn finish(mut self) -> Value {
        self.done.push(self.current);
        Value { lines: self.done }
    }
}
