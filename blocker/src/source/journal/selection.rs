//! Which part of which journal: what fail2ban's `journalmatch` and the parameters of its backend say.

use std::fmt;
use std::path::PathBuf;

/// A part of the systemd journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selection {
    /// Matches as journalctl(1) takes them: `FIELD=value`, and `+` for "or"; none for every entry.
    matches: Vec<String>,
    /// A folder of journal files in the place of the system's.
    folder: Option<PathBuf>,
    /// Journal files in the place of the system's.
    files: Vec<PathBuf>,
    /// A journal namespace.
    namespace: Option<String>,
}

impl Selection {
    /// The entries that these matches find, one list of them a line.
    ///
    /// # Errors
    ///
    /// What in them is no match, in words.
    pub fn new<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut matches: Vec<String> = Vec::new();
        for line in lines {
            let words = words(line)?;
            if words.is_empty() {
                continue;
            }
            if !matches.is_empty() {
                matches.push("+".to_owned());
            }
            for word in words {
                check(&word)?;
                matches.push(word);
            }
        }
        Ok(Self {
            matches,
            ..Self::default()
        })
    }

    /// Narrows it down by parameters of `backend = systemd[…]`.
    ///
    /// # Errors
    ///
    /// The name of a parameter that is not known.
    pub fn narrow(mut self, parameters: &[(String, String)]) -> Result<Self, String> {
        for (name, value) in parameters {
            match name.as_str() {
                "journalpath" => self.folder = Some(PathBuf::from(value)),
                "journalfiles" => self
                    .files
                    .extend(value.split([',', '\n']).map(|file| PathBuf::from(file.trim()))),
                "namespace" => self.namespace = Some(value.clone()),
                // Which of the system's files are read, journalctl decides.
                "journalflags" | "rotated" => {}
                name => {
                    return Err(format!(
                        "`{name}` is none of `journalpath`, `journalfiles` and `namespace`"
                    ));
                }
            }
        }
        Ok(self)
    }

    /// The arguments that tell journalctl(1) so.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        arguments.extend(
            self.folder
                .iter()
                .map(|folder| format!("--directory={}", folder.display())),
        );
        arguments.extend(self.files.iter().map(|file| format!("--file={}", file.display())));
        arguments.extend(
            self.namespace
                .iter()
                .map(|namespace| format!("--namespace={namespace}")),
        );
        arguments.push("--".to_owned());
        arguments.extend(self.matches.iter().cloned());
        arguments
    }
}

/// As in `journal SYSLOG_FACILITY=2`.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("journal")?;
        for path in self.folder.iter().chain(&self.files) {
            write!(f, " {}", path.display())?;
        }
        for word in self.namespace.iter().chain(&self.matches) {
            write!(f, " {word}")?;
        }
        Ok(())
    }
}

/// journalctl takes paths and options too, which are no business of a match.
fn check(word: &str) -> Result<(), String> {
    let is_field = |name: &str| {
        let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        !name.is_empty() && name.bytes().all(plain)
    };
    let is_match = word == "+" || word.split_once('=').is_some_and(|(name, _)| is_field(name));
    if is_match {
        Ok(())
    } else {
        Err(format!("`{word}` is neither `FIELD=value` nor `+`"))
    }
}

/// The words of a line, between blanks that stand outside of quotes.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for char in line.chars() {
        match quote {
            Some(end) if char == end => quote = None,
            Some(_) => word.get_or_insert_default().push(char),
            None if char.is_whitespace() => words.extend(word.take()),
            None if char == '"' || char == '\'' => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            None => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    if quote.is_some() {
        return Err(format!("a quote in `{line}` is not closed"));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(lines: &[&str]) -> Vec<String> {
        Selection::new(lines.iter().copied()).unwrap().arguments()
    }

    #[test]
    fn matches_are_words_and_lines_are_alternatives() {
        assert_eq!(arguments(&[]), ["--"]);
        assert_eq!(
            arguments(&["_SYSTEMD_UNIT=ssh.service + _COMM=sshd", " ", "_EXE=\"/usr/bin/a b\""]),
            [
                "--",
                "_SYSTEMD_UNIT=ssh.service",
                "+",
                "_COMM=sshd",
                "+",
                "_EXE=/usr/bin/a b"
            ]
        );
    }

    #[test]
    fn what_is_no_match_is_refused_and_named() {
        for word in ["--file=/etc/shadow", "/usr/sbin/sshd", "_comm=sshd", "=x", "ssh"] {
            let error = Selection::new([word].into_iter()).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        assert!(Selection::new(["_COMM=\"sshd"].into_iter()).is_err());
    }

    #[test]
    fn the_backends_parameters_say_which_journal() {
        let parameters = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
        let narrowed = |name, value| {
            Selection::default()
                .narrow(&parameters(name, value))
                .unwrap()
                .arguments()
        };
        assert_eq!(narrowed("journalpath", "/run/j"), ["--directory=/run/j", "--"]);
        assert_eq!(narrowed("journalfiles", "/a, /b"), ["--file=/a", "--file=/b", "--"]);
        assert_eq!(narrowed("rotated", "on"), ["--"]);
        assert!(Selection::default().narrow(&parameters("journalpaht", "/")).is_err());
    }
}
