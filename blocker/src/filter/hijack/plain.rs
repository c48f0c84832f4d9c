//! An expression of the engine that goes back, in the words of the one whose parser is at hand.
//!
//! That parser knows no look-around, back references, conditions or atomic groups. They are written as what a text that matches looks
//! like; whether it does match is for the real expression to say, on which every text that is made from the result is tried.

/// What becomes of look-around that wants something to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookAround {
    /// It is left out: what comes next in the expression has to look like it anyway.
    Dropped,
    /// It is written as a group: nothing else in the expression says what stands there.
    Written,
}

/// The expression, in plain words.
#[derive(Debug)]
pub(super) struct Plain {
    /// It, with an empty group in the place of each back reference.
    pub(super) text: String,
    /// The names of those groups, each with the number of the group that it refers to.
    pub(super) back: Vec<(String, u32)>,
    /// Whether it looks around for something that is to be there.
    pub(super) looks: bool,
}

/// Writes an expression in plain words; none where it refers to a group that there is not.
pub(super) fn plain(expression: &str, look_around: LookAround) -> Option<Plain> {
    let mut writer = Writer {
        look_around,
        out: String::with_capacity(expression.len()),
        open: Vec::new(),
        dropped: 0,
        groups: vec![Some(0)],
        names: Vec::new(),
        written: 0,
        back: Vec::new(),
        looks: false,
    };
    let mut rest = expression;
    while !rest.is_empty() {
        let len = writer.next(rest)?;
        rest = &rest[len..];
    }
    Some(Plain {
        text: writer.out,
        back: writer.back,
        looks: writer.looks,
    })
}

/// A group that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Kept,
    Dropped,
    /// A condition, and whether it says what else there should be.
    Condition {
        has_else: bool,
    },
}

struct Writer {
    look_around: LookAround,
    out: String,
    open: Vec<Open>,
    /// How many of the open groups are left out.
    dropped: usize,
    /// What number each group has in what is written; none where it is left out.
    groups: Vec<Option<u32>>,
    names: Vec<(String, Option<u32>)>,
    /// Numbered groups that were written.
    written: u32,
    back: Vec<(String, u32)>,
    looks: bool,
}

impl Writer {
    /// Writes what comes first in `rest`, and says how long that was.
    fn next(&mut self, rest: &str) -> Option<usize> {
        let first = rest.chars().next()?;
        match first {
            '\\' => {
                let digits = &rest[1..];
                let digits = &digits[..digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len())];
                if digits.is_empty() || digits.starts_with('0') {
                    let len = rest.chars().take(2).map(char::len_utf8).sum();
                    self.write(&rest[..len]);
                    return Some(len);
                }
                let group = self.groups.get(digits.parse::<usize>().ok()?).copied()?;
                self.refer(group?);
                Some(1 + digits.len())
            }
            '[' => {
                let len = class_len(rest);
                self.write(&rest[..len]);
                Some(len)
            }
            '(' => self.group(rest),
            ')' => {
                match self.open.pop() {
                    Some(Open::Dropped) => self.dropped -= 1,
                    Some(Open::Condition { has_else: false }) => self.write(")?"),
                    Some(Open::Kept | Open::Condition { .. }) | None => self.write(")"),
                }
                Some(1)
            }
            _ => {
                if let ('|', Some(Open::Condition { has_else })) = (first, self.open.last_mut()) {
                    *has_else = true;
                }
                self.write(&rest[..first.len_utf8()]);
                Some(first.len_utf8())
            }
        }
    }

    /// Writes the beginning of a group.
    fn group(&mut self, rest: &str) -> Option<usize> {
        for (sign, is_wanted) in [("(?=", true), ("(?<=", true), ("(?!", false), ("(?<!", false)] {
            if rest.starts_with(sign) {
                self.looks |= is_wanted;
                if is_wanted && self.look_around == LookAround::Written {
                    self.begin("(?:", Open::Kept);
                } else {
                    self.dropped += 1;
                    self.open.push(Open::Dropped);
                }
                return Some(sign.len());
            }
        }
        if rest.starts_with("(?>") {
            self.begin("(?:", Open::Kept);
            return Some(3);
        }
        if rest.starts_with("(?(") {
            self.begin("(?:", Open::Condition { has_else: false });
            return Some(rest.find(')')? + 1);
        }
        if let Some(name) = rest.strip_prefix("(?P=") {
            let name = &name[..name.find(')')?];
            let (_, group) = self.names.iter().find(|(known, _)| known == name)?;
            self.refer((*group)?);
            return Some("(?P=)".len() + name.len());
        }
        if let Some(name) = rest.strip_prefix("(?P<") {
            let name = &name[..name.find('>')?];
            let group = self.numbered();
            self.names.push((name.to_owned(), group));
            let len = "(?P<>".len() + name.len();
            self.begin(&rest[..len], Open::Kept);
            return Some(len);
        }
        if rest.starts_with("(?") {
            self.begin("(?", Open::Kept);
            return Some(2);
        }
        self.numbered();
        self.begin("(", Open::Kept);
        Some(1)
    }

    fn begin(&mut self, text: &str, open: Open) {
        self.write(text);
        self.open.push(open);
    }

    /// Gives the next group its number.
    fn numbered(&mut self) -> Option<u32> {
        let number = (self.dropped == 0).then(|| {
            self.written += 1;
            self.written
        });
        self.groups.push(number);
        number
    }

    /// Writes a back reference.
    fn refer(&mut self, group: u32) {
        if self.dropped > 0 {
            return;
        }
        self.written += 1;
        let name = format!("back_reference_{}", self.written);
        self.write(&format!("(?P<{name}>)"));
        self.back.push((name, group));
    }

    fn write(&mut self, text: &str) {
        if self.dropped == 0 {
            self.out.push_str(text);
        }
    }
}

/// How long the class at the beginning is, with the classes in it.
fn class_len(text: &str) -> usize {
    let (mut depth, mut escaped) = (0_usize, false);
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => depth += 1,
            ']' => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_parser_does_not_know_is_written_as_what_matches() {
        for (expression, dropped, written) in [
            (r"a(?:(?=b(c)))d[\](?=]", r"a(?:)d[\](?=]", r"a(?:(?:b(c)))d[\](?=]"),
            (r"(?!a)(?>b)", "(?:b)", "(?:b)"),
            (
                "(?P<a>x)?(?(<a>)y)(?(1)y|z)",
                "(?P<a>x)?(?:y)?(?:y|z)",
                "(?P<a>x)?(?:y)?(?:y|z)",
            ),
        ] {
            assert_eq!(plain(expression, LookAround::Dropped).unwrap().text, dropped);
            assert_eq!(plain(expression, LookAround::Written).unwrap().text, written);
        }
    }

    #[test]
    fn a_back_reference_says_to_which_group() {
        let expression = r#"(?:(?=(x)))(a)(?:\2)(?P<q>["'])(?P=q)"#;
        let dropped = plain(expression, LookAround::Dropped).unwrap();
        assert_eq!(dropped.back.iter().map(|(_, group)| *group).collect::<Vec<_>>(), [1, 3]);
        let written = plain(expression, LookAround::Written).unwrap();
        assert_eq!(written.back.iter().map(|(_, group)| *group).collect::<Vec<_>>(), [2, 4]);
        assert!(plain(r"(?:(?=(x)))(?:\1)", LookAround::Dropped).is_none());
    }
}
