//! Whether a command said what the guide shows, loosely: times, counts and widths differ from one machine to the next.

/// Whether each line that is shown is among those that were said, in the same order. Digits stand for digits, a blank for
/// any number of blanks, `…` for anything. Says the first line that is not.
pub fn compare(shown: &str, said: &str) -> Result<(), String> {
    let mut rest = said.lines().map(loose);
    for line in shown.lines() {
        let wanted = loose(line);
        if wanted.is_empty() || wanted == "…" {
            continue;
        }
        if !rest.any(|line| fits(&wanted, &line)) {
            return Err(line.trim().to_owned());
        }
    }
    Ok(())
}

/// The line with `0` for every run of digits and one blank for every run of blanks.
fn loose(line: &str) -> String {
    let mut loose = String::new();
    for char in line.split_whitespace().collect::<Vec<_>>().join(" ").chars() {
        let char = if char.is_ascii_digit() { '0' } else { char };
        if !(char == '0' && loose.ends_with('0')) {
            loose.push(char);
        }
    }
    loose
}

fn fits(wanted: &str, line: &str) -> bool {
    let mut rest = line;
    let mut parts = wanted.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(begun) = rest.strip_prefix(first) else {
        return false;
    };
    rest = begun;
    let mut ends_open = false;
    for part in parts {
        let part = part.trim();
        ends_open = part.is_empty();
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    ends_open || rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_blanks_may_differ_and_words_may_not() {
        let said = "192.0.2.7  is banned   for 59 min\nby spam\n";
        assert_eq!(compare("198.51.100.77 is banned for 5 min", said), Ok(()));
        assert_eq!(compare("192.0.2.7 is banned …\nby spam", said), Ok(()));
        assert_eq!(compare("…banned for…", said), Ok(()));
        assert_eq!(
            compare("by spam\n192.0.2.7 is banned …", said),
            Err("192.0.2.7 is banned …".into())
        );
        assert!(compare("192.0.2.7 is free", said).is_err());
        assert!(compare("192.0.2.7 is", said).is_err());
    }
}
