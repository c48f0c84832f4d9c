//! One entry of the journal, as journalctl(1) writes it in JSON, and the line that it is to filters.
//!
//! A filter sees what fail2ban's systemd backend would show it: `HOST IDENTIFIER[PID]: MESSAGE`, in one line, without a date.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The fields that are asked for; the cursor and the time come unasked.
pub const FIELDS: &str = "MESSAGE,SYSLOG_IDENTIFIER,SYSLOG_PID,_COMM,_PID,_HOSTNAME,_SOURCE_MONOTONIC_TIMESTAMP";

/// An entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The journal's own name for it.
    pub cursor: String,
    /// When the journal took it.
    pub time: Timestamp,
    /// As filters see it.
    pub line: String,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "__CURSOR")]
    cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    time: String,
    #[serde(rename = "MESSAGE", default)]
    message: Value,
    #[serde(rename = "SYSLOG_IDENTIFIER", default)]
    identifier: Value,
    #[serde(rename = "SYSLOG_PID", default)]
    syslog_pid: Value,
    #[serde(rename = "_COMM", default)]
    command: Value,
    #[serde(rename = "_PID", default)]
    pid: Value,
    #[serde(rename = "_HOSTNAME", default)]
    host: Value,
    #[serde(rename = "_SOURCE_MONOTONIC_TIMESTAMP", default)]
    monotonic: Value,
}

impl Entry {
    /// Reads an entry; `None` for anything else.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        let fields: Fields = serde_json::from_slice(json).ok()?;
        let microseconds = fields.time.parse().ok()?;
        Some(Self {
            time: Timestamp::from_microsecond(microseconds).ok()?,
            line: fields.line(),
            cursor: fields.cursor,
        })
    }
}

impl Fields {
    fn line(&self) -> String {
        let mut parts = Vec::with_capacity(4);
        parts.extend(text(&self.host));
        if let Some(name) = text(&self.identifier).or_else(|| text(&self.command)) {
            let pid = text(&self.syslog_pid).or_else(|| text(&self.pid));
            let pid = pid.map(|pid| format!("[{pid}]")).unwrap_or_default();
            parts.push(format!("{name}{pid}:"));
        }
        if parts.last().is_some_and(|tag| tag == "kernel:") {
            let since_boot = text(&self.monotonic).and_then(|text| text.parse::<u64>().ok());
            parts.extend(since_boot.map(|time| format!("[{:5}.{:06}]", time / 1_000_000, time % 1_000_000)));
        }
        parts.push(message(&self.message));
        // A line break would be the end to some expressions, and what stands behind it may be the client's words.
        parts.join(" ").replace('\n', "\\n")
    }
}

/// A field's text; `None` where it is absent or empty. Of several values of one name the first counts.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(values) => bytes(values).or_else(|| values.first().and_then(text))?,
        Value::Null | Value::Bool(_) | Value::Object(_) => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

/// A message, of which an entry may have several. One that journalctl leaves out for its length is empty.
fn message(value: &Value) -> String {
    match value {
        Value::Array(values) => bytes(values).unwrap_or_else(|| {
            let all: Vec<String> = values.iter().filter_map(text).collect();
            all.join(" ")
        }),
        value => text(value).unwrap_or_default(),
    }
}

/// What is no UTF-8, or holds control characters, comes as a list of bytes.
fn bytes(values: &[Value]) -> Option<String> {
    let byte = |value: &Value| value.as_u64().and_then(|number| u8::try_from(number).ok());
    let bytes: Option<Vec<u8>> = values.iter().map(byte).collect();
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(fields: &str) -> String {
        let json = format!("{{\"__CURSOR\":\"s=1\",\"__REALTIME_TIMESTAMP\":\"1795543220973903\",{fields}}}");
        Entry::parse(json.as_bytes()).expect("an entry").line
    }

    #[test]
    fn an_entry_is_the_line_that_fail2bans_filters_expect() {
        let host = r#""_HOSTNAME":"relay","_PID":"12","#;
        let cases = [
            (
                r#""SYSLOG_IDENTIFIER":"postfix/smtpd","MESSAGE":"hello""#,
                "relay postfix/smtpd[12]: hello",
            ),
            (r#""_COMM":"smtpd","MESSAGE":"hello""#, "relay smtpd[12]: hello"),
            (
                r#""SYSLOG_IDENTIFIER":"a","SYSLOG_PID":"7","MESSAGE":"x""#,
                "relay a[7]: x",
            ),
            (r#""SYSLOG_IDENTIFIER":"a","MESSAGE":null"#, "relay a[12]: "),
            (
                r#""SYSLOG_IDENTIFIER":"a","MESSAGE":[104,105,255]"#,
                "relay a[12]: hi\u{fffd}",
            ),
            (
                r#""SYSLOG_IDENTIFIER":"a","MESSAGE":["one",[116,119,111]]"#,
                "relay a[12]: one two",
            ),
            (r#""SYSLOG_IDENTIFIER":["a","b"],"MESSAGE":"x""#, "relay a[12]: x"),
            (r#""SYSLOG_IDENTIFIER":"a","MESSAGE":"x\ny""#, "relay a[12]: x\\ny"),
            (r#""MESSAGE":"x""#, "relay x"),
        ];
        for (fields, expected) in cases {
            assert_eq!(line(&format!("{host}{fields}")), expected);
        }
        let kernel = r#""SYSLOG_IDENTIFIER":"kernel","_SOURCE_MONOTONIC_TIMESTAMP":"26463123664","MESSAGE":"x""#;
        assert_eq!(line(kernel), "kernel: [26463.123664] x");
        assert_eq!(line(r#""MESSAGE":"x""#), "x");
    }

    #[test]
    fn the_time_is_the_journals_and_the_cursor_is_kept() {
        let json =
            br#"{"__CURSOR":"s=3aa6;i=1","__REALTIME_TIMESTAMP":"1795543220973903","MESSAGE":"Jan  1 00:00:00 x"}"#;
        let entry = Entry::parse(json).unwrap();
        assert_eq!(entry.time.as_microsecond(), 1_795_543_220_973_903);
        assert_eq!(entry.cursor, "s=3aa6;i=1");
    }

    proptest! {
        #[test]
        fn whatever_comes_is_an_entry_or_none(json in r#"(\{("__CURSOR":"s")?,?("__REALTIME_TIMESTAMP":"[0-9]{0,20}")?,?"MESSAGE":(null|\[\[?[0-9]{0,3}\]?\]|"\\?.{0,3}")\})|.{0,20}"#) {
            let _ = Entry::parse(json.as_bytes());
        }

        #[test]
        fn what_is_logged_comes_back_in_one_line(name in "[^\\x00-\\x1f]{1,20}", message in proptest::collection::vec(any::<u8>(), 0..60)) {
            let json = serde_json::json!({
                "__CURSOR": "s=1", "__REALTIME_TIMESTAMP": "1", "_COMM": name, "_PID": "12", "MESSAGE": message,
            });
            let message = String::from_utf8_lossy(&message).replace('\n', "\\n");
            let line = Entry::parse(json.to_string().as_bytes()).unwrap().line;
            prop_assert_eq!(line, format!("{name}[12]: {message}"));
        }
    }
}
