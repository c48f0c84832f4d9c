//! The filter: finds failures in lines, by rules in fail2ban's language.
//!
//! A filter's files are read and laid over each other ([`ini`], [`layers`]), names in them are replaced ([`interpolate`],
//! `substitute`), and what they say in the end ([`definition`]) is compiled once: date patterns ([`date`]), regular expressions
//! ([`pattern`]). A [`matcher`] then takes lines, one after the other, and says what each shows; [`log`] leads each line of a log
//! through the filters of all its jails. What a failure leads to is the jail's business and may not enter; nor may files be opened here but through [`layers::Files`].

pub mod date;
pub mod definition;
pub mod hijack;
pub mod identity;
pub mod ini;
pub mod interpolate;
pub mod layers;
mod lines;
pub mod log;
pub mod matcher;
pub mod parameters;
pub mod pattern;
pub mod prefilter;
mod session;
mod substitute;
mod text;
pub mod trial;
pub mod unused;
pub mod value;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::date::DatePatterns;
use self::definition::{Definition, Partial};
use self::pattern::content::CONTENT;
use self::pattern::python::Lines;
use self::pattern::tag::Names;
use self::pattern::{Pattern, PatternError};
use self::value::{Value, ValueLine};
use crate::problem::{Place, Problem, Problems};

/// Lines that one failure may take.
const MAX_LINES: usize = 1000;
/// The groups of which one must say whose failure it is, be it by way of a session.
const IDENTITIES: [&str; 5] = ["fid", "ip4", "ip6", "dns", "mlfid"];

/// A compiled filter.
#[derive(Debug)]
pub struct Filter {
    file: PathBuf,
    prefregex: Option<Prefix>,
    failregex: Vec<Regex>,
    ignoreregex: Vec<Regex>,
    dates: Arc<DatePatterns>,
    max_lines: usize,
    use_dns: UseDns,
    journalmatch: Vec<String>,
}

/// An expression and where it was written.
#[derive(Debug)]
pub struct Regex {
    /// As it was written, with every name replaced.
    pub text: Arc<str>,
    /// Where.
    pub place: Place,
    /// As it runs.
    pub pattern: Pattern,
}

/// The expression that every line must match first.
#[derive(Debug)]
struct Prefix {
    regex: Regex,
    /// The group that stands for the line from there on.
    content: Option<usize>,
}

/// What is done with a host's name where an address should stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UseDns {
    /// It is looked up.
    Yes,
    /// It is looked up, and the log says that it was.
    #[default]
    Warn,
    /// It is not taken.
    No,
    /// It is taken as it stands.
    Raw,
}

impl UseDns {
    /// Reads fail2ban's word for it.
    ///
    /// # Errors
    ///
    /// When it is none, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_lowercase().as_str() {
            "yes" | "true" | "on" | "1" => Ok(Self::Yes),
            "warn" => Ok(Self::Warn),
            "no" | "false" | "off" | "0" => Ok(Self::No),
            "raw" => Ok(Self::Raw),
            _ => Err(format!("`{text}` is none of `yes`, `warn`, `no` and `raw`")),
        }
    }
}

impl Filter {
    /// Compiles what was read of a filter.
    ///
    /// # Errors
    ///
    /// What was found when it was read, and everything in it that is missing or cannot be compiled, each with its place.
    pub fn compile_partial(partial: Partial) -> Result<Self, Problems> {
        let mut problems = partial.problems;
        let compiled = partial.definition.map(|definition| Self::compile(&definition));
        match compiled.and_then(|compiled| problems.absorb(compiled)) {
            Some(filter) => problems.or(filter),
            None => Err(problems),
        }
    }

    /// Compiles a filter.
    ///
    /// # Errors
    ///
    /// Everything in it that is missing or cannot be compiled, each with its place.
    pub fn compile(definition: &Definition) -> Result<Self, Problems> {
        Compiler {
            definition,
            problems: Problems::default(),
        }
        .filter()
    }

    /// Whether another filter has the same expressions, from the same places.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let all = |filter: &Self| -> Vec<(Arc<str>, Place)> {
            let regexes = filter.prefregex().into_iter().chain(&filter.failregex);
            let regexes = regexes.chain(&filter.ignoreregex);
            regexes.map(|regex| (regex.text.clone(), regex.place.clone())).collect()
        };
        self.file == other.file && all(self) == all(other)
    }

    /// The file that it comes from.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// That file without its folder.
    #[must_use]
    pub fn name(&self) -> Cow<'_, str> {
        self.file.file_name().unwrap_or_default().to_string_lossy()
    }

    /// The failregexes, in order.
    #[must_use]
    pub fn failregex(&self) -> &[Regex] {
        &self.failregex
    }

    /// The ignoreregexes, in order.
    #[must_use]
    pub fn ignoreregex(&self) -> &[Regex] {
        &self.ignoreregex
    }

    /// The expression that every line must match first, if there is one.
    #[must_use]
    pub fn prefregex(&self) -> Option<&Regex> {
        self.prefregex.as_ref().map(|prefix| &prefix.regex)
    }

    /// What dates look like in its logs.
    #[must_use]
    pub const fn dates(&self) -> &Arc<DatePatterns> {
        &self.dates
    }

    /// What is done with a host's name.
    #[must_use]
    pub const fn use_dns(&self) -> UseDns {
        self.use_dns
    }

    /// Which entries of the systemd journal it is for: one list of matches a line, as journalctl(1) takes them.
    #[must_use]
    pub fn journalmatch(&self) -> &[String] {
        &self.journalmatch
    }
}

