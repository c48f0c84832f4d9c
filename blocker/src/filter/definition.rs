//! What a filter's files say in the end: every name replaced, every parameter in its place, nothing compiled yet.
//!
//! A parameter given by the jail (`filter = postfix[mode=rbl]`) counts before `[Init]`, and that before `[Definition]`. A jail may
//! also replace a whole key, such as `failregex`; `%(known/failregex)s` is then the filter's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::interpolate::Scope;
use super::layers::{Files, Keys, Layers};
use super::pattern::tag;
use super::substitute::substitute;
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

/// A filter before it is compiled.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Where `[Definition]` stands.
    pub place: Place,
    /// The values of those of [`KEYS`] that are set.
    values: BTreeMap<String, Value>,
    /// Every key of the files, to be offered where a name is misspelt.
    names: Vec<String>,
}

impl Definition {
    /// Reads a filter from its files, of which the first must exist.
    ///
    /// # Errors
    ///
    /// Every problem of every file, and every name that stands for nothing or for itself.
    pub fn read(files: &dyn Files, paths: &[PathBuf], parameters: &[(String, String)]) -> Result<Self, Problems> {
        let layers = Layers::read(files, paths)?;
        let file = paths.first().map_or(Path::new(""), PathBuf::as_path);
        let mut problems = Problems::default();
        let Some(section) = layers.section(DEFINITION) else {
            problems.add(
                &Place::file(file),
                "has no section [Definition]",
                "a filter begins with that line",
            );
            return Err(problems);
        };
        let given = Place::file(file);
        let given: Keys = parameters
            .iter()
            .map(|(key, value)| (key.to_lowercase(), Value::given(&given, value)))
            .collect();
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
        };
        let mut values = BTreeMap::new();
        for key in KEYS {
            let Some(value) = tags.get(key) else { continue };
            let value = substitute(key, value.clone(), |name| names.meaning(name));
            values.extend(problems.take(value).map(|value| (key.to_owned(), value)));
        }
        let sections = layers.sections.iter().map(|section| &section.keys);
        let names = sections.chain([&layers.defaults]).flat_map(|keys| keys.keys().cloned());
        let read = Self {
            place: section.place.clone(),
            values,
            names: names.collect(),
        };
        problems.or(read)
    }

    /// A filter of one failregex, as it may be typed at the command line.
    #[must_use]
    pub fn of_regex(failregex: &str) -> Self {
        let place = Place::file(Path::new("the regular expression given"));
        Self {
            values: BTreeMap::from([("failregex".to_owned(), Value::given(&place, failregex))]),
            place,
            names: Vec::new(),
        }
    }

    /// The value of one of [`KEYS`]; none where it is not set.
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
}

impl Names<'_> {
    fn meaning(&self, name: &str) -> Result<Option<Value>, Problem> {
        if tag::is_known(name) {
            return Ok(None);
        }
        if let Some(value) = self.tags.get(name) {
            return Ok(Some(value.clone()));
        }
        if let Some((section, key)) = name.split_once('/') {
            if section == "known" {
                return match self.definition.get(name)? {
                    Some(value) => Ok(Some(value)),
                    None => self.definition.get(key),
                };
            }
            let found = self.layers.sections.iter().find(|layer| layer.name == section);
            if found.is_some() {
                let nothing = Keys::new();
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
