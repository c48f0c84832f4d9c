//! `<x>`: a filter's parameters and keys, put in wherever they are named, the innermost first: `<mdre-<mode>>`.
//!
//! It happens after interpolation and before a regular expression is looked at, so what no key is named after stays as it is:
//! `<HOST>` and its relatives mean something to the next stage, and any other may be what the log itself says.

use std::collections::BTreeMap;

use super::interpolate::{MAX_LEN, too_long};
use super::value::{Builder, Value};
use crate::problem::Problem;

/// How often one name may be put into one value, as in fail2ban; beyond it the names go round in circles.
const MAX_TIMES: usize = 25;

/// Puts into `value`, which is that of `key`, what `meaning` says of each name.
///
/// # Errors
///
/// When a name stands for itself, or `meaning` has a problem with one.
pub(super) fn substitute(
    key: &str,
    mut value: Value,
    meaning: impl Fn(&str) -> Result<Option<Value>, Problem>,
) -> Result<Value, Problem> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    let mut plain: Vec<String> = Vec::new();
    while let Some(name) = first_name(&value, &plain) {
        let Some(meant) = meaning(&name)? else {
            plain.push(name);
            continue;
        };
        let count = times.entry(name.clone()).or_default();
        *count += 1;
        if name == key || *count > MAX_TIMES {
            return Err(Problem {
                place: value.place(),
                what: format!("`<{name}>` stands for itself, in the value of `{key}`"),
                hint: "break the circle; `<known/name>` is the value from before this file".to_owned(),
            });
        }
        value = put_in(&value, &format!("<{name}>"), &meant);
        if value.len() > MAX_LEN {
            return Err(too_long(&name, &value.place()));
        }
    }
    Ok(value)
}

/// The first name between angle brackets, the innermost of nested ones, that is not known to be plain text.
fn first_name(value: &Value, plain: &[String]) -> Option<String> {
    value.lines.iter().find_map(|line| {
        let mut rest = line.text.as_str();
        while let Some(end) = rest.find('>') {
            if let Some(start) = rest[..end].rfind('<') {
                let name = &rest[start + 1..end];
                if !name.is_empty() && !name.contains(' ') && !plain.iter().any(|known| known == name) {
                    return Some(name.to_owned());
                }
            }
            rest = &rest[end + 1..];
        }
        None
    })
}

fn put_in(value: &Value, tag: &str, meant: &Value) -> Value {
    let mut builder = Builder::new(&value.place());
    for (n, line) in value.lines.iter().enumerate() {
        if n > 0 {
            builder.break_line(line.place.clone());
        }
        for (m, part) in line.text.split(tag).enumerate() {
            if m > 0 {
                builder.insert(meant);
            }
            builder.push(part);
        }
    }
    builder.finish()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::problem::Place;

    fn value(text: &str) -> Value {
        Value::given(&Place::file(Path::new("x.conf")), text)
    }

    fn run(text: &str, names: &[(&str, &str)]) -> Result<String, Problem> {
        let meaning = |name: &str| {
            Ok(names
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, text)| value(text)))
        };
        substitute("failregex", value(text), meaning).map(|value| value.text())
    }

    #[test]
    fn the_innermost_name_comes_first() {
        let names = [("mode", "more"), ("mdre-more", "^a <HOST>\n^b <HOST>")];
        assert_eq!(run("<mdre-<mode>>", &names).unwrap(), "^a <HOST>\n^b <HOST>");
    }

    #[test]
    fn what_no_key_is_named_after_stays() {
        let names = [("x", "1")];
        assert_eq!(
            run("<HOST> from=<> <a b> <x> </F-USER> <", &names).unwrap(),
            "<HOST> from=<> <a b> 1 </F-USER> <"
        );
    }

    #[test]
    fn a_circle_is_named() {
        for names in [[("a", "<b>"), ("b", "<a>")], [("a", "<failregex>"), ("failregex", "x")]] {
            let problem = run("<a>", &names).unwrap_err();
            assert!(problem.what.contains("stands for itself"), "{problem}");
        }
    }

    #[test]
    fn names_that_multiply_come_to_an_end() {
        let eight = |name: &str| name.repeat(8);
        let names = [
            ("a", eight("<b>")),
            ("b", eight("<c>")),
            ("c", eight("<d>")),
            ("d", eight("<e>")),
            ("e", eight("<f>")),
            ("f", eight("xxxxxxxxxx")),
        ];
        let names: Vec<(&str, &str)> = names.iter().map(|(name, text)| (*name, text.as_str())).collect();
        assert!(run(&"<a>".repeat(8), &names).unwrap_err().hint.contains("KiB"));
    }
}
