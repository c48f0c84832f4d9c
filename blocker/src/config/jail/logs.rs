//! The logs that a jail names: files, standard input, or the systemd journal.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Reader, boolean};
use crate::filter::definition::{Definition, LogType};
use crate::filter::parameters::Named;
use crate::problem::Place;
use crate::source::Log;
use crate::source::journal::{self, Selection};

/// How standard input is named in a `logpath`.
const INPUT: &str = "-";

/// What a jail's `backend` says. How files are watched is not its business here.
pub(super) enum Backend {
    /// Files, or the journal where there are none.
    Auto,
    /// Files.
    Files,
    /// The journal, and parameters that say which.
    Journal(Vec<(String, String)>),
}

/// A jail's logs and its filter, which is another one where lines come from the journal.
pub(super) struct Logs {
    pub(super) logs: Vec<Log>,
    /// Where the configuration names them.
    pub(super) place: Place,
    pub(super) definition: Option<Definition>,
}

impl Reader<'_> {
    /// Reads which logs there are, and the filter for them.
    pub(super) fn logs_and_filter(&mut self) -> Logs {
        let own = self.section.place().clone();
        let place = |value: Option<crate::filter::value::Value>| value.map_or(own, |value| value.place());
        if let Backend::Journal(parameters) = self.backend() {
            let place = place(self.get("backend"));
            let definition = self.definition(LogType::Journal);
            let logs = self.journal(definition.as_ref(), &parameters).into_iter().collect();
            return Logs {
                logs,
                place,
                definition,
            };
        }
        let logs = self.files();
        let place = place(self.get("logpath"));
        let definition = self.definition(LogType::File);
        if self.prefers_journal(&logs, definition.as_ref()) {
            let definition = self.definition(LogType::Journal);
            if let Some(log) = self.journal(definition.as_ref(), &[]) {
                // The compiled-in jails name what a system may have.
                if self.tree.folder.is_some() {
                    let what = format!(
                        "jail [{}]: none of its logs exists; it reads the {log}",
                        self.section.name()
                    );
                    let hint = "correct `logpath`, or say `backend = systemd`";
                    self.warnings.add(&place, what, hint);
                }
                return Logs {
                    logs: vec![log],
                    place,
                    definition,
                };
            }
        }
        Logs {
            logs,
            place,
            definition,
        }
    }

    fn backend(&mut self) -> Backend {
        let Some(value) = self.get("backend").filter(|value| !value.is_empty()) else {
            return Backend::Auto;
        };
        match Named::parse(&value.joined()) {
            Ok(named) if named.name == "systemd" => Backend::Journal(named.parameters),
            Ok(named) if named.name == "auto" => Backend::Auto,
            Ok(_) => Backend::Files,
            Err(what) => {
                self.wrong("backend", &value, what, "write `backend = systemd` or `backend = auto`");
                Backend::Files
            }
        }
    }

    /// Whether a jail that may choose reads the journal: there is no file, but a journal, and it is known which of its entries are
    /// for the filter.
    fn prefers_journal(&mut self, logs: &[Log], definition: Option<&Definition>) -> bool {
        let is_auto = matches!(self.backend(), Backend::Auto) && self.read("systemd_if_nologs", boolean, true);
        let exists = |log: &Log| match log {
            Log::Files(path) => expanded(&path.to_string_lossy()).iter().any(|path| path.exists()),
            Log::Journal(_) | Log::Input => true,
        };
        let matches = definition.and_then(|definition| definition.get("journalmatch"));
        is_auto && matches.is_some_and(|value| !value.is_empty()) && !logs.iter().any(exists) && journal::is_kept()
    }

    /// The part of the journal that the filter, or the jail in its stead, asks for.
    fn journal(&mut self, definition: Option<&Definition>, parameters: &[(String, String)]) -> Option<Log> {
        let value = definition?.get("journalmatch");
        let lines = value.into_iter().flat_map(|value| value.filled());
        let selection = Selection::new(lines.map(|line| line.text.as_str()));
        let (key, selection) = match selection {
            Ok(selection) => ("backend", selection.narrow(parameters)),
            Err(what) => ("journalmatch", Err(what)),
        };
        match selection {
            Ok(selection) => Some(Log::Journal(selection)),
            Err(what) => {
                let named = self.get(key).or_else(|| value.cloned());
                if let Some(value) = named {
                    let hint = "write it as in `journalmatch = _SYSTEMD_UNIT=postfix@-.service + SYSLOG_FACILITY=2`";
                    self.wrong(key, &value, what, if key == "backend" { "" } else { hint });
                }
                None
            }
        }
    }

    /// The files that the jail names, each once, and standard input.
    fn files(&mut self) -> Vec<Log> {
        let Some(value) = self.get("logpath") else {
            self.missing("names no log", "write `logpath = /var/log/mail.log`");
            return Vec::new();
        };
        let text = value.text();
        // `tail` asks fail2ban to begin at a log's end; here only failures within `findtime` count anyway.
        let words = text.split_whitespace().filter(|word| !["tail", "head"].contains(word));
        let mut logs: Vec<Log> = Vec::new();
        let mut known: BTreeMap<PathBuf, (usize, &str)> = BTreeMap::new();
        for (n, word) in words.enumerate() {
            if word == INPUT {
                logs.extend(Some(Log::Input).filter(|log| !logs.contains(log)));
                continue;
            }
            let mut again = None;
            for log in expanded(word) {
                let file = log.canonicalize().unwrap_or_else(|_| log.clone());
                match known.get(&file) {
                    None => {
                        known.insert(file, (n, word));
                    }
                    // A single pattern may well find a file and links to it.
                    Some((first, _)) if *first == n => {}
                    Some((_, first)) => again = again.or(Some((*first, log))),
                }
            }
            // The compiled-in jails name what a system may have, and nobody could correct them.
            if let Some((first, log)) = again.filter(|_| self.tree.folder.is_some()) {
                let what = format!(
                    "{}: `{}` is a file that `{first}` names already, and is read once",
                    self.subject("logpath", &value),
                    log.display()
                );
                self.warnings.add(&value.place(), what, "take one of the two out");
            }
            let log = Log::Files(PathBuf::from(word));
            logs.extend(Some(log).filter(|log| !logs.contains(log)));
        }
        if logs.is_empty() {
            self.wrong("logpath", &value, "is empty", "write `logpath = /var/log/mail.log`");
        }
        for log in &logs {
            if let Log::Files(path) = log
                && !path.is_absolute()
            {
                let what = format!("`{}` is no absolute path", path.display());
                self.wrong(
                    "logpath",
                    &value,
                    what,
                    "begin it with `/`, or write `-` for standard input",
                );
            }
        }
        logs
    }
}

/// The files that a path with wildcards stands for now; the path itself where there are none.
fn expanded(path: &str) -> Vec<PathBuf> {
    let found: Vec<PathBuf> = match glob::glob(path) {
        Ok(paths) if path.contains(['*', '?', '[']) => paths.filter_map(Result::ok).collect(),
        _ => Vec::new(),
    };
    if found.is_empty() {
        vec![PathBuf::from(path)]
    } else {
        found
    }
}
