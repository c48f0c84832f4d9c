//! The log files that a jail names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Reader;

impl Reader<'_> {
    /// The jail's logs, each once.
    pub(super) fn logs(&mut self) -> Vec<PathBuf> {
        let Some(value) = self.get("logpath") else {
            self.missing("names no log", "write `logpath = /var/log/mail.log`");
            return Vec::new();
        };
        let text = value.text();
        // `tail` asks fail2ban to begin at a log's end; here only failures within `findtime` count anyway.
        let words = text.split_whitespace().filter(|word| !["tail", "head"].contains(word));
        let mut logs: Vec<PathBuf> = Vec::new();
        let mut known: BTreeMap<PathBuf, (usize, &str)> = BTreeMap::new();
        for (n, word) in words.enumerate() {
            let mut again = None;
            for log in expanded(word) {
                // One file by two names would count every failure twice.
                let file = log.canonicalize().unwrap_or_else(|_| log.clone());
                match known.get(&file) {
                    None => {
                        known.insert(file, (n, word));
                        logs.push(log);
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
        }
        if logs.is_empty() {
            self.wrong("logpath", &value, "is empty", "write `logpath = /var/log/mail.log`");
        }
        for log in logs.iter().filter(|log| !log.is_absolute()) {
            let what = format!("`{}` is no absolute path", log.display());
            self.wrong("logpath", &value, what, "begin it with `/`");
        }
        logs
    }
}

/// The files that a path with wildcards stands for now; the path itself where there are none, for it to be named as missing.
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
