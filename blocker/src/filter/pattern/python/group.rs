//! What follows an opening parenthesis: names, flags, look-around, conditions.

use super::{Flags, PatternError, Translator, wrong};

/// What closes look-around and the group around it.
pub(super) const LOOK_CLOSE: &str = "))";

impl Translator<'_> {
    /// Reads the beginning of a group whose `(` was read, and writes it.
    pub(super) fn group(&mut self) -> Result<(), PatternError> {
        if self.chars.peek() != Some(&'?') {
            // fail2ban reads `((?i)A|B)` as `(?i:A|B)`: newer Pythons take flags in the middle no longer.
            return match self.flags_ahead() {
                Some(flags) => self.scoped(&flags),
                None => {
                    self.open("(");
                    Ok(())
                }
            };
        }
        self.chars.next();
        match self.chars.next().ok_or_else(unclosed)? {
            ':' => match self.flags_ahead() {
                Some(flags) => self.scoped(&flags)?,
                None => self.open("(?:"),
            },
            'P' => self.named()?,
            '#' => {
                if !self.chars.by_ref().any(|char| char == ')') {
                    return Err(unclosed());
                }
            }
            '>' => {
                self.only_backtracking();
                self.open("(?>");
            }
            sign @ ('=' | '!') => self.look(&sign.to_string()),
            '<' => {
                let sign = self.chars.next().filter(|sign| ['=', '!'].contains(sign));
                let sign = sign.ok_or_else(|| wrong("a named group begins with `(?P<`"))?;
                self.look(&format!("<{sign}"));
            }
            '(' => self.condition()?,
            first => self.flagged(first)?,
        }
        Ok(())
    }

    fn open(&mut self, text: &str) {
        self.open_until(text, ")");
    }

    fn open_until(&mut self, text: &str, close: &'static str) {
        self.groups.push((self.flags, close, false));
        self.out.push_str(text);
        self.repeatable = false;
    }

    /// Look-around, in a group of its own for the case that it is repeated.
    fn look(&mut self, sign: &str) {
        self.backtracks = true;
        let is_flagged = self.groups.iter().any(|(.., flagged)| *flagged);
        self.looks.open(self.out.len(), sign, is_flagged);
        self.open_until(&format!("(?:(?{sign}"), LOOK_CLOSE);
    }

    /// `(?P<name>`, `(?P=name)`.
    fn named(&mut self) -> Result<(), PatternError> {
        match self.chars.next() {
            Some('<') => {
                let name = self.name('>')?;
                if self.names.contains(&name) {
                    return Err(wrong(&format!(
                        "the group `{name}` is named twice; an expression can have one <HOST> or <ADDR>, and each <F-…> once"
                    )));
                }
                self.names.push(name.clone());
                self.open(&format!("(?P<{name}>"));
            }
            Some('=') => {
                let name = self.name(')')?;
                if !self.names.contains(&name) {
                    return Err(wrong(&format!(
                        "`(?P={name})` refers to a group that no `(?P<{name}>` before it names"
                    )));
                }
                self.only_backtracking();
                self.write(&format!("(?P={name})"));
            }
            _ => return Err(wrong("after `(?P` stands `<name>` or `=name`")),
        }
        Ok(())
    }

    /// `(?(name)yes|no)`, `(?(1)yes|no)`.
    fn condition(&mut self) -> Result<(), PatternError> {
        let mut name = String::new();
        loop {
            match self.chars.next().ok_or_else(unclosed)? {
                ')' => break,
                char => name.push(char),
            }
        }
        self.only_backtracking();
        if !name.is_empty() && name.chars().all(|char| char.is_ascii_digit()) {
            self.open(&format!("(?({name})"));
        } else {
            check_name(&name)?;
            self.open(&format!("(?(<{name}>)"));
        }
        Ok(())
    }

    /// `(?flags)` for the whole expression, `(?flags:…)` for a group.
    fn flagged(&mut self, first: char) -> Result<(), PatternError> {
        let mut flags = String::new();
        let mut next = Some(first);
        loop {
            match next.ok_or_else(unclosed)? {
                ')' => return self.global(&flags),
                ':' => return self.scoped(&flags),
                char => flags.push(char),
            }
            next = self.chars.next();
        }
    }

    fn global(&mut self, flags: &str) -> Result<(), PatternError> {
        if flags.contains('x') && !self.out.is_empty() {
            return Err(wrong("the flag `x` for the whole expression stands at its beginning"));
        }
        // Pythons that take such flags in the middle let them hold from the beginning.
        let (handed_on, own) = self.parse_flags(flags)?;
        self.flags = own;
        for flag in handed_on.chars() {
            if !self.global.contains(flag) {
                self.global.push(flag);
            }
        }
        Ok(())
    }

    fn scoped(&mut self, flags: &str) -> Result<(), PatternError> {
        let (handed_on, own) = self.parse_flags(flags)?;
        self.open(&format!("(?{handed_on}:"));
        if let Some((.., flagged)) = self.groups.last_mut() {
            *flagged = !handed_on.is_empty();
        }
        self.flags = own;
        Ok(())
    }

    /// Splits flags into those that Rust knows too and those that change what is written here.
    fn parse_flags(&self, flags: &str) -> Result<(String, Flags), PatternError> {
        let (mut on, mut off, mut own, mut value) = (String::new(), String::new(), self.flags, true);
        for flag in flags.chars() {
            match flag {
                '-' if value => value = false,
                'i' | 's' if value => on.push(flag),
                'i' | 's' => off.push(flag),
                'm' => own.multi_line = value,
                'x' => own.verbose = value,
                'a' => own.ascii = value,
                // What holds anyway, and what means nothing for text.
                'u' | 'L' => {}
                _ => return Err(wrong(&format!("there is no flag `{flag}` in `(?{flags}`"))),
            }
        }
        if !off.is_empty() {
            on.push('-');
        }
        Ok((on + &off, own))
    }

    /// Reads `(?flags)` if it comes next.
    fn flags_ahead(&mut self) -> Option<String> {
        let mut ahead = self.chars.clone();
        if ahead.next() != Some('(') || ahead.next() != Some('?') {
            return None;
        }
        let mut flags = String::new();
        loop {
            match ahead.next()? {
                ')' if !flags.is_empty() => break,
                char if char.is_ascii_alphabetic() => flags.push(char),
                _ => return None,
            }
        }
        self.chars = ahead;
        Some(flags)
    }

    fn name(&mut self, end: char) -> Result<String, PatternError> {
        let mut name = String::new();
        loop {
            match self.chars.next().ok_or_else(unclosed)? {
                char if char == end => break,
                char => name.push(char),
            }
        }
        check_name(&name)?;
        Ok(name)
    }
}

/// Python takes identifiers for names; Rust's engines take those of ASCII.
fn check_name(name: &str) -> Result<(), PatternError> {
    let plain = |char: char| char.is_ascii_alphanumeric() || char == '_';
    if name.is_empty() || name.starts_with(|char: char| char.is_ascii_digit()) || !name.chars().all(plain) {
        return Err(wrong(&format!("`{name}` cannot be a group's name")));
    }
    Ok(())
}

fn unclosed() -> PatternError {
    wrong("unclosed group")
}
