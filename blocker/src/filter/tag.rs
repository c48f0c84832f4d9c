//! The tags of a failregex: `<HOST>` and its relatives.

use std::net::IpAddr;

use regex::{Captures, Regex};

use super::pattern::PatternError;
use crate::problem::did_you_mean;

/// Group names that make up a failure's identity.
const IPV4: &str = "ip4";
const IPV6: &str = "ip6";

/// Shapes only; whether it is an address is for the parser of addresses to say.
const IPV4_REGEX: &str = r"(?P<ip4>\d{1,3}(?:\.\d{1,3}){3})";
const IPV6_REGEX: &str = r"(?P<ip6>[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})";
const DNS_REGEX: &str = r"(?P<dns>[\w\-.^]*\w)";

/// The tags there are, and what each stands for.
fn meaning(tag: &str) -> Option<String> {
    let address = format!(r"\[?(?:(?:::f{{4,6}}:)?{IPV4_REGEX}|{IPV6_REGEX})\]?");
    Some(match tag {
        "HOST" => format!("(?:{address}|{DNS_REGEX})"),
        "ADDR" => format!("(?:{address})"),
        "IP4" => IPV4_REGEX.to_owned(),
        "IP6" => IPV6_REGEX.to_owned(),
        _ => return None,
    })
}

/// Replaces every `<TAG>` by its regular expression.
pub(super) fn expand(failregex: &str) -> Result<String, PatternError> {
    let mut out = String::with_capacity(failregex.len() + 128);
    let mut rest = failregex;
    while let Some(start) = rest.find('<') {
        let after = &rest[start + 1..];
        let word = &after[..after
            .find(|char: char| !(char.is_ascii_uppercase() || char.is_ascii_digit()))
            .unwrap_or(after.len())];
        let is_tag = !word.is_empty() && after[word.len()..].starts_with('>');
        // `(?P<NAME>` names a group of the failregex's own.
        if !is_tag || rest[..start].ends_with("(?P") {
            out.push_str(&rest[..=start]);
            rest = after;
            continue;
        }
        let Some(meaning) = meaning(word) else {
            return Err(PatternError {
                what: format!("unknown tag <{word}>"),
                hint: did_you_mean(word, ["HOST", "ADDR", "IP4", "IP6"]),
            });
        };
        out.push_str(&rest[..start]);
        out.push_str(&meaning);
        rest = &after[word.len() + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether a match can tell whose failure it is.
pub(super) fn names_address(regex: &Regex) -> bool {
    regex.capture_names().flatten().any(|name| [IPV4, IPV6].contains(&name))
}

/// Whose failure a match is; `None` where a host name stands in the address's place.
pub(super) fn address(captures: &Captures<'_>) -> Option<IpAddr> {
    let group = captures.name(IPV4).or_else(|| captures.name(IPV6))?;
    let address: IpAddr = group.as_str().parse().ok()?;
    Some(address.to_canonical())
}
