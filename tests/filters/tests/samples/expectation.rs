//! What must be found in a line.

use std::net::IpAddr;

use blocker::filter::date::parse_zone;
use blocker::filter::matcher::Hit;
use blocker::filter::pattern::facts::Fact;
use jiff::civil::DateTime;
use serde_json::{Map, Value};

/// Keys that say something else than what a group must hold.
const OTHERS: [&str; 4] = ["time", "match", "desc", "constraint"];

/// An answer: `{"match": true, "time": "2005-02-07T15:10:42", "host": "192.0.2.4"}`.
pub struct Expectation<'a>(pub &'a Map<String, Value>);

impl Expectation<'_> {
    /// Whether the failures found are those that must be, or what is wrong.
    pub fn holds(&self, hits: &[Hit]) -> Result<(), String> {
        let matches = self.0.get("match").and_then(Value::as_bool).unwrap_or_default();
        let hit = match (hits, matches) {
            ([], false) => return Ok(()),
            ([], true) => return Err("is missed".to_owned()),
            ([_, ..], false) => return Err(format!("matches, and should not: {}", hits[0].facts)),
            ([hit], true) => hit,
            (hits, true) => {
                let regexes: Vec<usize> = hits.iter().map(|hit| hit.failregex).collect();
                return Err(format!("several failregexes match: {regexes:?}"));
            }
        };
        for (key, expected) in self.0.iter().filter(|(key, _)| !OTHERS.contains(&key.as_str())) {
            let found = found(hit, key);
            if !same(key, &found, expected) {
                return Err(format!("{key} is {found}, not {expected}"));
            }
        }
        match self.0.get("time").and_then(Value::as_str) {
            None => Ok(()),
            Some(text) => time_is(hit, text),
        }
    }
}

fn found(hit: &Hit, key: &str) -> Value {
    match (hit.facts.get(key), key) {
        (Some(Fact::Text(text)), _) => text.as_str().into(),
        (Some(Fact::Tuple(texts)), _) => texts.clone().into(),
        (Some(Fact::Set(texts)), _) => texts.iter().cloned().collect::<Vec<_>>().into(),
        (None, "host") => hit.identity.as_ref().map_or(Value::Null, |id| id.to_string().into()),
        (None, "attempts") => hit.lines.into(),
        (None, _) => Value::Null,
    }
}

fn same(key: &str, found: &Value, expected: &Value) -> bool {
    let address = |value: &Value| value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
    if key == "host" && address(found).is_some() {
        return address(found) == address(expected);
    }
    match (found, expected) {
        (Value::Array(found), Value::Array(expected)) => {
            let sorted = |values: &[Value]| {
                let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
                texts.sort();
                texts
            };
            sorted(found) == sorted(expected)
        }
        _ => found == expected,
    }
}

fn time_is(hit: &Hit, text: &str) -> Result<(), String> {
    let zone = parse_zone(super::ZONE).unwrap();
    let expected = DateTime::strptime("%Y-%m-%dT%H:%M:%S%.f", text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let expected = zone.to_timestamp(expected).unwrap();
    if hit.time == Some(expected) {
        return Ok(());
    }
    Err(format!(
        "time is {:?}, not {expected}",
        hit.time.map(|time| time.to_string())
    ))
}

/// The Python expressions that the files use: a comparison of the filter's name or of an option with a text.
pub fn condition(text: &str, name: &str, set: &Map<String, Value>) -> bool {
    let (left, equal, right) = match (text.split_once("=="), text.split_once("!=")) {
        (Some((left, right)), _) => (left.trim(), true, right.trim()),
        (None, Some((left, right))) => (left.trim(), false, right.trim()),
        (None, None) => panic!("a condition that is not understood: {text}"),
    };
    let right = right.trim_matches(['\'', '"']);
    let left = match left.strip_prefix("opts.get(").and_then(|rest| rest.strip_suffix(')')) {
        Some(key) => set
            .get(key.trim_matches(['\'', '"']))
            .and_then(Value::as_str)
            .unwrap_or_default(),
        None if left == "name" => name,
        None => panic!("a condition that is not understood: {text}"),
    };
    (left == right) == equal
}
