//! What sets and counters are called.
//!
//! `jail-NAME-ipv4` and `jail-NAME-ipv6`, for a set and for the counter of what it dropped. The word in front is there
//! because nft reads names that start with a letter only and are no word of its language, and a jail may be called `25`
//! or `drop`. All else that a jail's name may contain, nft reads as it prints it.

use std::collections::HashSet;
use std::ffi::{CStr, CString};

use anyhow::{Context as _, ensure};
use blocker_common::packet::Family;

use crate::firewall::JailScope;

/// The table, in the inet family.
pub const TABLE: &CStr = c"blocker";

/// The one chain in it.
pub const CHAIN: &CStr = c"prerouting";

/// Both IP versions, in the order in which everything here is.
pub const FAMILIES: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// The names for one jail.
#[derive(Debug)]
pub struct Names {
    ipv4: CString,
    ipv6: CString,
}

impl Names {
    /// The name of the set and the counter for these packets.
    pub fn of(&self, family: Family) -> &CStr {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }
}

/// The names for each jail.
pub fn names(jails: &[JailScope]) -> anyhow::Result<Vec<Names>> {
    let mut seen = HashSet::new();
    jails
        .iter()
        .map(|JailScope { name, .. }| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            ensure!(
                (1..=64).contains(&name.len()) && name.bytes().all(plain),
                "jail {name:?}: the name must have 1 to 64 letters, digits, `-` or `_`"
            );
            ensure!(seen.insert(name), "jail {name:?}: the name is used twice");
            let named = |family: &str| CString::new(format!("jail-{name}-{family}")).context("no NUL in a jail's name");
            Ok(Names {
                ipv4: named("ipv4")?,
                ipv6: named("ipv6")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ban::{Protocol, Scope};

    fn jail(name: &str) -> JailScope {
        JailScope {
            name: name.to_owned(),
            scope: Scope {
                protocol: Protocol::Tcp,
                ports: vec![25..=25],
            },
        }
    }

    #[test]
    fn names_start_with_a_letter_and_are_told_apart() {
        let names = names(&[jail("postfix"), jail("25"), jail("-_"), jail("postfix-ipv4")]).unwrap();
        let all = names
            .iter()
            .flat_map(|names| FAMILIES.map(|family| names.of(family).to_str().unwrap().to_owned()))
            .collect::<Vec<_>>();
        assert_eq!(
            all,
            [
                "jail-postfix-ipv4",
                "jail-postfix-ipv6",
                "jail-25-ipv4",
                "jail-25-ipv6",
                "jail--_-ipv4",
                "jail--_-ipv6",
                "jail-postfix-ipv4-ipv4",
                "jail-postfix-ipv4-ipv6",
            ]
        );
    }

    #[test]
    fn a_name_that_nft_might_not_read_is_an_error() {
        for name in ["", "a b", "a;b", "a\0b", "é", &"a".repeat(65)] {
            assert!(names(&[jail(name)]).is_err(), "{name:?}");
        }
        assert!(names(&[jail(&"7".repeat(64))]).is_ok());
    }

    #[test]
    fn two_jails_of_one_name_are_an_error() {
        let error = names(&[jail("a"), jail("b"), jail("a")]).unwrap_err();
        assert_eq!(error.to_string(), "jail \"a\": the name is used twice");
    }
}
