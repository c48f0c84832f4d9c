//! The name of a host or domain, as the DNS knows it.

use std::fmt;
use std::str::FromStr;

/// Longest name, RFC 1035, 2.3.4.
const MAX_LEN: usize = 253;
/// Longest label, likewise.
const MAX_LABEL: usize = 63;

/// A name in small letters and without a dot at its end. Letters, digits, `-`, `_` and dots; its last label is no number, so that an
/// address with a slip in it is not taken for a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(String);

impl HostName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_label = |label: &str| (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(plain);
        let last = name.rsplit('.').next().unwrap_or_default();
        let number = last.bytes().all(|byte| byte.is_ascii_digit());
        if name.len() <= MAX_LEN && !number && name.split('.').all(is_label) {
            Ok(Self(name.to_ascii_lowercase()))
        } else {
            Err(format!("`{text}` is no name of a host"))
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_with_a_slip_in_it_is_no_name() {
        for text in [
            "192.0.2.300",
            "198.51.1003",
            "192.0.2.0/40",
            "2001:db8::x",
            "a b",
            "",
            ".",
            "a..b",
            "%{i}.x",
        ] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
        assert!("a".repeat(64).parse::<HostName>().is_err());
        assert!("a.".repeat(127).parse::<HostName>().is_ok());
        assert!("a.".repeat(128).parse::<HostName>().is_err());
    }

    #[test]
    fn a_name_is_one_however_it_is_written() {
        for text in ["_spf.Google.com", "_SPF.google.com."] {
            assert_eq!(text.parse::<HostName>().unwrap().as_str(), "_spf.google.com");
        }
        assert!("localhost".parse::<HostName>().is_ok());
        assert!("mx1.4you".parse::<HostName>().is_ok());
    }
}
