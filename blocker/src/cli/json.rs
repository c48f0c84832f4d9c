//! JSON for programs that is safe on a terminal too: what a log, and so an attacker, has written moves no cursor.
//!
//! JSON itself has only the control characters below the blank escaped. The others, and those that make text run the other way, are
//! escaped here. They can stand only within strings, where a program reads the same either way.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use crate::problem::steers;

/// A value in one line.
pub(super) fn line(value: &impl Serialize) -> io::Result<String> {
    Ok(safe(&serde_json::to_string(value)?).into_owned())
}

/// Writes a value in one line, and ends that.
pub(super) fn write(value: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", line(value)?)
}

/// The same JSON without a character that steers a terminal; but for the ends of lines, in what was laid out for people.
pub(super) fn safe(json: &str) -> Cow<'_, str> {
    if json.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        if char == '\n' || !steers(char) {
            out.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            // Memory takes what is written.
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn nothing_in_json_steers_a_terminal_and_programs_read_the_same() {
        let hostile: String = (0..=0x20ff)
            .filter_map(char::from_u32)
            .chain(['\u{10ffff}', '🦀'])
            .collect();
        let value = json!({ hostile.clone(): [hostile] });
        let text = line(&value).unwrap();
        assert!(!text.chars().any(steers), "{text}");
        assert!(
            text.contains("\\u007f") && text.contains("\\u009b") && text.contains("\\u202e"),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn what_a_person_can_read_stays_as_it_is() {
        let text = "{\"jail\":\"größe 🦀\"}";
        assert_eq!(safe(text), text);
    }

    #[test]
    fn a_value_is_one_line() {
        let mut out = Vec::new();
        write(&json!({"a": "b\n\u{2028}\u{85}"}), &mut out).unwrap();
        assert_eq!(out, b"{\"a\":\"b\\n\\u2028\\u0085\"}\n");
    }
}
