//! Reads a file of sample lines and holds a filter to it.

mod expectation;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use blocker::filter::matcher::{Hit, Search};
use blocker::filter::trial::{Clock, Trial};
use blocker_filter_tests::package::Package;
use blocker_filter_tests::{compile, trial};
use jiff::Timestamp;
use serde_json::{Map, Value};

use self::expectation::{Expectation, condition};

/// The clock that the answers were written by: the middle of August 2005, in central Europe.
pub const ZONE: &str = "CET-01CEST-02,M3.5.0,M10.5.0";
pub const NOW: i64 = 1_124_013_600;

/// A filter and its file of lines.
pub struct Source {
    name: String,
    configuration: PathBuf,
    logs: PathBuf,
}

/// How a filter did.
pub struct Score {
    pub name: String,
    pub checks: usize,
    pub right: usize,
    pub wrong: Vec<String>,
}

type Options = Map<String, Value>;

/// A filter at work with one set of options, through the whole file.
struct Run {
    trial: Trial,
    regexes: Vec<String>,
    reached: BTreeSet<usize>,
}

impl Source {
    /// Every filter of the package that has lines: those that are installed, and those of its own tests.
    pub fn all(package: &Package) -> Vec<Self> {
        let mut all = Vec::new();
        for (configuration, own) in [(package.configuration(), true), (package.test_configuration(), false)] {
            let entries = fs::read_dir(configuration.join("filter.d")).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let names = names.filter_map(|name| Some(name.strip_suffix(".conf")?.to_owned()));
            let wanted = names.filter(|name| {
                if own {
                    !name.ends_with("common")
                } else {
                    name.starts_with("zzz-")
                }
            });
            all.extend(wanted.map(|name| Self {
                name,
                configuration: configuration.clone(),
                logs: package.logs(),
            }));
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// Goes through the file and those that it names.
    pub fn score(&self) -> Score {
        let mut session = Session {
            source: self,
            runs: BTreeMap::new(),
            score: Score {
                name: self.name.clone(),
                checks: 0,
                right: 0,
                wrong: Vec::new(),
            },
        };
        let mut files = vec![self.name.clone()];
        let mut active: Option<Vec<Options>> = None;
        let mut n = 0;
        while let Some(file) = files.get(n).cloned() {
            n += 1;
            session.file(&file, &mut active, &mut files);
        }
        session.unreached();
        session.score
    }
}

struct Session<'a> {
    source: &'a Source,
    runs: BTreeMap<String, Run>,
    score: Score,
}

impl Session<'_> {
    fn file(&mut self, file: &str, active: &mut Option<Vec<Options>>, files: &mut Vec<String>) {
        let path = self.source.logs.join(file);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let text = String::from_utf8_lossy(&bytes);
        let mut defaults = Options::new();
        let mut skipping = false;
        let mut expected: Option<Options> = None;
        for (number, line) in (1..).zip(text.split('\n')) {
            let line = line.trim_end_matches('\r');
            if let Some((directive, value)) = directive(line) {
                match directive {
                    "fileOptions" => defaults = object(value),
                    "addFILE" => files.push(value.as_str().unwrap().to_owned()),
                    "filterOptions" => {
                        let sets = match value {
                            Value::Array(sets) => sets.into_iter().map(object).collect(),
                            set => vec![object(set)],
                        };
                        let sets: Vec<Options> = sets
                            .into_iter()
                            .map(|set| defaults.clone().into_iter().chain(set).collect())
                            .collect();
                        let unmet = |set: &Options| {
                            let text = set.get("test.condition").and_then(Value::as_str);
                            text.is_some_and(|text| !condition(text, &self.source.name, set))
                        };
                        skipping = sets.iter().any(unmet);
                        *active = Some(if skipping { Vec::new() } else { sets });
                    }
                    _ => expected = Some(object(value)),
                }
                continue;
            }
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let expected = expected.take();
            if skipping {
                continue;
            }
            let sets = active.get_or_insert_with(|| vec![Options::new()]).clone();
            for set in sets {
                self.line(line, &set, expected.as_ref(), &format!("{file}:{number}"));
            }
        }
    }

