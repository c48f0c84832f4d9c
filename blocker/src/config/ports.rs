//! Ports as fail2ban's jails name them: `smtp,465,1000:2000`.

use std::ops::RangeInclusive;

use crate::problem::did_you_mean;

/// Names of the mail ports and of those that fail2ban's own jails name: IANA's, and older ones in use. A name must mean the same on
/// every machine, so `/etc/services` is not asked.
const NAMES: [(&str, u16); 29] = [
    ("smtp", 25),
    ("smtps", 465),
    ("submissions", 465),
    ("ssmtp", 465),
    ("submission", 587),
    ("pop3", 110),
    ("pop-3", 110),
    ("pop3s", 995),
    ("imap", 143),
    ("imap2", 143),
    ("imaps", 993),
    ("sieve", 4190),
    ("http", 80),
    ("https", 443),
    ("ssh", 22),
    ("telnet", 23),
    ("ftp", 21),
    ("ftp-data", 20),
    ("ftps", 990),
    ("ftps-data", 989),
    ("domain", 53),
    ("ldap", 389),
    ("ldaps", 636),
    ("socks", 1080),
    ("mysql", 3306),
    ("postgresql", 5432),
    ("sip", 5060),
    ("sip-tls", 5061),
    ("xmpp-client", 5222),
];

/// What is wrong with a port, and what to do about it.
pub(super) type Mistake = (String, String);

/// Reads a list of ports into ranges, in ascending order and without overlap; or says everything that is wrong in it.
pub(super) fn parse(text: &str) -> Result<Vec<RangeInclusive<u16>>, Vec<Mistake>> {
    let mut ranges = Vec::new();
    let mut mistakes = Vec::new();
    for item in text.split(',') {
        match range(item.trim()) {
            Ok(range) => ranges.push(range),
            Err(wrong) => mistakes.extend(wrong),
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    ranges.sort_by_key(|range| *range.start());
    let mut merged: Vec<RangeInclusive<u16>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if u32::from(*range.start()) <= u32::from(*last.end()) + 1 => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => merged.push(range),
        }
    }
    Ok(merged)
}

fn range(text: &str) -> Result<RangeInclusive<u16>, Vec<Mistake>> {
    let Some((first, last)) = text.split_once(':') else {
        let port = port(text).map_err(|mistake| vec![mistake])?;
        return Ok(port..=port);
    };
    match (port(first), port(last)) {
        (Ok(first), Ok(last)) if first <= last => Ok(first..=last),
        (Ok(_), Ok(_)) => Err(vec![(
            format!("the range `{text}` is empty"),
            "write the lower port first".to_owned(),
        )]),
        (first, last) => Err([first.err(), last.err()].into_iter().flatten().collect()),
    }
}

fn port(text: &str) -> Result<u16, Mistake> {
    let named = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let port = named.map(|(_, port)| *port).or_else(|| text.parse().ok());
    port.ok_or_else(|| {
        let hint = match did_you_mean(text, NAMES.map(|(name, _)| name)) {
            hint if hint.is_empty() => "write its number, from 0 to 65535".to_owned(),
            hint => hint,
        };
        (format!("unknown port `{text}`"), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_numbers_and_ranges() {
        assert_eq!(parse("smtp").unwrap(), [25..=25]);
        assert_eq!(parse("submission, 465 ,smtp").unwrap(), [25..=25, 465..=465, 587..=587]);
        assert_eq!(parse("0:65535").unwrap(), [0..=65535]);
    }

    #[test]
    fn ranges_that_touch_become_one() {
        assert_eq!(
            parse("25,26,20:24,65535,1000:2000,1500").unwrap(),
            [20..=26, 1000..=2000, 65535..=65535]
        );
    }

    #[test]
    fn refuses_what_is_no_port() {
        for (text, part) in [
            ("smpt", "did you mean `smtp`?"),
            ("70000", "number"),
            ("", "number"),
            ("30:20", "lower port first"),
        ] {
            let mistakes = parse(text).unwrap_err();
            let [(what, hint)] = mistakes.as_slice() else {
                panic!("{text}: {mistakes:?}");
            };
            assert!(hint.contains(part), "{text}: {what}; {hint}");
        }
    }

    #[test]
    fn every_mistake_in_a_list_is_told() {
        let mistakes = parse("99999,smpt,25,imp:70000").unwrap_err();
        let told: Vec<&str> = mistakes.iter().map(|(what, _)| what.as_str()).collect();
        let expected = ["99999", "smpt", "imp", "70000"].map(|port| format!("unknown port `{port}`"));
        assert_eq!(told, expected);
    }
}
