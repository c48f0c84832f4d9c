//! The tags of a failregex: `<HOST>` and its relatives, `<F-USER>…</F-USER>`, `<SKIPLINES>`.
//!
//! Each becomes a piece of regular expression with named groups; what the groups mean is told by [`super::facts`].

use std::fmt::Write as _;

use super::PatternError;
use crate::problem::did_you_mean;

/// Shapes only; whether it is an address is for the parser of addresses to say.
const IP4: &str = r"(?P<ip4>[0-9]{1,3}(?:\.[0-9]{1,3}){3})";
/// Groups of hexadecimal digits, each with its colons, then a last group or the second colon of `::`.
const IP6: &str = r"(?P<ip6>(?:[0-9A-Fa-f]{1,4}::?|::){1,7}(?:[0-9A-Fa-f]{1,4}|:))";
const DNS: &str = r"(?P<dns>[\w\-.^]*\w)";
const CIDR: &str = r"(?P<cidr>\d+)";

/// The tags that stand for themselves alone.
const SINGLE: [&str; 8] = ["HOST", "ADDR", "IP4", "IP6", "DNS", "CIDR", "SUBNET", "SKIPLINES"];
/// The groups that have an expression of their own when their tag is closed at once: `<F-ID/>`.
const CLOSED: [&str; 8] = ["IP4", "IP6", "ADDR", "CIDR", "SUBNET", "DNS", "ID", "PORT"];
/// What programs write into logs between angle brackets: HAProxy, where it has no server or no valid request; Postfix, of line
/// breaks.
const LITERAL: [&str; 6] = ["NOSRV", "BADREQ", "STATS", "LF", "CR", "CRLF"];

/// Whether host names are taken for `<HOST>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// `usedns = no`: addresses only.
    Refused,
    /// Names too.
    Taken,
}

/// Whether the text between `<` and `>` is one of fail2ban's own tags, which no key can replace.
pub(in crate::filter) fn is_known(tag: &str) -> bool {
    SINGLE.contains(&tag) || tag.trim_start_matches('/').starts_with("F-")
}

