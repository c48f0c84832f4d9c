//! The corpora: lines that mail servers write, and lines in which an attacker has put his words. Each file begins with what its signs
//! mean.

use std::fs;
use std::path::Path;

/// A part of a corpus: filter parameters, and the lines that are given to a fresh filter with them, in order.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// Sets of parameters; the lines hold for each of them.
    pub parameters: Vec<Vec<(String, String)>>,
    /// Lines with their numbers.
    pub lines: Vec<(usize, String)>,
}

/// Reads the corpus `kind` of the filter `name`.
///
/// # Panics
///
/// When there is none, or it breaks its own rules.
#[must_use]
pub fn read(kind: &str, name: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for (number, line) in (1..).zip(text(kind, name).lines()) {
        if let Some(parameters) = line.strip_prefix("##") {
            // Several headings in a row share what follows.
            if sections.last().is_none_or(|section| !section.lines.is_empty()) {
                sections.push(Section::default());
            }
            let section = sections.last_mut().expect("one was pushed");
            section.parameters.push(parse(parameters));
        } else if !line.is_empty() && !line.starts_with('#') {
            let section = sections.last_mut().expect("a heading comes before the first line");
            section.lines.push((number, line.to_owned()));
        }
    }
    assert!(!sections.is_empty(), "{kind}/{name} has no section");
    sections
}

/// The texts that an attacker may put where a spoofed line has its marks.
///
/// # Panics
///
/// When the file breaks its own rules.
#[must_use]
pub fn payloads() -> Vec<String> {
    let text = text("spoofed", "payloads");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(decode).collect()
}

fn text(kind: &str, name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(kind);
    let file = folder.join(format!("{name}.txt"));
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn parse(parameters: &str) -> Vec<(String, String)> {
    let parameters = parameters.trim().split(',').filter(|parameter| !parameter.is_empty());
    parameters
        .map(|parameter| {
            let (key, value) = parameter.split_once('=').expect("a parameter has a value");
            (key.trim().to_owned(), value.trim().to_owned())
        })
        .collect()
}

/// Replaces escapes: `\xNN`, `\t`, `\r`, `\n`, `\\`. Bytes that make no UTF-8 become what the agent makes of them.
fn decode(line: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let (byte, len) = match after.as_bytes() {
            [b'x', ..] => (u8::from_str_radix(&after[1..3], 16).expect("two hexadecimal digits"), 3),
            [b't', ..] => (b'\t', 1),
            [b'r', ..] => (b'\r', 1),
            [b'n', ..] => (b'\n', 1),
            [b'\\', ..] => (b'\\', 1),
            _ => panic!("`\\` before nothing that it escapes: {line}"),
        };
        bytes.push(byte);
        rest = &after[len..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}
