//! Character classes: `[^\w.-]`.
//!
//! Rust knows classes within classes and operations between them (`[a[b]]`, `[a&&b]`), Python does not. So each member is read
//! by itself and written so that it is a member and nothing else.

use super::{PatternError, Translator, bad_escape, escaped, push_plain, shorthand, wrong};

/// A member of a class.
enum Member {
    Char(char),
    Shorthand(&'static str),
}

impl Translator<'_> {
    /// Reads a class whose `[` was read, and writes it.
    pub(super) fn class(&mut self) -> Result<(), PatternError> {
        self.out.push('[');
        if self.chars.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let char = self.chars.next().ok_or_else(unclosed)?;
            // A bracket that comes first is a member.
            if char == ']' && !first {
                break;
            }
            first = false;
            let low = self.member(char)?;
            let mut ahead = self.chars.clone();
            let range = ahead.next() == Some('-') && ahead.peek().is_some_and(|char| *char != ']');
            if !range {
                self.push_member(&low);
                continue;
            }
            self.chars = ahead;
            let char = self.chars.next().ok_or_else(unclosed)?;
            let (Member::Char(low), Member::Char(high)) = (low, self.member(char)?) else {
                return Err(wrong("a range in a character class begins or ends with a class"));
            };
            if low > high {
                return Err(wrong(&format!("the range `{low}-{high}` is empty")));
            }
            push_plain(&mut self.out, low);
            self.out.push('-');
            push_plain(&mut self.out, high);
        }
        self.write("]");
        Ok(())
    }

    fn member(&mut self, char: char) -> Result<Member, PatternError> {
        if char != '\\' {
            return Ok(Member::Char(char));
        }
        let char = self.chars.next().ok_or_else(unclosed)?;
        Ok(match char {
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => Member::Shorthand(shorthand(char, self.flags.ascii)),
            // A backspace, inside a class.
            'b' => Member::Char('\u{8}'),
            '1'..='7' => {
                let mut code = char.to_digit(8).unwrap_or_default();
                while let Some(digit) = self.chars.next_if(|char| ('0'..='7').contains(char) && code < 0o40) {
                    code = code * 8 + digit.to_digit(8).unwrap_or_default();
                }
                Member::Char(char::from_u32(code).ok_or_else(|| bad_escape(&format!("{code:o}")))?)
            }
            _ => Member::Char(escaped(char, &mut self.chars)?),
        })
    }

    fn push_member(&mut self, member: &Member) {
        match member {
            Member::Char(char) => push_plain(&mut self.out, *char),
            Member::Shorthand(class) => self.out.push_str(class),
        }
    }
}

fn unclosed() -> PatternError {
    wrong("unclosed character class")
}
