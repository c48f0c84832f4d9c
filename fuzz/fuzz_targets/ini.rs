//! Files of settings: any bytes, as a filter's file and its `.local` neighbour.
//!
//! A NUL ends the first file. Reading must come to an end, and whatever is wrong must be named by a line that its file has: an
//! operator who is sent to a line that does not exist cannot correct it.
#![no_main]

use std::io;
use std::path::{Path, PathBuf};

use blocker::filter::definition::{Definition, LogType};
use blocker::filter::ini::Ini;
use blocker::filter::interpolate::Scope;
use blocker::filter::layers::{Files, Keys, Layers};
use blocker::problem::{Place, Problem};
use libfuzzer_sys::fuzz_target;

const CONF: &str = "x.conf";
const LOCAL: &str = "x.local";

struct Two<'a> {
    conf: &'a str,
    local: &'a str,
}

impl Two<'_> {
    fn text(&self, file: &Path) -> Option<&str> {
        match file.to_str()? {
            CONF => Some(self.conf),
            LOCAL => Some(self.local),
            _ => None,
        }
    }

    fn check_place(&self, place: &Place) {
        // Line 0 is the file as a whole, and the only one of what was never a file.
        let lines = self.text(&place.file).map_or(0, lines);
        assert!(place.line <= lines, "{place} is beyond the file's {lines} lines");
    }

    fn check(&self, problem: &Problem) {
        self.check_place(&problem.place);
        assert!(!problem.what.is_empty(), "a problem says nothing");
    }
}

/// How many lines a text has; all three ways to end one count, as where Python reads it.
fn lines(text: &str) -> usize {
    text.replace("\r\n", "\n").split(['\n', '\r']).count()
}

impl Files for Two<'_> {
    fn read(&self, path: &Path) -> io::Result<Option<String>> {
        Ok(self.text(path).map(str::to_owned))
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (conf, local) = text.split_once('\0').unwrap_or((&text, ""));
    let files = Two { conf, local };
    let paths = [PathBuf::from(CONF)];

    let (_, problems) = Ini::parse(Path::new(CONF), conf);
    problems.0.iter().for_each(|problem| files.check(problem));
    let (layers, problems) = Layers::read(&files, &paths);
    problems.0.iter().for_each(|problem| files.check(problem));
    every_value(&files, &layers);
    let parameters = [("mode".to_owned(), "more".to_owned())];
    let read = Definition::read(&files, &paths, &parameters, LogType::File);
    read.problems.0.iter().for_each(|problem| files.check(problem));
    if let Some(definition) = read.definition {
        let lines = definition.values().values().flat_map(|value| &value.lines);
        lines.for_each(|line| files.check_place(&line.place));
    }
});

fn every_value(files: &Two<'_>, layers: &Layers) {
    let nothing = Keys::new();
    for section in &layers.sections {
        let scope = Scope::new(layers, &section.name, &nothing);
        for key in section.keys.keys().chain(layers.defaults.keys()) {
            match scope.get(key) {
                Ok(value) => {
                    let value = value.unwrap_or_else(|| panic!("`{key}` is set and has no value"));
                    value.lines.iter().for_each(|line| files.check_place(&line.place));
                }
                Err(problem) => files.check(&problem),
            }
        }
    }
}
