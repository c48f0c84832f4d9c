//! The fields of a date pattern: the letters of `strptime(3)`, and what each of them looks for in a line.

use super::super::pattern::PatternError;
use super::number::{self, Padding};

/// The months as the C locale shortens them.
pub(super) const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The months in full.
pub(super) const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The days of the week as the C locale shortens them, from Monday as ISO 8601 counts them.
pub(super) const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The days of the week in full.
pub(super) const DAY_NAMES: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// What stands between `%` and the letter of a field that takes less than it usually does.
const EXACT: &str = "Ex";

/// A pattern whose fields are replaced by groups of their names.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// The pattern, in Python's language.
    pub(super) expression: String,
    /// Whether fields of words are among them, which may be written in either case.
    pub(super) has_words: bool,
}

/// Replaces the fields of a pattern.
pub(super) fn replace(pattern: &str) -> Result<Fields, PatternError> {
    let mut fields = Fields::default();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('%') {
        fields.expression.push_str(before);
        let exact = after.strip_prefix(EXACT);
        let mut letters = exact.unwrap_or(after).chars();
        let letter = letters.next().ok_or_else(|| unknown(after))?;
        rest = letters.as_str();
        if exact.is_none()
            && let Some(several) = composite(letter)
        {
            let several = replace(several)?;
            fields.expression.push_str(&several.expression);
            fields.has_words |= several.has_words;
            continue;
        }
        let meaning = exact.map_or_else(|| usual(letter), |_| strict(letter));
        fields.expression.push_str(&meaning.ok_or_else(|| unknown(after))?);
        fields.has_words |= "aAbBp".contains(letter);
    }
    fields.expression.push_str(rest);
    Ok(fields)
}

/// The fields that a letter stands for in the C locale; `None` for a field of its own.
const fn composite(letter: char) -> Option<&'static str> {
    Some(match letter {
        'c' => "%a %b %d %H:%M:%S %Y",
        'x' => "%m/%d/%y",
        'X' => "%H:%M:%S",
        _ => return None,
    })
}

/// The expression for a field; `None` for a letter that names none.
fn usual(letter: char) -> Option<String> {
    Some(match letter {
        'Y' => group(letter, &number::range(0..=9999, Padding::Full)),
        'y' => group(letter, &number::range(0..=99, Padding::Full)),
        'm' => group(letter, &number::range(1..=12, Padding::Zero)),
        'd' => group(letter, &number::range(1..=31, Padding::ZeroOrBlank)),
        'j' => group(letter, &number::range(1..=366, Padding::Zero)),
        'w' => group(letter, &number::range(0..=6, Padding::None)),
        'U' | 'W' => group(letter, &number::range(0..=53, Padding::Zero)),
        'H' => group(letter, &number::range(0..=23, Padding::Zero)),
        'I' => group(letter, &number::range(1..=12, Padding::Zero)),
        // Hours that there are not are taken too: what has one is a date, though none that can be.
        'k' => behind_blank(&group('H', &number::range(0..=29, Padding::Zero))),
        'l' => behind_blank(&group('I', &number::range(0..=19, Padding::None))),
        'M' => group(letter, &number::range(0..=59, Padding::Zero)),
        // Two leap seconds at once, as the C standard once had it.
        'S' => group(letter, &number::range(0..=61, Padding::Zero)),
        'f' => group(letter, "[0-9]{1,6}"),
        'a' => group(letter, &DAYS.join("|")),
        'A' => group(letter, &DAY_NAMES.join("|")),
        'b' => group(letter, &MONTHS.join("|")),
        'B' => group(letter, &MONTH_NAMES.join("|")),
        'p' => group(letter, "am|pm"),
        'Z' => group(letter, &zone_name("Z")),
        'z' => group(letter, &format!("Z|UTC|GMT|{}", offset())),
        '%' => "%".to_owned(),
        _ => return None,
    })
}

/// The expression for a field of the kind that takes less, or, of zones, more exactly what there is.
fn strict(letter: char) -> Option<String> {
    Some(match letter {
        // A log is of this century: any other four digits are something else.
        'Y' => group(letter, &number::range(2000..=2099, Padding::Full)),
        'y' => group(letter, &number::range(0..=99, Padding::Full)),
        'm' => group(letter, &number::range(1..=12, Padding::Full)),
        'd' => group(letter, &number::range(1..=31, Padding::Full)),
        'H' => group(letter, &number::range(0..=23, Padding::Full)),
        'k' => behind_blank(&group('H', &number::range(0..=23, Padding::Zero))),
        'l' => behind_blank(&group('I', &number::range(0..=12, Padding::None))),
        'M' => group(letter, &number::range(0..=59, Padding::Full)),
        'S' => group(letter, &number::range(0..=61, Padding::Full)),
        'Z' => group(letter, &zone_name("[A-Z]")),
        'z' => {
            let (name, offset) = (zone_name("[A-Z]"), offset());
            group(letter, &format!("(?:{name})(?:{offset})?|{offset}"))
        }
        _ => return None,
    })
}

