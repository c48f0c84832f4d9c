//! Files in the dialect of INI that fail2ban reads with Python's `configparser`: comments at the start of a line with `#` or `;`,
//! comments behind a value after blank and `;`, values that go on in lines that are indented deeper than their key.
//!
//! Splitting the text into lines is a library's work; what configparser makes of them, with every line's number, is ours.

use std::path::{Path, PathBuf};

use ini_roundtrip::{Item, Parser};

use super::value::{Value, ValueLine};
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
    /// Where its heading stands.
    pub place: Place,
    /// Keys in lower case, with their values, in order.
    pub values: Vec<(String, Value)>,
}

impl Ini {
    /// Reads `text`, which came from `file`. Beside it stands every line that is neither heading, comment, setting nor continuation;
    /// the others are read all the same.
    #[must_use]
    pub fn parse(file: &Path, text: &str) -> (Self, Problems) {
        let mut reader = Reader {
            ini: Self {
                file: file.to_owned(),
                sections: Vec::new(),
            },
            key_indent: None,
            indent: 0,
            problems: Problems::default(),
        };
        // Windows' editors begin a file with this mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut number = 0;
        for item in Parser::new(text) {
            let raw = match item {
                Item::SectionEnd => continue,
                Item::Section { raw, .. }
                | Item::Property { raw, .. }
                | Item::Comment { raw }
                | Item::Blank { raw } => raw,
                Item::Error(raw) => raw,
            };
            number += 1;
            reader.line(raw, number);
        }
        // Empty lines are part of a value only between others.
        for (_, value) in reader.ini.sections.iter_mut().flat_map(|section| &mut section.values) {
            while value.lines.len() > 1 && value.lines.last().is_some_and(|line| line.text.is_empty()) {
                value.lines.pop();
            }
        }
        (reader.ini, reader.problems)
    }
}

struct Reader {
    ini: Ini,
    /// How far the key of the current value is indented; deeper lines go on with the value.
    key_indent: Option<usize>,
    /// How far the latest heading or key was indented.
    indent: usize,
    problems: Problems,
}

impl Reader {
    fn line(&mut self, raw: &str, number: usize) {
        let whole = raw.trim();
        if whole.starts_with(['#', ';']) {
            return;
        }
        if whole.is_empty() {
            self.go_on("", number);
            return;
        }
        let indent = raw.len() - raw.trim_start().len();
        if self.key_indent.is_some_and(|key| indent > key) {
            self.go_on(without_comment(raw), number);
            return;
        }
        self.indent = indent;
        let line = without_comment(raw);
        if let Some(rest) = line.strip_prefix('[') {
            self.heading(rest, raw, number);
        } else {
            self.setting(line, number);
        }
    }

    fn heading(&mut self, rest: &str, raw: &str, number: usize) {
        self.key_indent = None;
        match rest.rsplit_once(']') {
            Some((name, _)) if !name.is_empty() => self.ini.sections.push(Section {
                name: name.trim().to_owned(),
                place: self.place(number),
                values: Vec::new(),
            }),
            _ => self.refuse(raw, number, "a heading ends with `]`"),
        }
    }

    fn setting(&mut self, written: &str, number: usize) {
        // configparser takes the first of either sign.
        let Some((key, text)) = written.split_once(['=', ':']).filter(|(key, _)| !key.trim().is_empty()) else {
            let hint = "write `key = value`, or indent the line to go on with the value above";
            return self.refuse(written, number, hint);
        };
        let line = self.value_line(text, number);
        let Some(section) = self.ini.sections.last_mut() else {
            return self.refuse(written, number, "a setting stands below a heading such as [Definition]");
        };
        section
            .values
            .push((key.trim().to_lowercase(), Value { lines: vec![line] }));
        self.key_indent = Some(self.indent);
    }

    fn go_on(&mut self, text: &str, number: usize) {
        let line = self.value_line(text, number);
        let section = self.ini.sections.last_mut();
        let value = section.and_then(|section| section.values.last_mut());
        if let (Some(_), Some((_, value))) = (self.key_indent, value) {
            value.lines.push(line);
        }
    }

    fn value_line(&self, text: &str, number: usize) -> ValueLine {
        ValueLine {
            place: self.place(number),
            text: text.trim().to_owned(),
        }
    }

    fn place(&self, line: usize) -> Place {
        Place {
            file: self.ini.file.clone(),
            line,
        }
    }

    fn refuse(&mut self, raw: &str, line: usize, hint: &str) {
        self.problems
            .add(&self.place(line), format!("cannot read `{}`", raw.trim()), hint);
    }
}

/// Cuts off a comment: a `;` after a blank.
fn without_comment(text: &str) -> &str {
    let comment = text
        .match_indices(';')
        .find(|(at, _)| text[..*at].ends_with(char::is_whitespace));
    comment.map_or(text, |(at, _)| &text[..at]).trim()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Ini {
        let (ini, problems) = Ini::parse(Path::new("jail.conf"), text);
        assert_eq!(problems, Problems::default());
        ini
    }

    fn find<'a>(ini: &'a Ini, section: &str, key: &str) -> &'a Value {
        let section = ini.sections.iter().rev().find(|known| known.name == section).unwrap();
        &section.values.iter().rev().find(|(known, _)| known == key).unwrap().1
    }

    fn value(text: &str, section: &str, key: &str) -> String {
        find(&parse(text), section, key).joined()
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
        let failregex = find(&ini, "Definition", "failregex");
        let lines: Vec<_> = failregex
            .lines
            .iter()
            .map(|line| (line.place.line, line.text.as_str()))
            .collect();
        assert_eq!(lines, [(2, "^one"), (3, "^two"), (5, "[three]")]);
        assert_eq!(value(text, "Definition", "ignoreregex"), "");
    }

    #[test]
    fn empty_lines_behind_a_value_are_no_part_of_it() {
        let ini = parse("[a]\nx = 1\n\n  2\n\n\ny = 3\n\n");
        assert_eq!(find(&ini, "a", "x").text(), "1\n\n2");
        assert_eq!(find(&ini, "a", "y").lines.len(), 1);
    }

    #[test]
    fn a_key_that_is_indented_as_the_one_above_is_a_key() {
        let text = "  [a]\n  x = 1\n  y = 2\n    3\n";
        assert_eq!(value(text, "a", "x"), "1");
        assert_eq!(value(text, "a", "y"), "2 3");
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
        let (ini, problems) = Ini::parse(Path::new("jail.conf"), "x = 1\n[a\n[a]\nnonsense\n= 1\ny = 2\n");
        assert_eq!(find(&ini, "a", "y").text(), "2", "the others are read");
        let lines: Vec<usize> = problems.0.iter().map(|problem| problem.place.line).collect();
        assert_eq!(lines, [1, 2, 4, 5]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[\\n\\r\\t \\[\\]=:;#])*") {
            let _ = Ini::parse(Path::new("x"), &text);
        }
    }
}
