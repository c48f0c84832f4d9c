//! Parameters that a jail gives its filter and that nothing in the filter asks for: most of them are misspelt.

use std::collections::BTreeSet;

use super::definition::KEYS;
use super::layers::{Keys, Layers};
use crate::problem::did_you_mean;

/// What fail2ban's own configuration gives every filter, whether it asks for it or not.
const GIVEN_TO_ALL: [&str; 4] = ["backend", "logtype", "mode", "name"];

/// A parameter that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// Its name.
    pub name: String,
    /// What to do about it.
    pub hint: String,
}

impl Unused {
    /// What is wrong with it, in words; `filter` is the name of the one that it was given to.
    #[must_use]
    pub fn what(&self, filter: &str) -> String {
        format!(
            "nothing in the filter `{filter}` asks for its parameter `{}`",
            self.name
        )
    }
}

/// The parameters that neither set a key of the filter's files nor are named by one. `asked` are the names that were put together
/// from others, such as `<re-<mode>>`: no text holds them as they are.
pub(super) fn unused(layers: &Layers, parameters: &Keys, asked: &BTreeSet<String>) -> Vec<Unused> {
    let sections = layers.sections.iter().map(|section| &section.keys);
    let keys: BTreeSet<&str> = sections
        .chain([&layers.defaults])
        .flat_map(|keys| keys.keys().map(String::as_str))
        .chain(KEYS)
        .collect();
    let is_used = |name: &str| {
        GIVEN_TO_ALL.contains(&name) || keys.contains(name) || asked.contains(name) || layers.mention(name)
    };
    let unused = parameters.keys().filter(|name| !is_used(name));
    unused
        .map(|name| Unused {
            name: name.clone(),
            hint: match did_you_mean(name, keys.iter().copied()) {
                hint if hint.is_empty() => format!("take it out, or use it in the filter as <{name}>"),
                hint => hint,
            },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::{Path, PathBuf};

    use super::super::definition::{Definition, LogType};
    use super::super::layers::Files;
    use super::*;

    const FILTER: &str = "[INCLUDES]\nbefore = shared.conf\n[Definition]\nfailregex = ^%(_host)s <re-<mode>> <HOST>$\n\
                          re-normal = x\nunmentioned = 1\n[Init]\nmode = normal\n";
    const SHARED: &str = "[DEFAULT]\n_host = <lt_<logtype>/host>%(port)s <extra>\n[lt_file]\nhost = \\S+\n[lt_journal]\nhost = <__hostname>\n";

    struct Two;

    impl Files for Two {
        fn read(&self, path: &Path) -> io::Result<Option<String>> {
            let texts = [("mine.conf", FILTER), ("shared.conf", SHARED)];
            let found = texts.iter().find(|(name, _)| path == Path::new(name));
            Ok(found.map(|(_, text)| (*text).to_owned()))
        }
    }

    fn hints(parameters: &[&str]) -> Vec<String> {
        let given = ["mode=normal", "extra=", "port=1"].iter().chain(parameters);
        let parameters: Vec<(String, String)> = given
            .filter_map(|parameter| parameter.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let read = Definition::read(&Two, &[PathBuf::from("mine.conf")], &parameters, LogType::File);
        assert_eq!(read.problems.to_string(), "");
        let unused = read.definition.unwrap().unused;
        let hint = |unused: Unused| format!("{}: {}", unused.name, unused.hint);
        unused.into_iter().map(hint).collect()
    }

    #[test]
    fn a_parameter_that_nothing_asks_for_is_told_with_what_was_meant() {
        assert_eq!(
            hints(&["mood=x", "re-nromal=y"]),
            ["mood: did you mean `mode`?", "re-nromal: did you mean `re-normal`?"]
        );
        assert_eq!(
            hints(&["xyzzy=1"]),
            ["xyzzy: take it out, or use it in the filter as <xyzzy>"]
        );
    }

    #[test]
    fn what_the_filter_names_anywhere_or_sets_or_is_given_by_fail2ban_is_in_order() {
        let used = [
            "__hostname=a",
            "unmentioned=2",
            "Extra=b",
            "maxlines=2",
            "logtype=file",
            "name=x",
            "backend=auto",
        ];
        assert_eq!(hints(&used), [] as [&str; 0]);
        assert_eq!(
            hints(&["re-rbl=x", "mode=rbl"]),
            [] as [&str; 0],
            "a name put together from others"
        );
    }
}
