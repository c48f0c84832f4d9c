//! The fields of a date pattern, as `strptime` names them, with fail2ban's own: `%Ex…` for exact widths, `%k` and `%l` for hours that
//! may be padded with a blank.

use super::super::pattern::PatternError;

/// Three letters for each month, as the C locale and RFC 3164 write them.
pub(super) const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
pub(super) const MONTH_NAMES: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Week days; they say nothing that the date does not, except beside a week's number.
pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
pub(super) const DAY_NAMES: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// A zone's abbreviation: `Z`, `CET`, `YEKT`.
const ABBREVIATION: &str = "[A-Z](?:[A-Z]{2,4})?";

/// A pattern whose fields are replaced by groups of their names.
#[derive(Debug)]
pub(super) struct Fields {
    /// The pattern, in Python's language.
    pub(super) expression: String,
    /// Whether fields of letters are among them, which may be written in either case.
    pub(super) has_letters: bool,
    /// Whether the pattern names any field at all.
    pub(super) has_any: bool,
    /// Whether the pattern says the year and the day, so that its dates do not depend on the clock.
    pub(super) is_absolute: bool,
}

/// Replaces the fields of a pattern.
pub(super) fn replace(pattern: &str) -> Result<Fields, PatternError> {
    let mut fields = Fields {
        expression: String::with_capacity(pattern.len() * 4),
        has_letters: false,
        has_any: false,
        is_absolute: false,
    };
    let (mut year, mut day) = (false, false);
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('%') {
        fields.expression.push_str(before);
        let exact = after.strip_prefix("Ex");
        let letter = exact.unwrap_or(after).chars().next();
        let Some(meaning) = letter.and_then(|letter| meaning(letter, exact.is_some())) else {
            return Err(unknown(pattern, after));
        };
        fields.expression.push_str(&meaning);
        let letter = letter.unwrap_or_default();
        fields.has_letters |= "aAbBpc".contains(letter) && exact.is_none();
        fields.has_any |= letter != '%';
        year |= "YycxG".contains(letter);
        day |= "djcx".contains(letter);
        rest = &exact.unwrap_or(after)[letter.len_utf8()..];
    }
    fields.expression.push_str(rest);
    // `(?: %ExY)?` may be absent, and then the date depends on the clock after all.
    fields.is_absolute = year && day && !pattern.contains("Y)?") && !pattern.contains("y)?");
    Ok(fields)
}

/// The expression for a field; `None` for a letter that names none.
fn meaning(letter: char, exact: bool) -> Option<String> {
    let digits = |name: char, expression: &str| format!("(?P<{name}>{expression})");
    let words = |name: char, words: &[&str]| format!("(?P<{name}>{})", words.join("|"));
    Some(match (letter, exact) {
        ('%', false) => "%".to_owned(),
        ('Y', false) => digits('Y', r"\d{4}"),
        // This century, so that no other number is taken for a year.
        ('Y', true) => digits('Y', r"20\d\d"),
        ('y', _) => digits('y', r"\d{2}"),
        ('m', false) => digits('m', "0?[1-9]|1[0-2]"),
        ('m', true) => digits('m', "0[1-9]|1[0-2]"),
        ('d', false) => digits('d', r"[1-2]\d|[0 ]?[1-9]|3[0-1]"),
        ('d', true) => digits('d', r"[1-2]\d|0[1-9]|3[0-1]"),
        ('H', false) => digits('H', r"[0-1]?\d|2[0-3]"),
        ('H', true) => digits('H', r"[0-1]\d|2[0-3]"),
        ('k', false) => format!(" ?{}", digits('H', r"[0-2]?\d")),
        ('k', true) => format!(" ?{}", digits('H', r"[0-1]?\d|2[0-3]")),
        ('I', false) => digits('I', "1[0-2]|0[1-9]|[1-9]"),
        ('l', false) => format!(" ?{}", digits('I', r"1?\d")),
        ('l', true) => format!(" ?{}", digits('I', r"1[0-2]|\d")),
        ('M', false) => digits('M', r"[0-5]?\d"),
        ('M', true) => digits('M', r"[0-5]\d"),
        ('S', false) => digits('S', r"[0-5]?\d|6[0-1]"),
        ('S', true) => digits('S', r"[0-5]\d|6[0-1]"),
        ('f', false) => digits('f', r"\d{1,6}"),
        ('j', false) => digits('j', r"36[0-6]|3[0-5]\d|[1-2]\d\d|0[1-9]\d|00[1-9]|[1-9]\d|0[1-9]|[1-9]"),
        ('w', false) => digits('w', "[0-6]"),
        ('U' | 'W', false) => digits(letter, r"5[0-3]|[0-4]\d|\d"),
        ('p', false) => words('p', &["am", "pm"]),
        ('a', false) => words('a', &DAYS),
        ('A', false) => words('A', &DAY_NAMES),
        ('b', false) => words('b', &MONTHS),
        ('B', false) => words('B', &MONTH_NAMES),
        ('Z', false) => "(?P<Z>Z|[A-Z]{3,5})".to_owned(),
        ('Z', true) => format!("(?P<Z>{ABBREVIATION})"),
        ('z', false) => r"(?P<z>Z|UTC|GMT|[+-][01]\d(?::?\d{2})?)".to_owned(),
        ('z', true) => format!(r"(?P<z>(?:{ABBREVIATION})?[+-][01]\d(?::?\d{{2}})?|{ABBREVIATION})"),
        // The C locale's composites.
        ('c', false) => format!(
            "{} {} {} {} {}",
            meaning('a', false)?,
            meaning('b', false)?,
            meaning('d', false)?,
            meaning('X', false)?,
            meaning('Y', false)?
        ),
        ('x', false) => format!(
            "{}/{}/{}",
            meaning('m', false)?,
            meaning('d', false)?,
            meaning('y', false)?
        ),
        ('X', false) => format!(
            "{}:{}:{}",
            meaning('H', false)?,
            meaning('M', false)?,
            meaning('S', false)?
        ),
        _ => return None,
    })
}

fn unknown(pattern: &str, after: &str) -> PatternError {
    let field: String = after
        .chars()
        .take(if after.starts_with("Ex") { 3 } else { 1 })
        .collect();
    PatternError {
        what: format!("there is no field `%{field}` in the date pattern `{pattern}`"),
        hint: "fields are those of strptime, %k, %l, and %Ex with one of Y y m d H k l M S Z z; write `%%` for a percent sign (`%%%%` in a file)"
            .to_owned(),
    }
}
