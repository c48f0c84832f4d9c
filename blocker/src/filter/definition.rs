//! What a filter's files say in the end: every name replaced, every parameter in its place, nothing compiled yet.
//!
//! A parameter given by the jail (`filter = postfix[mode=rbl]`) counts before `[Init]`, and that before `[Definition]`. A jail may
//! also replace a whole key, such as `failregex`; `%(known/failregex)s` is then the filter's own.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::interpolate::Scope;
use super::layers::{Files, Keys, Layers};
use super::pattern::tag;
use super::substitute::substitute;
use super::unused::{Unused, unused};
use super::value::Value;
use crate::problem::{Place, Problem, Problems, did_you_mean};

const DEFINITION: &str = "Definition";
const INIT: &str = "Init";

/// The keys that mean something by themselves. Any other is a name for use in `%(x)s` and `<x>`.
pub const KEYS: [&str; 7] = [
    "prefregex",
    "failregex",
    "ignoreregex",
    "datepattern",
    "maxlines",
    "usedns",
    "journalmatch",
];

/// What a line looks like before the message that a filter speaks of.
const LOGTYPE: &str = "logtype";

/// Where the lines come from, which decides what stands at their beginning: the value of `<logtype>` unless the filter or the jail
/// says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogType {
    /// A file: date, host, program.
    #[default]
    File,
    /// The systemd journal: host and program.
    Journal,
}

impl LogType {
    const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Journal => "journal",
        }
    }
}

/// A filter before it is compiled.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its file; the one that includes the others.
    pub file: PathBuf,
    /// Where `[Definition]` stands.
    pub place: Place,
    /// Whether its lines come from the journal and carry no date.
    pub is_journal: bool,
    /// The parameters that it was given in vain.
    pub unused: Vec<Unused>,
    /// The values of every key that is set, with every name replaced.
    values: BTreeMap<String, Value>,
    /// Every key of the files, to be offered where a name is misspelt.
    names: Vec<String>,
}

/// What could be read of a filter, so that everything wrong with it can be told at once.
#[derive(Clone, Debug, Default)]
pub struct Partial {
    /// The filter, as far as it is one.
    pub definition: Option<Definition>,
    /// Every problem of every file, and every name that stands for nothing or for itself.
    pub problems: Problems,
}

impl From<Definition> for Partial {
    fn from(definition: Definition) -> Self {
        Self {
            definition: Some(definition),
            problems: Problems::default(),
        }
    }
}

impl From<Problems> for Partial {
    fn from(problems: Problems) -> Self {
        Self {
            definition: None,
            problems,
        }
    }
}

impl Definition {
    /// Reads a filter from its files, of which the first must exist.
    pub fn read(files: &dyn Files, paths: &[PathBuf], parameters: &[(String, String)], log_type: LogType) -> Partial {
        let (layers, mut problems) = Layers::read(files, paths);
        let file = paths.first().map_or(Path::new(""), PathBuf::as_path);
        let Some(section) = layers.section(DEFINITION) else {
            problems.add(
                &Place::file(file),
                "has no section [Definition]",
                "a filter begins with that line",
            );
            return Partial {
                definition: None,
                problems,
            };
        };
        let place = Place::file(file);
        let value = |text: &str| Value::given(&place, text);
        let mut given: Keys = parameters
            .iter()
            .map(|(key, text)| (key.to_lowercase(), value(text)))
            .collect();
        if !given.contains_key(LOGTYPE) && !section.keys.contains_key(LOGTYPE) {
            given.insert(LOGTYPE.to_owned(), value(log_type.name()));
        }
        unknown_keys(&layers, &mut problems);

        let definition = Scope::new(&layers, DEFINITION, &given);
        let mut tags = Keys::new();
        for key in KEYS {
            let value = problems.take(definition.get(key)).flatten();
            tags.extend(value.map(|value| (key.to_owned(), value)));
        }
        let nothing = Keys::new();
        let init = Scope::new(&layers, INIT, &nothing);
        for key in layers.section(INIT).map(|init| init.keys.keys()).into_iter().flatten() {
            if let Some(value) = problems.take(init.get(key)).flatten() {
                tags.insert(format!("known/{key}"), value.clone());
                tags.insert(key.clone(), value);
            }
        }
        tags.extend(given.clone());

        let names = Names {
            tags: &tags,
            layers: &layers,
            definition,
            asked: RefCell::default(),
        };
        let mut values = BTreeMap::new();
        for key in KEYS {
            let Some(value) = tags.get(key) else { continue };
            let value = substitute(key, value.clone(), |name| names.meaning(name));
            values.extend(problems.take(value).map(|value| (key.to_owned(), value)));
        }
        // The others are names for use in these; a jail may use them too, and then learns what is wrong with one.
        let others = section.keys.keys().chain(layers.defaults.keys()).chain(tags.keys());
        for key in others.filter(|key| !KEYS.contains(&key.as_str()) && !key.contains('/')) {
            let value = tags
                .get(key)
                .cloned()
                .map_or_else(|| definition.get(key), |value| Ok(Some(value)));
            let value = value
                .ok()
                .flatten()
                .map(|value| substitute(key, value, |name| names.meaning(name)));
            values.extend(value.and_then(Result::ok).map(|value| (key.clone(), value)));
        }
        let is_journal = values
            .get(LOGTYPE)
            .is_some_and(|value| value.text() == LogType::Journal.name());
        let asked = names.asked.into_inner();
        let sections = layers.sections.iter().map(|section| &section.keys);
        let names = sections.chain([&layers.defaults]).flat_map(|keys| keys.keys().cloned());
        Partial {
            definition: Some(Self {
                file: file.to_owned(),
                unused: unused(&layers, &given, &asked),
                place: section.place.clone(),
                is_journal,
                values,
                names: names.collect(),
            }),
            problems,
        }
    }