/// Compiles a filter and takes note of its problems.
struct Compiler<'a> {
    definition: &'a Definition,
    problems: Problems,
}

impl Compiler<'_> {
    fn filter(mut self) -> Result<Filter, Problems> {
        let use_dns = self.setting("usedns", UseDns::parse).unwrap_or_default();
        let max_lines = self.setting("maxlines", max_lines).unwrap_or(1);
        let names = if use_dns == UseDns::No {
            Names::Refused
        } else {
            Names::Taken
        };
        let lines = if max_lines > 1 { Lines::Several } else { Lines::One };

        // Only a failregex speaks of the beginning and the end of each of several lines.
        let together = if max_lines > 1 { Lines::Together } else { Lines::One };
        let prefregex = self.prefix(names, together);
        let failregex = self.regexes("failregex", names, lines);
        let ignoreregex = self.regexes("ignoreregex", names, together);
        for regex in &failregex {
            self.check_identity(regex, prefregex.as_ref());
        }
        let dates = self.dates();
        if failregex.is_empty() && self.problems.0.is_empty() {
            let hint = "without one the filter finds nothing";
            self.problems.add(&self.definition.place, "has no failregex", hint);
        }
        let journalmatch = self.definition.get("journalmatch").into_iter();
        let filter = Filter {
            file: self.definition.file.clone(),
            prefregex,
            failregex,
            ignoreregex,
            dates: Arc::new(dates.unwrap_or_default()),
            max_lines,
            use_dns,
            journalmatch: journalmatch
                .flat_map(|value| value.filled().map(|line| line.text.clone()))
                .collect(),
        };
        self.problems.or(filter)
    }

    fn setting<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let value = self.definition.get(key).filter(|value| !value.is_empty())?;
        let parsed = parse(&value.text()).map_err(|what| Problem {
            place: value.place(),
            what: format!("{key}: {what}"),
            hint: String::new(),
        });
        self.problems.take(parsed)
    }

    /// The prefregex, whose lines are one expression.
    fn prefix(&mut self, names: Names, lines: Lines) -> Option<Prefix> {
        let value = self.definition.get("prefregex").filter(|value| !value.is_empty())?;
        let whole = ValueLine {
            place: value.place(),
            text: value.text(),
        };
        let regex = self.regex("prefregex", &whole, names, lines)?;
        let content = regex.pattern.group(CONTENT);
        Some(Prefix { regex, content })
    }

    /// One regular expression a line.
    fn regexes(&mut self, key: &str, names: Names, lines: Lines) -> Vec<Regex> {
        let value = self.definition.get(key).map(Value::filled).into_iter().flatten();
        value.filter_map(|line| self.regex(key, line, names, lines)).collect()
    }

    fn regex(&mut self, key: &str, line: &ValueLine, names: Names, lines: Lines) -> Option<Regex> {
        let keys = self.definition.names();
        match Pattern::compile(&line.text, names, lines, keys.collect::<Vec<_>>().into_iter()) {
            Ok(pattern) => Some(Regex {
                text: line.text.as_str().into(),
                place: line.place.clone(),
                pattern,
            }),
            Err(error) => {
                self.refuse(key, line, &error);
                None
            }
        }
    }

    /// A failregex that can never say whose failure it is bans nobody, which its author cannot have meant.
    fn check_identity(&mut self, regex: &Regex, prefix: Option<&Prefix>) {
        let named = |pattern: &Pattern| IDENTITIES.iter().any(|name| pattern.group(name).is_some());
        if !named(&regex.pattern) && !prefix.is_some_and(|prefix| named(&prefix.regex.pattern)) {
            let what = format!("the failregex names no host: `{}`", regex.text);
            let hint = "put <HOST> where the address stands";
            self.problems.add(&regex.place, what, hint);
        }
    }

    fn dates(&mut self) -> Option<DatePatterns> {
        let value = self.definition.get("datepattern");
        let lines: Vec<&ValueLine> = value.map(Value::filled).into_iter().flatten().collect();
        match DatePatterns::compile(lines.iter().map(|line| line.text.as_str())) {
            Ok(dates) => Some(dates),
            Err(errors) => {
                for (n, error) in errors {
                    self.refuse("datepattern", lines[n], &error);
                }
                None
            }
        }
    }

    fn refuse(&mut self, key: &str, line: &ValueLine, error: &PatternError) {
        let what = format!("{key} `{}`: {}", line.text, error.what);
        self.problems.add(&line.place, what, error.hint.clone());
    }
}

fn max_lines(text: &str) -> Result<usize, String> {
    let number = text
        .trim()
        .parse()
        .ok()
        .filter(|number| (1..=MAX_LINES).contains(number));
    number.ok_or_else(|| format!("`{text}` is no number from 1 to {MAX_LINES}"))
}

#[cfg(test)]
mod tests;
