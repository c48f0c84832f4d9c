//! From a regular expression as Python's `re` reads it to one for Rust's engines.
//!
//! The two languages share most of their signs and differ in what a few of them mean, without an error. So the expression is read
//! sign by sign and written anew, with every plain character escaped that Rust might take for more. What Python refuses is
//! refused here too: Rust would read something else into it.
//!
//! The text that is searched ends in a line break, as in Python's own use of it by fail2ban, so `$` is written as "before a line
//! break or at the end".

mod class;
mod group;
mod looks;

use std::iter::Peekable;
use std::str::Chars;

use self::looks::Looks;
use super::PatternError;
use super::relaxed::Relaxation;

/// An expression for Rust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::filter) struct Translated {
    /// The expression.
    pub(in crate::filter) text: String,
    /// Whether it uses what no linear-time engine can do: look-around, back references, conditions, atomic groups.
    pub(in crate::filter) backtracks: bool,
    /// What it is without its look-aheads, where it could be searched in linear time but for them.
    pub(in crate::filter) relaxation: Option<Relaxation>,
    /// An expression of which every text holds the literals in which this one matches: what look-around must find is part of it, what
    /// it must not find is left out. `None` where there is no saying.
    pub(in crate::filter) implied: Option<String>,
}

/// Which lines `^` and `$` speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::filter) enum Lines {
    /// The text is one line.
    One,
    /// The text is several lines, and each has a beginning and an end.
    Several,
    /// The text is several lines, and only the text as a whole has them.
    Together,
}

/// Translates an expression.
pub(in crate::filter) fn translate(expression: &str, lines: Lines) -> Result<Translated, PatternError> {
    let mut translator = Translator {
        chars: expression.chars().peekable(),
        out: String::with_capacity(expression.len() + 32),
        flags: Flags {
            multi_line: lines == Lines::Several,
            ..Flags::default()
        },
        groups: Vec::new(),
        names: Vec::new(),
        global: String::new(),
        backtracks: false,
        together: lines == Lines::Together,
        looks: Looks::default(),
        look_end: 0,
        repeatable: false,
    };
    translator.all()?;
    let Translator {
        out,
        global,
        backtracks,
        looks,
        ..
    } = translator;
    let flags = if global.is_empty() {
        String::new()
    } else {
        format!("(?{global})")
    };
    Ok(Translated {
        relaxation: looks.relaxation(&out, &flags).filter(|_| backtracks),
        implied: looks.implied(&out, &flags),
        text: flags + &out,
        backtracks,
    })
}

/// Python's flags that are not handed on but change what is written.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    /// `m`
    multi_line: bool,
    /// `x`: blanks and comments are no part of the expression.
    verbose: bool,
    /// `a`: `\d`, `\s` and `\w` mean ASCII.
    ascii: bool,
}

struct Translator<'a> {
    chars: Peekable<Chars<'a>>,
    out: String,
    flags: Flags,
    /// The flags that hold again when a group closes, what closes it, and whether flags were handed on for it.
    groups: Vec<(Flags, &'static str, bool)>,
    names: Vec<String>,
    /// Flags for the whole expression that Rust knows too.
    global: String,
    backtracks: bool,
    /// Whether there are line breaks within the text.
    together: bool,
    /// Where look-around stands.
    looks: Looks,
    /// Where the latest look-around ends.
    look_end: usize,
    /// Whether what was just written can be repeated, so that a second repetition is a mistake.
    repeatable: bool,
}