    fn line(&mut self, line: &str, set: &Options, expected: Option<&Options>, place: &str) {
        if let Some(text) = expected
            .and_then(|expected| expected.get("constraint"))
            .and_then(Value::as_str)
            && !condition(text, &self.source.name, set)
        {
            return;
        }
        let journal = set.get("logtype").and_then(Value::as_str) == Some("journal");
        let prefix = set.get("test.prefix-line").and_then(Value::as_str).filter(|_| journal);
        let line = format!("{}{line}", prefix.unwrap_or_default());
        let key = set
            .get("test.filter-name")
            .and_then(Value::as_str)
            .map_or_else(|| own(set), str::to_owned);
        let source = self.source;
        let run = self.runs.entry(key).or_insert_with(|| Run::new(source, set, journal));
        let hits = run.trial.line(&line).hits;
        let (counted, passed): (Vec<Hit>, Vec<Hit>) = hits.into_iter().partition(Hit::is_failure);
        run.reached.extend(passed.iter().map(|hit| hit.failregex));
        let result = match expected {
            Some(expected) => Expectation(expected).holds(&counted),
            None if counted.is_empty() => Ok(()),
            None => Err("matches, and should not".to_owned()),
        };
        self.score.checks += usize::from(expected.is_some());
        match result {
            Ok(()) => {
                self.score.right += usize::from(expected.is_some());
                run.reached.extend(counted.iter().map(|hit| hit.failregex));
            }
            Err(what) => self.score.wrong.push(format!("{place}: {}: {what}: {line}", own(set))),
        }
    }

    /// Every failregex of every run must have found something, in that run or another.
    fn unreached(&mut self) {
        let reached: BTreeSet<String> = self
            .runs
            .values()
            .flat_map(|run| run.reached.iter().map(|n| run.regexes[*n].clone()))
            .collect();
        for (set, run) in &self.runs {
            for (n, regex) in run.regexes.iter().enumerate() {
                if !reached.contains(regex) {
                    self.score
                        .wrong
                        .push(format!("{set}: no line reached failregex {n}: {regex}"));
                }
            }
        }
    }
}

impl Run {
    fn new(source: &Source, set: &Options, journal: bool) -> Self {
        let parameters: Vec<(String, String)> = set
            .iter()
            .filter(|(key, _)| !key.starts_with("test."))
            .map(|(key, value)| {
                (
                    key.clone(),
                    value.as_str().map_or_else(|| value.to_string(), str::to_owned),
                )
            })
            .collect();
        let filter = compile(Some(&source.configuration), &source.name, &parameters);
        Self {
            trial: if journal {
                let now = Timestamp::from_second(NOW).unwrap();
                Trial::new(&filter, Search::All, Clock::Fixed(now))
            } else {
                trial(&filter, Search::All, ZONE, NOW)
            },
            regexes: filter.failregex().iter().map(|regex| regex.text.to_string()).collect(),
            reached: BTreeSet::new(),
        }
    }
}

/// The options that are the filter's, as text.
fn own(set: &Options) -> String {
    let own: Options = set
        .iter()
        .filter(|(key, _)| !key.starts_with("test."))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Value::Object(own).to_string()
}

/// `# failJSON: {…}` and its relatives.
fn directive(line: &str) -> Option<(&str, Value)> {
    let hashes = line.trim_start_matches('#');
    if hashes.len() == line.len() {
        return None;
    }
    let (name, json) = hashes.strip_prefix(' ').unwrap_or(hashes).split_once(':')?;
    if !["failJSON", "fileOptions", "filterOptions", "addFILE"].contains(&name) {
        return None;
    }
    Some((
        name,
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{line}: {error}")),
    ))
}

fn object(value: Value) -> Options {
    match value {
        Value::Object(object) => object,
        other => panic!("an object, not {other}"),
    }
}
