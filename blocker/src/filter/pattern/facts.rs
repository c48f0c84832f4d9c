//! What the named groups of a match say.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Groups of this beginning fill another where that is empty: `alt_user1` fills `user`.
const ALTERNATIVE: &str = "alt_";
/// Groups of this beginning make a list together: `tuple_id`, `tuple_id_1`.
const TUPLE: &str = "tuple_";

/// One group's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// As it stood in the line.
    Text(String),
    /// The texts of several groups, in order.
    Tuple(Vec<Option<String>>),
    /// Every text that a session's lines had for it.
    Set(BTreeSet<String>),
}

/// Facts by name. There are a handful, so they lie in a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts(Vec<(Arc<str>, Fact)>);

impl Facts {
    /// The text of a group; `None` when it has no part in the match.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Fact::Text(text) => Some(text),
            Fact::Tuple(_) | Fact::Set(_) => None,
        }
    }

    /// What is known under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Fact> {
        let found = self.0.iter().find(|(known, _)| **known == *name);
        found.map(|(_, fact)| fact)
    }

    /// Whether nothing is known.
    pub(in crate::filter) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Everything, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.0.iter().map(|(name, fact)| (&**name, fact))
    }

    /// Adds the text of a group that is not known yet.
    pub(super) fn push(&mut self, name: &Arc<str>, text: &str) {
        self.0.push((Arc::clone(name), Fact::Text(text.to_owned())));
    }

    /// Sets what is known under a name.
    pub(in crate::filter) fn set(&mut self, name: &Arc<str>, fact: Fact) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = fact,
            None => self.0.push((Arc::clone(name), fact)),
        }
    }

    /// Takes away what is known under a name, and says whether that was any text at all.
    pub(in crate::filter) fn remove(&mut self, name: &str) -> bool {
        let Some(at) = self.0.iter().position(|(known, _)| **known == *name) else {
            return false;
        };
        match self.0.swap_remove(at).1 {
            Fact::Text(text) => !text.is_empty(),
            Fact::Tuple(_) | Fact::Set(_) => true,
        }
    }

    /// Whether a group has text.
    pub(in crate::filter) fn has(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| !text.is_empty())
    }

    /// Lays others over these.
    pub(in crate::filter) fn lay_over(&mut self, others: Self) {
        for (name, fact) in others.0 {
            self.set(&name, fact);
        }
    }

    /// The longest text among them.
    pub(in crate::filter) fn longest(&self) -> usize {
        let texts = self.0.iter().map(|(_, fact)| match fact {
            Fact::Text(text) => text.len(),
            Fact::Tuple(texts) => texts.iter().flatten().map(String::len).max().unwrap_or_default(),
            Fact::Set(texts) => texts.iter().map(String::len).max().unwrap_or_default(),
        });
        texts.max().unwrap_or_default()
    }
}

/// `name=text` in the order of names.
impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_by_key(|(name, _)| *name);
        for (n, (name, fact)) in all.into_iter().enumerate() {
            let blank = if n == 0 { "" } else { " " };
            match fact {
                Fact::Text(text) => write!(f, "{blank}{name}={}", text.escape_debug())?,
                Fact::Tuple(texts) => write!(f, "{blank}{name}={texts:?}")?,
                Fact::Set(texts) => write!(f, "{blank}{name}={texts:?}")?,
            }
        }
        Ok(())
    }
}

/// Groups of an expression that fill or extend others, each with the other's name; in the order of their own names.
#[derive(Debug, Default)]
pub(super) struct Merges {
    alternatives: Vec<(Arc<str>, Arc<str>)>,
    tuples: Vec<(Arc<str>, Arc<str>)>,
}

impl Merges {
    /// Finds them among the names of an expression's groups.
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a Arc<str>>) -> Self {
        let mut merges = Self::default();
        for name in names {
            if let Some(target) = name.strip_prefix(ALTERNATIVE) {
                merges.alternatives.push((Arc::clone(name), target_of(target)));
            } else if let Some(target) = name.strip_prefix(TUPLE) {
                merges.tuples.push((Arc::clone(name), target_of(target)));
            }
        }
        merges.alternatives.sort();
        merges.tuples.sort();
        merges
    }

    /// Fills and extends.
    pub(super) fn apply(&self, facts: &mut Facts) {
        for (name, target) in &self.alternatives {
            if let Some(text) = facts.text(name).filter(|text| !text.is_empty())
                && !facts.has(target)
            {
                let text = Fact::Text(text.to_owned());
                facts.set(target, text);
            }
        }
        for (name, target) in &self.tuples {
            let text = facts.text(name).map(str::to_owned);
            let tuple = match facts.get(target) {
                Some(Fact::Tuple(texts)) => texts.iter().cloned().chain([text]).collect(),
                _ => vec![facts.text(target).map(str::to_owned), text],
            };
            facts.set(target, Fact::Tuple(tuple));
        }
    }
}

/// `user` of `user_1` and of `user1`; the names that fail2ban has for `id` and `port`.
fn target_of(name: &str) -> Arc<str> {
    let digits = name.trim_end_matches(|char: char| char.is_ascii_digit());
    let name = match digits.strip_suffix('_') {
        Some(stem) if !stem.is_empty() && digits.len() < name.len() => stem,
        _ if !digits.is_empty() => digits,
        _ => name,
    };
    match name {
        "id" => "fid".into(),
        "port" => "fport".into(),
        name => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(groups: &[(&str, &str)]) -> String {
        let names: Vec<Arc<str>> = groups.iter().map(|(name, _)| Arc::from(*name)).collect();
        let mut facts = Facts::default();
        for (name, (_, text)) in names.iter().zip(groups) {
            if !text.is_empty() {
                facts.push(name, text);
            }
        }
        Merges::of(names.iter()).apply(&mut facts);
        facts.to_string()
    }

    #[test]
    fn alternatives_fill_what_is_empty() {
        assert_eq!(
            merged(&[("user", ""), ("alt_user", ""), ("alt_user1", "b")]),
            "alt_user1=b user=b"
        );
        assert_eq!(merged(&[("user", "a"), ("alt_user_1", "b")]), "alt_user_1=b user=a");
    }

    #[test]
    fn parts_make_a_tuple() {
        let expected = r#"fid=[Some("a"), Some("b"), None] tuple_id_1=b"#;
        assert_eq!(
            merged(&[("fid", "a"), ("tuple_id_1", "b"), ("tuple_id_2", "")]),
            expected
        );
    }
}
