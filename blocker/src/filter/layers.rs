//! Files of settings laid over each other, key by key: what a later file sets counts, what it does not set stays.
//!
//! Includes are followed here: `[INCLUDES] before` names files that lie below the one that names them, `after` those above it, and
//! every file takes its neighbour with the ending `.local` with it. What a value was before the latest file changed it is kept,
//! for `%(known/x)s`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::ini::Ini;
use super::interpolate::Scope;
use super::value::Value;
use crate::problem::{Place, Problems};

/// The section whose values hold in every other that does not set its own.
pub const DEFAULT: &str = "DEFAULT";
const INCLUDES: &str = "INCLUDES";
/// So many files may be read for one filter or one set of jails. It bounds includes that multiply.
const MAX_FILES: usize = 1000;

/// Where files are read from.
pub trait Files {
    /// The text of a file; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When it is there and cannot be read.
    fn read(&self, path: &Path) -> io::Result<Option<String>>;
}

/// Files on the disk.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Option<String>> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Keys in lower case with their values.
pub type Keys = BTreeMap<String, Value>;

/// What the files say together.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The values of `[DEFAULT]`.
    pub defaults: Keys,
    /// The other sections, in the order of their first headings.
    pub sections: Vec<Layer>,
}

/// A section, put together from all files.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// Where its heading stands first.
    pub place: Place,
    /// Its own values, without those of `[DEFAULT]`.
    pub keys: Keys,
    /// What values were before the latest file that sets them.
    pub known: Keys,
}

impl Layers {
    /// Reads files, each over those before it, with what they include. What can be read is, also where some cannot: whoever has several
    /// mistakes to correct wants to hear of all of them.
    pub fn read(files: &dyn Files, paths: &[PathBuf]) -> (Self, Problems) {
        let mut problems = Problems::default();
        let mut reader = Reader {
            files,
            problems: &mut problems,
            read: Vec::new(),
        };
        reader.all(paths, &mut Vec::new());
        let mut layers = Self::default();
        for mut ini in std::mem::take(&mut reader.read) {
            ini.sections.retain(|section| section.name != INCLUDES);
            layers.lay_over(ini);
        }
        (layers, problems)
    }

    /// The section of this name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Layer> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// Whether a value anywhere mentions the key, as `%(key)s`, `<key>` or with its section before it.
    #[must_use]
    pub fn mention(&self, key: &str) -> bool {
        let ways = [
            format!("({key})s"),
            format!("/{key})s"),
            format!("<{key}>"),
            format!("/{key}>"),
        ];
        let sections = self.sections.iter().map(|section| &section.keys);
        let mut values = sections.chain([&self.defaults]).flat_map(BTreeMap::values);
        values.any(|value| {
            let text = value.text().to_lowercase();
            ways.iter().any(|way| text.contains(way))
        })
    }

    fn lay_over(&mut self, ini: Ini) {
        for section in ini.sections {
            if section.name == DEFAULT {
                self.defaults.extend(section.values);
                continue;
            }
            let found = self.sections.iter().position(|known| known.name == section.name);
            let at = found.unwrap_or_else(|| {
                self.sections.push(Layer {
                    name: section.name.clone(),
                    place: section.place.clone(),
                    keys: Keys::new(),
                    known: Keys::new(),
                });
                self.sections.len() - 1
            });
            let Layer { keys, known, .. } = &mut self.sections[at];
            for (key, value) in section.values {
                if let Some(before) = keys.insert(key.clone(), value) {
                    known.insert(key, before);
                }
            }
        }
    }
}

struct Reader<'a> {
    files: &'a dyn Files,
    problems: &'a mut Problems,
    /// What was read, in the order of the layers.
    read: Vec<Ini>,
}

