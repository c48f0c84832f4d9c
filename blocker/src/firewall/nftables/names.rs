//! What sets, chains and counters are called.
//!
//! All of a jail's names begin with `jail-NAME-ipv4` or `jail-NAME-ipv6`. The word in front is there because nft reads
//! names that start with a letter only and are no word of its language, and a jail may be called `25` or `drop`. All else
//! that a jail's name may contain, nft reads as it prints it. No two jails share a name, since what follows the family is
//! nothing, a number, a word without `-`, or the one and the other.

use std::collections::HashSet;
use std::ffi::{CStr, CString};

use anyhow::ensure;
use blocker_common::map::Outcome;
use blocker_common::packet::Family;

use crate::firewall::JailScope;

/// The table, in the inet family.
pub const TABLE: &CStr = c"blocker";

/// The one chain in it that packets enter by themselves, whichever way they come in.
pub const PREROUTING: &CStr = c"prerouting";

/// A counter that counts nothing: it is there where the table drops nothing.
pub const DRY_RUN: &CStr = c"dry-run";

/// The chain that packets of the n-th interface enter by themselves.
pub fn ingress(n: usize) -> CString {
    name(format!("ingress-{n}"))
}

/// The set of a family's networks whose packets are never dropped.
pub const fn allowed(family: Family) -> &'static CStr {
    match family {
        Family::Ipv4 => c"allowed-ipv4",
        Family::Ipv6 => c"allowed-ipv6",
    }
}

/// The chain for a family's packets.
pub const fn packets(family: Family) -> &'static CStr {
    match family {
        Family::Ipv4 => c"packets-ipv4",
        Family::Ipv6 => c"packets-ipv6",
    }
}

/// The chain for a family's fragments that are not the first.
pub const fn fragments(family: Family) -> &'static CStr {
    match family {
        Family::Ipv4 => c"fragments-ipv4",
        Family::Ipv6 => c"fragments-ipv6",
    }
}

/// The chain for a family's packets that the n-th scope covers.
pub fn scope(n: usize, family: Family) -> CString {
    name(format!("scope-{n}-{}", family.name()))
}

/// The names for one jail.
#[derive(Debug)]
pub struct Names {
    jail: String,
}

impl Names {
    /// The chain for a family's packets that the jail's scope covers.
    pub fn chain(&self, family: Family) -> CString {
        name(format!("jail-{}-{}", self.jail, family.name()))
    }

    /// The set of what is banned by prefixes of a length.
    pub fn set(&self, family: Family, prefix_len: u8) -> CString {
        match (family, prefix_len) {
            (Family::Ipv4, 32) | (Family::Ipv6, 128) => self.chain(family),
            _ => name(format!("jail-{}-{}-{prefix_len}", self.jail, family.name())),
        }
    }

    /// The set of who of them still knocks, and the chain that enters him there.
    pub fn knocks(&self, family: Family, prefix_len: u8) -> CString {
        let set = self.set(family, prefix_len);
        name(format!("{}-knocks", set.to_string_lossy()))
    }

    /// The chain for a family's packets that a ban of the jail covers.
    pub fn banned(&self, family: Family) -> CString {
        name(format!("jail-{}-{}-banned", self.jail, family.name()))
    }

    /// The counter of what became of those.
    pub fn counter(&self, family: Family, outcome: Outcome) -> CString {
        name(format!("jail-{}-{}-{}", self.jail, family.name(), outcome.name()))
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
            Ok(Names { jail: name.clone() })
        })
        .collect()
}

fn name(text: String) -> CString {
    // There is no NUL to end it early: a jail's name has none, and nothing else here could have.
    CString::new(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ban::Scope;

    fn jail(name: &str) -> JailScope {
        JailScope {
            name: name.to_owned(),
            scope: Scope::tcp(vec![25..=25]),
        }
    }

    #[test]
    fn a_jail_s_sets_are_named_by_family_and_prefix() {
        let names = &names(&[jail("25")]).unwrap()[0];
        assert_eq!(names.set(Family::Ipv4, 32).as_c_str(), c"jail-25-ipv4");
        assert_eq!(names.set(Family::Ipv4, 8).as_c_str(), c"jail-25-ipv4-8");
        assert_eq!(names.set(Family::Ipv6, 128).as_c_str(), c"jail-25-ipv6");
        assert_eq!(names.set(Family::Ipv6, 32).as_c_str(), c"jail-25-ipv6-32");
    }

    #[test]
    fn no_two_sets_share_a_name_whatever_the_jails_are_called() {
        let jails = [
            "a",
            "a-ipv4",
            "a-ipv4-8",
            "a-ipv4-knocks",
            "a-ipv4-8-knocks",
            "a-ipv6-64",
            "-_",
            "a-ipv4-",
        ]
        .map(jail);
        let mut seen = HashSet::new();
        for names in names(&jails).unwrap() {
            for (family, longest) in [(Family::Ipv4, 32), (Family::Ipv6, 128)] {
                for prefix_len in 0..=longest {
                    for set in [names.set(family, prefix_len), names.knocks(family, prefix_len)] {
                        assert!(seen.insert(set.clone()), "{set:?}");
                    }
                }
            }
        }
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