impl Translator<'_> {
    fn all(&mut self) -> Result<(), PatternError> {
        while let Some(char) = self.chars.next() {
            match char {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => {
                    let (flags, close, _) = self
                        .groups
                        .pop()
                        .ok_or_else(|| wrong("a `)` closes what no `(` opens"))?;
                    self.flags = flags;
                    self.write(close);
                    if close == group::LOOK_CLOSE {
                        self.look_end = self.out.len();
                        self.looks.close(self.look_end);
                    }
                }
                '*' | '+' | '?' => self.repeat(&char.to_string())?,
                '{' => match self.bounds() {
                    Some(bounds) => self.repeat(&bounds)?,
                    None => self.write(r"\{"),
                },
                '^' if self.flags.multi_line => self.write("(?m:^)"),
                '$' if self.flags.multi_line || !self.together => self.write("(?m:$)"),
                '$' => self.write(r"(?:\n?\z)"),
                '#' if self.flags.verbose => while self.chars.next().is_some_and(|char| char != '\n') {},
                blank if self.flags.verbose && blank.is_whitespace() => {}
                '^' | '.' => self.write(char.encode_utf8(&mut [0; 4])),
                '|' => {
                    self.out.push('|');
                    self.repeatable = false;
                }
                plain => self.plain(plain),
            }
        }
        if self.groups.is_empty() {
            Ok(())
        } else {
            Err(wrong("unclosed group"))
        }
    }

    /// Writes something that can be repeated.
    fn write(&mut self, text: &str) {
        self.out.push_str(text);
        self.repeatable = true;
    }

    /// Writes a character that means itself.
    fn plain(&mut self, char: char) {
        push_plain(&mut self.out, char);
        self.repeatable = true;
    }

    /// Takes note of something other than look-around that no linear-time engine can do.
    const fn only_backtracking(&mut self) {
        self.backtracks = true;
        self.looks.only_backtracking();
    }

    fn repeat(&mut self, sign: &str) -> Result<(), PatternError> {
        if !self.repeatable {
            return Err(wrong(&format!("`{sign}` repeats nothing")));
        }
        let manner = self.chars.next_if(|char| ['?', '+'].contains(char));
        self.repeatable = false;
        if self.look_end == self.out.len() {
            // Python lets look-around be repeated, which says only whether it has to hold.
            if ["*", "?"].contains(&sign) || sign.starts_with("{0") {
                self.out.truncate(self.out.len() - 1);
                self.out.push_str("|)");
                self.looks.only_backtracking();
            }
            return Ok(());
        }
        self.out.push_str(sign);
        self.out.extend(manner);
        if manner == Some('+') {
            self.only_backtracking();
        }
        Ok(())
    }

    /// Reads the rest of `{m}`, `{m,}`, `{,n}` or `{m,n}`; anything else is a plain brace, of which nothing is read.
    fn bounds(&mut self) -> Option<String> {
        let mut ahead = self.chars.clone();
        let mut inner = String::new();
        loop {
            match ahead.next()? {
                '}' => break,
                char if char.is_ascii_digit() || char == ',' => inner.push(char),
                _ => return None,
            }
        }
        let (least, most) = inner
            .split_once(',')
            .map_or((inner.as_str(), None), |(a, b)| (a, Some(b)));
        if inner.is_empty() || most.is_some_and(|most| most.contains(',')) {
            return None;
        }
        self.chars = ahead;
        let least = if least.is_empty() { "0" } else { least };
        Some(most.map_or_else(|| format!("{{{least}}}"), |most| format!("{{{least},{most}}}")))
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        let char = self
            .chars
            .next()
            .ok_or_else(|| wrong("a lone `\\` stands at the end"))?;
        match char {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                let class = shorthand(char, self.flags.ascii);
                self.write(class);
            }
            'b' | 'B' => self.write(if char == 'b' { r"\b" } else { r"\B" }),
            'A' => self.write(r"\A"),
            'Z' => self.write(r"\z"),
            '1'..='9' => self.back_reference(char)?,
            _ => {
                let char = escaped(char, &mut self.chars)?;
                self.plain(char);
            }
        }
        Ok(())
    }

    /// `\1` to `\99`, or three octal digits.
    fn back_reference(&mut self, first: char) -> Result<(), PatternError> {
        let mut digits = String::from(first);
        digits.extend(self.chars.next_if(char::is_ascii_digit));
        let mut ahead = self.chars.clone();
        if let Some(third) = ahead
            .next()
            .filter(|third| digits.len() == 2 && ('0'..='7').contains(third))
            && digits.chars().all(|digit| ('0'..='7').contains(&digit))
        {
            self.chars = ahead;
            digits.push(third);
            let code = u32::from_str_radix(&digits, 8).ok().filter(|code| *code <= 0o377);
            let char = code.and_then(char::from_u32).ok_or_else(|| bad_escape(&digits))?;
            self.plain(char);
            return Ok(());
        }
        self.only_backtracking();
        // In a group of its own, so that a digit that follows is none of its number.
        self.write(&format!("(?:\\{digits})"));
        Ok(())
    }
}

/// The class that a letter stands for. Python's blanks are more than Rust's by four control characters; its letters and digits are
/// those of Unicode's general categories, without marks and joiners.
const fn shorthand(char: char, ascii: bool) -> &'static str {
    match (char, ascii) {
        ('d', false) => r"\d",
        ('D', false) => r"\D",
        ('s', false) => r"[\s\x1c-\x1f]",
        ('S', false) => r"[^\s\x1c-\x1f]",
        ('w', false) => r"[\p{L}\p{N}_]",
        ('W', false) => r"[^\p{L}\p{N}_]",
        ('d', true) => "[0-9]",
        ('D', true) => "[^0-9]",
        ('s', true) => r"[ \t\n\r\f\v]",
        ('S', true) => r"[^ \t\n\r\f\v]",
        ('w', true) => "[0-9A-Za-z_]",
        _ => "[^0-9A-Za-z_]",
    }
}

/// The character that `\char…` means, for those escapes that mean one.
fn escaped(char: char, chars: &mut Peekable<Chars<'_>>) -> Result<char, PatternError> {
    let mut hexadecimal = |digits: usize| {
        let text: String = chars.by_ref().take(digits).collect();
        let code = u32::from_str_radix(&text, 16).ok().filter(|_| text.len() == digits);
        code.and_then(char::from_u32)
            .ok_or_else(|| bad_escape(&format!("{char}{text}")))
    };
    Ok(match char {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'f' => '\u{c}',
        'v' => '\u{b}',
        'a' => '\u{7}',
        'x' => hexadecimal(2)?,
        'u' => hexadecimal(4)?,
        'U' => hexadecimal(8)?,
        '0' => {
            let mut code = 0;
            for _ in 0..2 {
                let digit = chars.next_if(|char| ('0'..='7').contains(char));
                code = digit
                    .and_then(|digit| digit.to_digit(8))
                    .map_or(code, |digit| code * 8 + digit);
            }
            char::from_u32(code).unwrap_or('\0')
        }
        letter if letter.is_ascii_alphanumeric() => return Err(bad_escape(&letter.to_string())),
        plain => plain,
    })
}

/// Writes a character so that Rust takes it for itself, in a class too.
fn push_plain(out: &mut String, char: char) {
    if regex_syntax::is_meta_character(char) {
        out.push('\\');
        out.push(char);
    } else if char.is_control() {
        out.push_str(&format!("\\x{{{:x}}}", u32::from(char)));
    } else {
        out.push(char);
    }
}

fn bad_escape(what: &str) -> PatternError {
    PatternError {
        what: format!("there is no escape `\\{what}`"),
        hint: "write the character itself, or `\\\\` for a backslash".to_owned(),
    }
}

fn wrong(what: &str) -> PatternError {
    PatternError {
        what: what.to_owned(),
        hint: "correct the regular expression".to_owned(),
    }
}

#[cfg(test)]
mod tests;