impl Reader<'_> {
    /// Reads these files with their `.local` neighbours. `above` are the files whose includes are being followed.
    fn all(&mut self, paths: &[PathBuf], above: &mut Vec<PathBuf>) {
        for path in paths {
            self.one(path, None, above);
            let local = path.with_extension("local");
            if !paths.contains(&local) {
                self.one(&local, None, above);
            }
        }
    }

    /// Reads one file and what it includes; `named` says where, if another file includes it.
    fn one(&mut self, path: &Path, named: Option<&Place>, above: &mut Vec<PathBuf>) {
        let Some(ini) = self.parse(path, named) else {
            return;
        };
        let [before, after] = ["before", "after"].map(|key| self.includes(&ini, key));
        above.push(path.to_owned());
        for included in &before {
            self.include(included, above);
        }
        if self.read.len() < MAX_FILES {
            self.read.push(ini);
        }
        for included in &after {
            self.include(included, above);
        }
        above.pop();
    }

    fn include(&mut self, (path, place): &(PathBuf, Place), above: &mut Vec<PathBuf>) {
        // A file that includes itself, by whatever way round, is there already.
        if above.contains(path) || self.read.len() >= MAX_FILES {
            return;
        }
        self.one(path, Some(place), above);
        let local = path.with_extension("local");
        if local != *path {
            self.one(&local, None, above);
        }
    }

    /// The files that `[INCLUDES]` of a file names under a key, and where it does so.
    fn includes(&mut self, ini: &Ini, key: &str) -> Vec<(PathBuf, Place)> {
        if !ini.sections.iter().any(|section| section.name == INCLUDES) {
            return Vec::new();
        }
        let mut alone = Layers::default();
        alone.lay_over(ini.clone());
        let nothing = Keys::new();
        let value = Scope::new(&alone, INCLUDES, &nothing).get(key);
        let value = self.problems.take(value).flatten().unwrap_or_default();
        let folder = ini.file.parent().unwrap_or(Path::new(""));
        let named = value.filled().map(|line| (folder.join(&line.text), line.place.clone()));
        named.collect()
    }

    fn parse(&mut self, path: &Path, named: Option<&Place>) -> Option<Ini> {
        match self.files.read(path) {
            Ok(Some(text)) => {
                let (ini, problems) = Ini::parse(path, &text);
                self.problems.0.extend(problems.0);
                Some(ini)
            }
            Ok(None) => {
                // An operator's own additions may be missing; what the files themselves need may not.
                let optional = path.extension().is_some_and(|extension| extension == "local");
                if let (Some(place), false) = (named, optional) {
                    let what = format!("includes `{}`, which does not exist", path.display());
                    self.problems.add(
                        place,
                        what,
                        "correct the name, or put the file there: it is looked for beside this one",
                    );
                }
                None
            }
            Err(error) => {
                let hint = "let the user that runs blocker read it";
                self.problems
                    .add(&Place::file(path), format!("cannot be read: {error}"), hint);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files by name, in memory.
    struct Memory(Vec<(&'static str, &'static str)>);

    impl Files for Memory {
        fn read(&self, path: &Path) -> io::Result<Option<String>> {
            let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
            Ok(found.map(|(_, text)| (*text).to_owned()))
        }
    }

    fn read(files: &[(&'static str, &'static str)]) -> Result<Layers, Problems> {
        let first = PathBuf::from(files[0].0);
        let (layers, problems) = Layers::read(&Memory(files.to_vec()), &[first]);
        problems.or(layers)
    }

    fn text(layers: &Layers, key: &str) -> String {
        layers.section("Definition").unwrap().keys[key].joined()
    }

    #[test]
    fn includes_lie_below_and_above_and_bring_their_local_files() {
        let layers = read(&[
            (
                "f/x.conf",
                "[INCLUDES]\nbefore = %(first)s.conf\nafter = z.local\nfirst = a\n[Definition]\nx = x\ny = x\nz = x\n",
            ),
            ("f/a.conf", "[Definition]\nw = a\nx = a\ny = a\n"),
            ("f/a.local", "[Definition]\nw = local\n"),
            ("f/z.local", "[Definition]\nz = z\n"),
            ("f/x.local", "[Definition]\ny = own\n"),
        ])
        .unwrap();
        assert_eq!(
            ["w", "x", "y", "z"].map(|key| text(&layers, key)),
            ["local", "x", "own", "z"]
        );
        let known = &layers.section("Definition").unwrap().known;
        assert_eq!(known["z"].joined(), "x", "what it was before the file above");
        assert_eq!(known["y"].joined(), "x");
    }

    #[test]
    fn a_file_that_includes_itself_is_read_once() {
        let layers = read(&[
            ("a.conf", "[INCLUDES]\nbefore = b.conf\n[Definition]\nx = a\n"),
            ("b.conf", "[INCLUDES]\nbefore = a.conf\n[Definition]\nx = b\ny = b\n"),
        ])
        .unwrap();
        assert_eq!(text(&layers, "x"), "a");
    }

    #[test]
    fn a_missing_include_is_named_with_its_line_unless_it_is_the_operators_own() {
        let problems = read(&[(
            "a.conf",
            "[INCLUDES]\nbefore = b.conf\n         c.conf\nafter = d.local\n",
        )])
        .unwrap_err();
        let lines: Vec<usize> = problems.0.iter().map(|problem| problem.place.line).collect();
        assert_eq!(lines, [2, 3]);
        assert!(problems.to_string().contains("`b.conf`"), "{problems}");
    }

    #[test]
    fn includes_that_multiply_come_to_an_end() {
        let many = "[INCLUDES]\nbefore = b.conf\n b.conf\n b.conf\n b.conf\n b.conf\n b.conf\n b.conf\n";
        let names = ["a.conf", "b.conf", "c.conf", "d.conf", "e.conf", "f.conf", "g.conf"];
        let files = Chain(names.map(|name| (name, many)));
        assert_eq!(Layers::read(&files, &[PathBuf::from("a.conf")]).1, Problems::default());

        struct Chain([(&'static str, &'static str); 7]);
        impl Files for Chain {
            fn read(&self, path: &Path) -> io::Result<Option<String>> {
                let at = self.0.iter().position(|(name, _)| Path::new(name) == path);
                let next = at.and_then(|at| self.0.get(at + 1));
                Ok(at.map(|_| next.map_or(String::new(), |(name, _)| self.0[0].1.replace("b.conf", name))))
            }
        }
    }
}