fn group(name: char, expression: &str) -> String {
    format!("(?P<{name}>{expression})")
}

/// A field before which a blank may stand where it is short; the blank is no part of it.
fn behind_blank(expression: &str) -> String {
    // In a class, since blanks at a pattern's ends are cut off.
    format!("[ ]?{expression}")
}

/// A zone's abbreviation, or a single letter.
fn zone_name(letter: &str) -> String {
    format!("[A-Z]{{3,5}}|{letter}")
}

/// Hours, or hours and minutes, from Greenwich. No zone is twenty hours away: a number like that is something else.
fn offset() -> String {
    format!("[+-](?:{})(?::?[0-9]{{2}})?", number::range(0..=19, Padding::Full))
}

fn unknown(after: &str) -> PatternError {
    let len = if after.starts_with(EXACT) { EXACT.len() + 1 } else { 1 };
    let field: String = after.chars().take(len).collect();
    PatternError {
        what: format!("there is no field `%{field}`"),
        hint: "fields are those of strptime, %k, %l, and %Ex with one of Y y m d H k l M S Z z; write `%%` for a percent sign (`%%%%` in a file)"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    /// What a field reads of a text, if it is all of the text.
    fn read(field: &str, text: &str) -> Option<String> {
        let fields = replace(field).unwrap();
        let regex = Regex::new(&format!("^(?:{})$", fields.expression)).unwrap();
        let captures = regex.captures(text)?;
        let group = captures.iter().skip(1).flatten().next()?;
        Some(group.as_str().to_owned())
    }

    #[test]
    fn a_field_takes_what_programs_write_for_it() {
        for (field, text) in [
            ("%Y", "1999"),
            ("%ExY", "2005"),
            ("%y", "05"),
            ("%m", "8"),
            ("%Exm", "08"),
            ("%d", " 4"),
            ("%Exd", "04"),
            ("%H", "7"),
            ("%ExH", "07"),
            ("%k", "29"),
            ("%Exl", "12"),
            ("%S", "61"),
            ("%f", "123456"),
            ("%j", "001"),
            ("%a", "Sun"),
            ("%A", "Sunday"),
            ("%b", "May"),
            ("%B", "August"),
            ("%p", "pm"),
            ("%Z", "CEST"),
            ("%Z", "Z"),
            ("%ExZ", "A"),
            ("%z", "UTC"),
            ("%z", "-03:30"),
            ("%z", "+02"),
            ("%Exz", "CET"),
            ("%Exz", "+0200"),
            ("%Exz", "UTC+02:00"),
        ] {
            assert_eq!(read(field, text).as_deref(), Some(text), "{field}");
        }
    }

    #[test]
    fn a_field_leaves_what_is_none() {
        for (field, text) in [
            ("%Y", "199"),
            ("%ExY", "1999"),
            ("%ExY", "2100"),
            ("%m", "13"),
            ("%Exm", "8"),
            ("%d", "0"),
            ("%Exd", " 4"),
            ("%H", "24"),
            ("%Exk", "24"),
            ("%l", "07"),
            ("%Exl", "13"),
            ("%M", "60"),
            ("%S", "62"),
            ("%f", "1234567"),
            ("%j", "367"),
            ("%w", "7"),
            ("%Z", "A"),
            ("%Z", "ABCDEF"),
            ("%ExZ", "AB"),
            ("%z", "CET"),
            ("%z", "+2"),
            ("%z", "+20"),
            ("%Exz", "CET+"),
        ] {
            assert_eq!(read(field, text), None, "{field} {text}");
        }
    }

    #[test]
    fn a_blank_before_an_hour_is_no_part_of_it() {
        for field in ["%k", "%Exk", "%l", "%Exl"] {
            assert_eq!(read(field, " 7").as_deref(), Some("7"), "{field}");
        }
    }

    #[test]
    fn only_words_may_be_written_in_either_case() {
        for (pattern, expected) in [
            ("%d %b", true),
            ("%c", true),
            ("%x %X", false),
            ("%H %z %Z %Exz %%b", false),
        ] {
            assert_eq!(replace(pattern).unwrap().has_words, expected, "{pattern}");
        }
    }

    #[test]
    fn an_unknown_field_is_named() {
        for (pattern, field) in [
            ("%Y %Q", "`%Q`"),
            ("%Exf", "`%Exf`"),
            ("%Exc", "`%Exc`"),
            ("%", "`%`"),
            ("%Ex", "`%Ex`"),
        ] {
            let error = replace(pattern).unwrap_err();
            assert!(error.what.contains(field), "{error:?}");
        }
    }
}