/// Replaces every tag by its regular expression, in Python's language. `keys` are offered where a parameter is misspelt.
pub(super) fn expand<'a>(
    failregex: &str,
    names: Names,
    keys: impl Iterator<Item = &'a str> + Clone,
) -> Result<String, PatternError> {
    let mut out = String::with_capacity(failregex.len() + 128);
    let mut opened: Vec<&str> = Vec::new();
    let mut skipped = 0;
    let mut rest = failregex;
    while let Some(start) = rest.find('<') {
        let after = &rest[start + 1..];
        let inner = |char: char| char.is_alphanumeric() || "_-/".contains(char);
        let tag = &after[..after.find(|char| !inner(char)).unwrap_or(after.len())];
        let is_tag = !tag.is_empty() && after[tag.len()..].starts_with('>');
        let before = &rest[..start];
        // `(?P<name>` is a group of the failregex's own, `\<` the plain character.
        let escapes = before.len() - before.trim_end_matches('\\').len();
        if !is_tag || before.ends_with("(?P") || escapes % 2 == 1 {
            out.push_str(&rest[..=start]);
            rest = after;
            continue;
        }
        out.push_str(before);
        match tag {
            "SKIPLINES" => {
                // What lies between is kept, to be told apart from the lines that matched.
                let _infallible = write!(out, r"\n(?P<skiplines{skipped}>(?:.*\n)*?)");
                skipped += 1;
            }
            _ => match expression(tag, names, &mut opened)? {
                Some(expression) => out.push_str(&expression),
                None => out.push_str(plain(tag, &rest[start..start + tag.len() + 2], keys.clone())?),
            },
        }
        rest = &after[tag.len() + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

/// What a tag stands for; `None` for one that is not known.
fn expression<'a>(tag: &'a str, names: Names, opened: &mut Vec<&'a str>) -> Result<Option<String>, PatternError> {
    let single = tag.strip_prefix("F-").and_then(|tag| tag.strip_suffix('/'));
    if let Some(name) = single
        .or(Some(tag))
        .filter(|name| single.is_none() || CLOSED.contains(name))
        && let Some(meaning) = meaning(name, names, single.is_some())
    {
        return Ok(Some(meaning));
    }
    if let Some(name) = tag.strip_prefix("/F-") {
        let Some(at) = opened.iter().rposition(|known| *known == name) else {
            return Err(PatternError {
                what: format!("</F-{name}> closes what no <F-{name}> opens"),
                hint: format!("put <F-{name}> where the text begins"),
            });
        };
        opened.remove(at);
        return Ok(Some(")".to_owned()));
    }
    let Some(name) = tag
        .strip_prefix("F-")
        .filter(|name| !name.is_empty() && !name.contains('/'))
    else {
        return Ok(None);
    };
    if !name
        .chars()
        .all(|char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_')
    {
        return Err(PatternError {
            what: format!("<{tag}> cannot name a group"),
            hint: "write it in capital letters, digits and `_`, as <F-USER>".to_owned(),
        });
    }
    opened.push(name);
    let group = match name {
        "ID" => "fid".to_owned(),
        "PORT" => "fport".to_owned(),
        name => name.to_lowercase(),
    };
    Ok(Some(format!("(?P<{group}>")))
}

fn meaning(tag: &str, names: Names, closed: bool) -> Option<String> {
    let address = format!(r"(?:::f{{4,6}}:)?{IP4}|{IP6}");
    Some(match tag {
        "HOST" if names == Names::Taken => format!(r"(?:\[?(?:{address})\]?|{DNS})"),
        "HOST" | "ADDR" => format!(r"\[?(?:{address})\]?"),
        "SUBNET" => format!(r"\[?(?:{address})(?:/{CIDR})?\]?"),
        "IP4" => format!("(?:::f{{4,6}}:)?{IP4}"),
        "IP6" => IP6.to_owned(),
        "DNS" => DNS.to_owned(),
        "CIDR" => CIDR.to_owned(),
        "ID" if closed => r"(?P<fid>\S+)".to_owned(),
        "PORT" if closed => r"(?P<fport>\w+)".to_owned(),
        _ => return None,
    })
}

/// Leaves a tag that is not known as it is written, unless it can only be a mistake.
fn plain<'a, 't>(
    tag: &str,
    whole: &'t str,
    mut keys: impl Iterator<Item = &'a str> + Clone,
) -> Result<&'t str, PatternError> {
    let literally = format!("write `\\{whole}` where the log itself says {whole}");
    let refuse = |what: &str, hint: String| {
        Err(PatternError {
            what: format!("{what} {whole}"),
            hint: if hint.is_empty() { literally.clone() } else { hint },
        })
    };
    let capitals = tag.len() > 1
        && tag
            .chars()
            .all(|char| char.is_ascii_uppercase() || char.is_ascii_digit());
    if LITERAL.contains(&tag) {
        return Ok(whole);
    }
    if capitals || tag.starts_with("F-") || tag.starts_with("/F-") {
        let known = SINGLE
            .into_iter()
            .chain(["F-USER", "F-ID", "F-PORT", "F-CONTENT", "F-MLFID", "F-NOFAIL"]);
        return refuse("unknown tag", did_you_mean(tag, known));
    }
    if tag.contains('/') && !tag.starts_with('/') && !tag.ends_with('/') {
        return refuse("no section and key are named", String::new());
    }
    // `<mdre-<mode>>` with a mode that there is not.
    let family = tag.rsplit_once('-').map(|(family, _)| format!("{family}-"));
    if let Some(family) = family.filter(|family| keys.clone().any(|key| key.starts_with(family.as_str()))) {
        let mut members: Vec<&str> = keys.filter(|key| key.starts_with(&family)).collect();
        members.sort_unstable();
        members.dedup();
        return refuse("no key is named", format!("there are {}", members.join(", ")));
    }
    match keys.find(|key| !did_you_mean(tag, [*key]).is_empty() && tag.len() > 3) {
        Some(key) => refuse("no key is named", format!("did you mean <{key}>?")),
        None => Ok(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(failregex: &str) -> Result<String, PatternError> {
        let keys = ["mdre-normal", "mdre-aggressive", "_daemon"];
        super::expand(failregex, Names::Taken, keys.into_iter())
    }

    #[test]
    fn custom_tags_become_named_groups() {
        assert_eq!(expand("<F-USER>x</F-USER>").unwrap(), "(?P<user>x)");
        assert_eq!(
            expand("<F-PORT>x</F-PORT><F-ID/>").unwrap(),
            r"(?P<fport>x)(?P<fid>\S+)"
        );
        assert_eq!(expand("<F-ALT_USER1>x</F-ALT_USER1>").unwrap(), "(?P<alt_user1>x)");
    }

    #[test]
    fn skipped_lines_are_told_apart() {
        let expanded = expand("a<SKIPLINES>b<SKIPLINES>c").unwrap();
        assert!(expanded.contains("skiplines0") && expanded.contains("skiplines1"));
    }

    #[test]
    fn what_the_log_itself_says_stays() {
        for text in [
            "(?P<USER>x)",
            "from=<>",
            "<NOSRV>",
            "<SECURITY_LOG>: ",
            r"\<FOO>",
            "<br>",
            "<W>",
            "<a b>",
        ] {
            assert_eq!(expand(text).unwrap(), text);
        }
    }

    #[test]
    fn a_mistake_is_named() {
        let cases = [
            ("<HOSD>", "unknown tag <HOSD>", "did you mean `HOST`?"),
            ("<FOO>", "unknown tag <FOO>", r"`\<FOO>`"),
            ("</F-USER>", "opens", "put <F-USER>"),
            (
                "<mdre-agressive>",
                "<mdre-agressive>",
                "there are mdre-aggressive, mdre-normal",
            ),
            ("<_daemn>", "<_daemn>", "did you mean <_daemon>?"),
            ("<lt_file/x>", "<lt_file/x>", ""),
        ];
        for (text, what, hint) in cases {
            let error = expand(text).unwrap_err();
            assert!(error.what.contains(what) && error.hint.contains(hint), "{error:?}");
        }
    }
}