    /// A filter of one failregex, as it may be typed at the command line.
    #[must_use]
    pub fn of_regex(failregex: &str) -> Self {
        let place = Place::file(Path::new("the regular expression given"));
        Self {
            file: place.file.clone(),
            unused: Vec::new(),
            values: BTreeMap::from([("failregex".to_owned(), Value::given(&place, failregex))]),
            is_journal: false,
            place,
            names: Vec::new(),
        }
    }

    /// The value of a key; none where it is not set.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Every value, by key.
    #[must_use]
    pub const fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }

    /// Puts a jail's own value in the place of the filter's.
    pub fn replace(&mut self, key: &str, value: Value) {
        self.values.insert(key.to_owned(), value);
    }

    /// Keys of the filter's files.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

/// What `<x>` stands for.
struct Names<'a> {
    tags: &'a Keys,
    layers: &'a Layers,
    definition: Scope<'a>,
    /// Every name that was asked for.
    asked: RefCell<BTreeSet<String>>,
}

impl Names<'_> {
    fn meaning(&self, name: &str) -> Result<Option<Value>, Problem> {
        if tag::is_known(name) {
            return Ok(None);
        }
        self.asked.borrow_mut().insert(name.to_owned());
        if let Some(value) = self.tags.get(name) {
            return Ok(Some(value.clone()));
        }
        if let Some((section, key)) = name.split_once('/') {
            let nothing = Keys::new();
            if section == "known" {
                // Before this file, or at least before the jail's parameters.
                let known = self
                    .layers
                    .section(DEFINITION)
                    .is_some_and(|layer| layer.known.contains_key(key));
                let files = Scope::new(self.layers, DEFINITION, &nothing);
                return files.get(if known { name } else { key });
            }
            let found = self.layers.sections.iter().find(|layer| layer.name == section);
            if found.is_some() {
                return Scope::new(self.layers, section, &nothing).get(key);
            }
        }
        self.definition.get(name)
    }
}

/// A key that is nearly one of [`KEYS`] and that nothing mentions is a slip of the finger, and not the operator's own name.
fn unknown_keys(layers: &Layers, problems: &mut Problems) {
    let sections = [DEFINITION, INIT].map(|name| layers.section(name));
    for section in sections.into_iter().flatten() {
        for (key, value) in &section.keys {
            let hint = did_you_mean(key, KEYS);
            if !KEYS.contains(&key.as_str()) && !hint.is_empty() && !layers.mention(key) {
                let what = format!("unknown key `{key}` in [{}]", section.name);
                problems.add(&value.place(), what, hint);
            }
        }
    }
}
