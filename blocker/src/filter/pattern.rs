//! From a failregex, as Python's `re` reads it, to one for Rust's `regex`.
//!
//! The two languages differ in small ways that change what matches without an error. Those are translated here, character by
//! character; what Rust's engine cannot do at all (look-around, back references) is refused.

use regex::Regex;

use super::tag;

/// Why a failregex is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PatternError {
    pub(super) what: String,
    pub(super) hint: String,
}

/// Compiles a failregex with its tags.
pub(super) fn compile(failregex: &str) -> Result<Regex, PatternError> {
    let expanded = tag::expand(&from_python(failregex))?;
    Regex::new(&expanded).map_err(|error| PatternError {
        // The error's last line says what; those before draw the expanded expression, which the reader did not write.
        what: error.to_string().lines().last().unwrap_or_default().to_owned(),
        hint: "correct the regular expression".to_owned(),
    })
}

/// Translates what both languages can say but say differently.
fn from_python(failregex: &str) -> String {
    let mut out = String::with_capacity(failregex.len() + 8);
    let mut in_class = false;
    let mut chars = failregex.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                // Word boundaries in Rust, the plain characters in Python.
                Some(plain @ ('<' | '>')) => out.push(plain),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push('\\'),
            },
            '[' if in_class => out.push_str("\\["),
            '[' => {
                in_class = true;
                out.push('[');
                if let Some(caret) = chars.next_if_eq(&'^') {
                    out.push(caret);
                }
                // A bracket that comes first is a member of the class.
                if chars.next_if_eq(&']').is_some() {
                    out.push_str("\\]");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            // Set operations in Rust, plain characters in Python.
            '&' | '~' if in_class => out.extend(['\\', char]),
            '{' if !in_class && chars.peek() == Some(&',') => out.push_str("{0"),
            _ => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_bracket_in_a_class_is_a_plain_character() {
        assert_eq!(from_python(r"[^[]*\[x\]"), r"[^\[]*\[x\]");
        assert_eq!(from_python("[]a]"), r"[\]a]");
    }

    #[test]
    fn escaped_angle_brackets_are_plain_characters() {
        assert_eq!(from_python(r"\<a\>"), "<a>");
    }

    #[test]
    fn a_repetition_may_lack_its_lower_bound() {
        assert_eq!(from_python("a{,3}"), "a{0,3}");
        assert_eq!(from_python("a{2,3}"), "a{2,3}");
    }

    #[test]
    fn doubled_signs_in_a_class_are_no_set_operation() {
        assert!(compile("<HOST> [a&&b]").unwrap().is_match("192.0.2.1 &"));
    }

    #[test]
    fn the_error_says_what_is_wrong() {
        let error = compile("(<HOST>").unwrap_err();
        assert!(error.what.contains("unclosed group"), "{}", error.what);
        let error = compile("(?=<HOST>)").unwrap_err();
        assert!(error.what.contains("look-around"), "{}", error.what);
    }
}
