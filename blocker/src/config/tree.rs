//! A folder laid out like fail2ban's: which files there are, and whose value counts.
//!
//! Jails: `jail.conf`, `jail.d/*.conf` sorted, `jail.local`, `jail.d/*.local` sorted; the last value of a key wins. Filters:
//! `filter.d/NAME.conf`, with `filter.d/NAME.local` over it.

use std::path::{Path, PathBuf};

use crate::filter::ini::{Ini, Section, Value};
use crate::problem::{Place, Problem, Problems};

/// The section whose values hold for every jail that does not set its own.
const DEFAULT: &str = "DEFAULT";

/// The files of a configuration.
#[derive(Debug)]
pub(super) struct Tree {
    /// Jail files, in the order in which they are read.
    pub(super) jails: Vec<Ini>,
    /// Where filters are looked for.
    pub(super) filters: Filters,
}

/// Where filters are looked for.
#[derive(Debug)]
pub(super) enum Filters {
    /// In this folder.
    Folder(PathBuf),
    /// Among those compiled in: name and text.
    Builtin(&'static [(&'static str, &'static str)]),
}

/// A jail's section, put together from all files.
#[derive(Debug)]
pub(super) struct JailSection {
    pub(super) name: String,
    /// Where its heading stands first.
    pub(super) place: Place,
    settings: Vec<Setting>,
}

/// A key with its value and where that stands.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) place: Place,
}

impl Tree {
    /// Whether the folder holds any jail file.
    pub(super) fn exists(folder: &Path) -> bool {
        let mut unread = Problems::default();
        !jail_files(folder, &mut unread).is_empty() || !unread.0.is_empty()
    }

    /// Reads the jail files of a folder.
    pub(super) fn read(folder: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let files = jail_files(folder, &mut problems);
        if files.is_empty() && problems.0.is_empty() {
            let hint = "point --config at a folder laid out like /etc/fail2ban";
            problems.add(&Place::file(folder), "holds no jail.conf, jail.local or jail.d/", hint);
        }
        let jails = files
            .iter()
            .filter_map(|file| problems.absorb(read_ini(file)))
            .collect();
        problems.or(Self {
            jails,
            filters: Filters::Folder(folder.join("filter.d")),
        })
    }

    /// The jails, each with the values that count for it, in the order of their first headings.
    pub(super) fn sections(&self) -> Vec<JailSection> {
        let mut defaults = Vec::new();
        let mut jails: Vec<JailSection> = Vec::new();
        for (ini, section) in self
            .jails
            .iter()
            .flat_map(|ini| ini.sections.iter().map(move |section| (ini, section)))
        {
            if section.name == DEFAULT {
                defaults.extend(settings(section));
                continue;
            }
            let at = jails
                .iter()
                .position(|jail| jail.name == section.name)
                .unwrap_or_else(|| {
                    jails.push(JailSection {
                        name: section.name.clone(),
                        place: Place {
                            file: ini.file.clone(),
                            line: section.line,
                        },
                        settings: Vec::new(),
                    });
                    jails.len() - 1
                });
            jails[at].settings.extend(settings(section));
        }
        for jail in &mut jails {
            jail.settings.splice(0..0, defaults.iter().cloned());
        }
        jails
    }

    /// Reads a filter's file, with its `.local` over it.
    pub(super) fn filter(&self, name: &str) -> Result<Ini, Problems> {
        let folder = match &self.filters {
            Filters::Folder(folder) => folder,
            Filters::Builtin(filters) => return builtin(filters, name),
        };
        let path = |suffix| folder.join(format!("{name}.{suffix}"));
        let mut found = ["conf", "local"].map(path).into_iter().filter(|file| file.exists());
        let Some(first) = found.next() else {
            let mut problems = Problems::default();
            problems.add(
                &Place::file(&path("conf")),
                "there is no such filter",
                filters_there_are(folder),
            );
            return Err(problems);
        };
        let mut ini = read_ini(&first)?;
        if let Some(local) = found.next() {
            ini.lay_over(read_ini(&local)?);
        }
        Ok(ini)
    }
}

impl JailSection {
    /// The setting that counts for a key.
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().rev().find(|setting| setting.key == key)
    }

    /// Every setting, those of `[DEFAULT]` first.
    pub(super) fn settings(&self) -> &[Setting] {
        &self.settings
    }
}

impl Setting {
    /// The value as one text.
    pub(super) fn text(&self) -> String {
        self.value.joined()
    }
}

/// The folder's jail files, in the order in which they are read.
fn jail_files(folder: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for (file, suffix) in [("jail.conf", "conf"), ("jail.local", "local")] {
        files.extend(Some(folder.join(file)).filter(|file| file.exists()));
        files.extend(sorted(&folder.join("jail.d"), suffix, problems));
    }
    files
}

fn settings(section: &Section) -> impl Iterator<Item = Setting> {
    section.values.iter().map(|(key, value)| Setting {
        key: key.clone(),
        value: value.clone(),
        place: value.place(),
    })
}

fn builtin(filters: &[(&str, &str)], name: &str) -> Result<Ini, Problems> {
    let file = PathBuf::from(format!("{}/filter.d/{name}.conf", super::builtin::NAME));
    match filters.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => Ini::parse(&file, text),
        None => Err(Problems(vec![Problem {
            place: Place::file(&file),
            what: "there is no such filter".to_owned(),
            hint: String::new(),
        }])),
    }
}

fn read_ini(file: &Path) -> Result<Ini, Problems> {
    match std::fs::read(file) {
        Ok(bytes) => Ini::parse(file, &String::from_utf8_lossy(&bytes)),
        Err(error) => Err(unreadable(file, &error)),
    }
}

/// The problem of a file that cannot be read.
pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Problems {
    let mut problems = Problems::default();
    let hint = "let the user that runs blocker read it";
    problems.add(&Place::file(file), format!("cannot be read: {error}"), hint);
    problems
}

/// The folder's files of one suffix, by name; none when there is no such folder.
fn sorted(folder: &Path, suffix: &str, problems: &mut Problems) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            problems.0.extend(unreadable(folder, &error).0);
            return Vec::new();
        }
    };
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|found| found == suffix))
        .collect();
    files.sort();
    files
}

fn filters_there_are(folder: &Path) -> String {
    let mut unread = Problems::default();
    let files = sorted(folder, "conf", &mut unread);
    let names: Vec<_> = files.iter().filter_map(|file| file.file_stem()?.to_str()).collect();
    match names.as_slice() {
        [] => format!("{} holds no filter", folder.display()),
        names => format!("{} holds {}", folder.display(), names.join(", ")),
    }
}
