//! fail2ban's `ignorecommand`: a command that says whether a host is ignored, and how long its word holds.

use std::net::IpAddr;
use std::time::Duration;

/// A command of a jail's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IgnoreCommand {
    /// The words of the command, apart from the tags between them.
    parts: Vec<Part>,
    /// How many hosts its word is remembered for; at least 1.
    pub max_count: usize,
    /// How long.
    pub max_time: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Tag(Tag),
}

/// What of a failure a command may be told. All of it is made from the address, so that nothing in it means anything to a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Address,
    Family,
    Reversed,
}

impl IgnoreCommand {
    /// Reads a command with tags such as `<ip>`.
    ///
    /// # Errors
    ///
    /// When it has a tag that stands for something else, with what is wrong.
    pub fn parse(text: &str, max_count: usize, max_time: Duration) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((start, end)) = next_tag(rest) {
            let tag = match rest[start + 1..end].to_ascii_lowercase().as_str() {
                "ip" | "host" | "addr" | "fid" | "f-id" => Tag::Address,
                "family" => Tag::Family,
                "ip-rev" => Tag::Reversed,
                _ => {
                    let tag = &rest[start..=end];
                    return Err(format!(
                        "`{tag}` is nothing that the command can be told: only <ip>, <family> and <ip-rev> are"
                    ));
                }
            };
            parts.push(Part::Text(rest[..start].to_owned()));
            parts.push(Part::Tag(tag));
            rest = &rest[end + 1..];
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self {
            parts,
            max_count,
            max_time,
        })
    }

    /// The command for a host, for a shell.
    #[must_use]
    pub fn line(&self, address: IpAddr) -> String {
        let address = address.to_canonical();
        let word = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Tag(Tag::Address) => address.to_string(),
            Part::Tag(Tag::Family) if address.is_ipv4() => "inet4".to_owned(),
            Part::Tag(Tag::Family) => "inet6".to_owned(),
            Part::Tag(Tag::Reversed) => reversed(address),
        };
        self.parts.iter().map(word).collect()
    }
}

/// Where the next `<tag>` begins and ends. A shell's own `<` has a blank, a path or a bracket behind it.
fn next_tag(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find('<')?;
        let name = &text[start + 1..];
        let length = name.find(|char: char| !char.is_ascii_alphanumeric() && !"-_/".contains(char))?;
        if length > 0 && name[length..].starts_with('>') && name.starts_with(|char: char| char.is_ascii_alphabetic()) {
            return Some((start, start + 1 + length));
        }
        from = start + 1;
    }
}

/// As the DNS is asked about addresses: `7.2.0.192.`, or 32 hexadecimal digits.
fn reversed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(|octet| format!("{octet}.")).collect(),
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, address: &str) -> Result<String, String> {
        let command = IgnoreCommand::parse(text, 1, Duration::ZERO)?;
        Ok(command.line(address.parse().unwrap()))
    }

    #[test]
    fn a_command_is_told_the_address_and_what_follows_from_it() {
        let text = "/usr/local/bin/friend <ip> <family> <ip-rev>zen.example <HOST>";
        assert_eq!(
            line(text, "192.0.2.7").unwrap(),
            "/usr/local/bin/friend 192.0.2.7 inet4 7.2.0.192.zen.example 192.0.2.7"
        );
        assert_eq!(line("x <ip>", "::ffff:192.0.2.7").unwrap(), "x 192.0.2.7");
        let v6 = line("<family> <ip-rev>", "2001:db8::7").unwrap();
        assert!(
            v6.starts_with("inet6 7.0.0.0.") && v6.ends_with(".8.b.d.0.1.0.0.2."),
            "{v6}"
        );
    }

    #[test]
    fn nothing_else_of_a_line_gets_into_a_command() {
        for tag in ["<F-USER>", "<matches>", "<ip-host>", "<failures>", "<F-ID/x>"] {
            assert!(
                line(&format!("test {tag}"), "192.0.2.7").unwrap_err().contains(tag),
                "{tag}"
            );
        }
    }

    #[test]
    fn what_a_shell_means_by_the_sign_is_left_to_it() {
        for text in [
            "grep -q x </etc/friends",
            "grep x < friends >out",
            "cat <<E",
            "a <(b) >c",
            "test 1 -lt 2 <",
        ] {
            assert_eq!(line(text, "192.0.2.7").unwrap(), text);
        }
    }
}
