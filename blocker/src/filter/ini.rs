//! Files in the dialect of INI that fail2ban reads with Python's `configparser`: comments at the start of a line with `#` or `;`,
//! comments behind a value after blank and `;`, values that go on in indented lines.
//!
//! Splitting the text into lines and their kinds is a library's work; joining values and keeping every line's number is ours.

use std::path::{Path, PathBuf};

use ini_roundtrip::{Item, Parser};

use crate::problem::{Place, Problems};

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ini {
    /// Where it came from.
    pub file: PathBuf,
    /// Its sections, in order.
    pub sections: Vec<Section>,
}

/// A section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// The number of its heading's line.
    pub line: usize,
    /// Keys in lower case, with their values, in order.
    pub values: Vec<(String, Value)>,
}

/// A value, by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The file it stands in.
    pub file: PathBuf,
    /// At least one line; empty lines are kept.
    pub lines: Vec<ValueLine>,
}

/// A line of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueLine {
    /// Its number in the file, from 1.
    pub number: usize,
    /// Its text without surrounding blanks and comments.
    pub text: String,
}

impl Ini {
    /// Reads `text`, which came from `file`.
    ///
    /// # Errors
    ///
    /// Every line that is neither heading, comment, setting nor continuation.
    pub fn parse(file: &Path, text: &str) -> Result<Self, Problems> {
        let mut reader = Reader {
            ini: Self {
                file: file.to_owned(),
                sections: Vec::new(),
            },
            in_value: false,
            problems: Problems::default(),
        };
        let mut number = 0;
        for item in Parser::new(text) {
            number += usize::from(item != Item::SectionEnd);
            reader.take(&item, number);
        }
        reader.problems.or(reader.ini)
    }

    /// Lays another file over this one, key by key: what it sets counts, what it does not set stays.
    pub fn lay_over(&mut self, over: Self) {
        for section in over.sections {
            match self.sections.iter_mut().rev().find(|known| known.name == section.name) {
                Some(known) => known.values.extend(section.values),
                None => self.sections.push(section),
            }
        }
    }

    /// The section of this name; of several, the last.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().rev().find(|section| section.name == name)
    }
}

impl Section {
    /// The value of this key; of several, the last.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values
            .iter()
            .rev()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }
}

impl Value {
    /// Where it begins.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place_of(self.lines.first().map_or(0, |line| line.number))
    }

    /// Where the line of this number stands.
    #[must_use]
    pub fn place_of(&self, line: usize) -> Place {
        Place {
            file: self.file.clone(),
            line,
        }
    }

    /// Its lines as one text, separated by blanks.
    #[must_use]
    pub fn joined(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        lines.join(" ").trim().to_owned()
    }
}

struct Reader {
    ini: Ini,
    /// Whether an indented line goes on with a value.
    in_value: bool,
    problems: Problems,
}

impl Reader {
    fn take(&mut self, item: &Item<'_>, number: usize) {
        match *item {
            Item::SectionEnd | Item::Comment { .. } => {}
            Item::Blank { .. } => self.go_on("", number),
            Item::Section { raw, .. } | Item::Property { raw, .. } | Item::Error(raw)
                if self.in_value && raw.starts_with([' ', '\t']) =>
            {
                self.go_on(raw, number);
            }
            Item::Section { name, .. } => {
                self.in_value = false;
                self.ini.sections.push(Section {
                    name: name.to_owned(),
                    line: number,
                    values: Vec::new(),
                });
            }
            Item::Property { raw, .. } => self.setting(raw, number),
            Item::Error(raw) => self.refuse(raw, number, "a heading ends with `]`"),
        }
    }

    fn setting(&mut self, raw: &str, number: usize) {
        // configparser takes the first of either sign.
        let Some((key, value)) = raw.split_once(['=', ':']) else {
            return self.refuse(
                raw,
                number,
                "write `key = value`, or indent the line to go on with the value above",
            );
        };
        let Some(section) = self.ini.sections.last_mut() else {
            return self.refuse(raw, number, "a setting stands below a heading such as [Definition]");
        };
        let line = ValueLine {
            number,
            text: without_comment(value).to_owned(),
        };
        let value = Value {
            file: self.ini.file.clone(),
            lines: vec![line],
        };
        section.values.push((key.trim().to_lowercase(), value));
        self.in_value = true;
    }

    fn go_on(&mut self, raw: &str, number: usize) {
        let section = self.ini.sections.last_mut();
        let value = section.and_then(|section| section.values.last_mut());
        if let (true, Some((_, value))) = (self.in_value, value) {
            value.lines.push(ValueLine {
                number,
                text: without_comment(raw).to_owned(),
            });
        }
    }

    fn refuse(&mut self, raw: &str, line: usize, hint: &str) {
        let place = Place {
            file: self.ini.file.clone(),
            line,
        };
        self.problems.add(&place, format!("cannot read `{}`", raw.trim()), hint);
    }
}

/// Cuts off a comment: a `;` after a blank.
fn without_comment(text: &str) -> &str {
    let comment = text
        .match_indices(';')
        .find(|(at, _)| text[..*at].ends_with([' ', '\t']) || *at == 0);
    comment.map_or(text, |(at, _)| &text[..at]).trim()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Ini {
        Ini::parse(Path::new("jail.conf"), text).unwrap()
    }

    fn value(text: &str, section: &str, key: &str) -> String {
        parse(text).section(section).unwrap().get(key).unwrap().joined()
    }

    #[test]
    fn reads_settings_below_headings() {
        let text = "# jail.conf\n[spam]\nenabled  = true\nlogpath: /var/log/mail.log\n";
        assert_eq!(value(text, "spam", "enabled"), "true");
        assert_eq!(value(text, "spam", "logpath"), "/var/log/mail.log");
    }

    #[test]
    fn a_value_goes_on_in_indented_lines_with_their_numbers() {
        let text = "[Definition]\nfailregex = ^one\n            ^two\n# between\n            [three]\nignoreregex =\n";
        let ini = parse(text);
        let failregex = ini.section("Definition").unwrap().get("failregex").unwrap();
        let lines: Vec<_> = failregex
            .lines
            .iter()
            .map(|line| (line.number, line.text.as_str()))
            .collect();
        assert_eq!(lines, [(2, "^one"), (3, "^two"), (5, "[three]")]);
        assert_eq!(value(text, "Definition", "ignoreregex"), "");
    }

    #[test]
    fn a_semicolon_begins_a_comment_only_after_a_blank() {
        let text = "[a]\nx = 554 Service unavailable; Client ; a note\n";
        assert_eq!(value(text, "a", "x"), "554 Service unavailable; Client");
    }

    #[test]
    fn the_last_of_several_values_counts() {
        assert_eq!(value("[a]\nx = 1\nx = 2\n", "a", "x"), "2");
    }

    #[test]
    fn every_unreadable_line_is_named() {
        let problems = Ini::parse(Path::new("jail.conf"), "x = 1\n[a\n[a]\nnonsense\n").unwrap_err();
        let lines: Vec<usize> = problems.0.iter().map(|problem| problem.place.line).collect();
        assert_eq!(lines, [1, 2, 4]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[\\n\\r\\t \\[\\]=:;#])*") {
            let _ = Ini::parse(Path::new("x"), &text);
        }
    }
}
