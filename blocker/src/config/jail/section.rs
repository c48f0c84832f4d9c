//! One jail's section, whose values are read with everything put in that they name.

use std::path::Path;

use crate::filter::interpolate::Scope;
use crate::filter::layers::{Keys, Layer, Layers};
use crate::filter::value::Value;
use crate::problem::{Place, Problems};

/// A jail's section.
pub(super) struct Section<'a> {
    layers: &'a Layers,
    layer: &'a Layer,
    given: Keys,
}

impl<'a> Section<'a> {
    /// A section of the jails' files, which lie in `folder`.
    pub(super) fn new(layers: &'a Layers, layer: &'a Layer, folder: &Path) -> Self {
        let mut section = Self {
            layers,
            layer,
            given: Keys::new(),
        };
        // What fail2ban defines before it reads its files.
        section.give(
            "fail2ban_confpath",
            Value::given(&layer.place, &folder.display().to_string()),
        );
        section.give(
            "fail2ban_version",
            Value::given(&layer.place, env!("CARGO_PKG_VERSION")),
        );
        section
    }

    /// The jail's name.
    pub(super) fn name(&self) -> &str {
        &self.layer.name
    }

    /// Where its heading stands.
    pub(super) const fn place(&self) -> &Place {
        &self.layer.place
    }

    /// All files.
    pub(super) const fn layers(&self) -> &Layers {
        self.layers
    }

    /// The keys that the section itself sets.
    pub(super) fn own_keys(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.layer.keys.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Defines a value that the files may name, as it stands: percent signs in it mean nothing.
    pub(super) fn give(&mut self, key: &str, mut value: Value) {
        for line in &mut value.lines {
            line.text = line.text.replace('%', "%%");
        }
        self.given.insert(key.to_owned(), value);
    }

    /// Whether something stands in the section itself, and not in what it shares with others.
    pub(super) fn holds(&self, place: &Place) -> bool {
        let lines = self.layer.keys.values().flat_map(|value| &value.lines);
        lines
            .map(|line| &line.place)
            .chain([&self.layer.place])
            .any(|own| own == place)
    }

    /// The value of a key; `None` where it is not set, or where its problem was taken note of.
    pub(super) fn get(&self, key: &str, problems: &mut Problems) -> Option<Value> {
        let scope = Scope::new(self.layers, &self.layer.name, &self.given);
        problems.take(scope.get(key)).flatten()
    }
}
