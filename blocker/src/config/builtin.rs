//! The configuration that applies where there is none: mail jails over the system's mail log, and filters for mail servers.
//!
//! It is written in the language of the files it stands in for, and read by the same code.

use std::io;
use std::path::{Path, PathBuf};

use crate::filter::layers::Files;

/// What stands in the place of a folder's name.
pub(super) const NAME: &str = "compiled-in configuration";

const JAILS: &str = "jail.conf";

/// What other filters include, and no filter by itself.
const SHARED: &str = "syslog";

/// Every file with its text.
const FILES: &[(&str, &str)] = &[
    (JAILS, include_str!("builtin/jail.conf")),
    ("filter.d/dovecot.conf", include_str!("builtin/filter.d/dovecot.conf")),
    ("filter.d/exim.conf", include_str!("builtin/filter.d/exim.conf")),
    (
        "filter.d/opensmtpd.conf",
        include_str!("builtin/filter.d/opensmtpd.conf"),
    ),
    ("filter.d/postfix.conf", include_str!("builtin/filter.d/postfix.conf")),
    ("filter.d/rspamd.conf", include_str!("builtin/filter.d/rspamd.conf")),
    ("filter.d/sendmail.conf", include_str!("builtin/filter.d/sendmail.conf")),
    ("filter.d/syslog.conf", include_str!("builtin/filter.d/syslog.conf")),
];

/// The compiled-in files, by their paths below [`NAME`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Builtin;

impl Files for Builtin {
    fn read(&self, path: &Path) -> io::Result<Option<String>> {
        let found = FILES.iter().find(|(name, _)| path == Path::new(NAME).join(name));
        Ok(found.map(|(_, text)| (*text).to_owned()))
    }
}

/// The file of the jails.
pub(super) fn jails() -> PathBuf {
    Path::new(NAME).join(JAILS)
}

/// The file of the filter of this name.
pub(super) fn filter(name: &str) -> PathBuf {
    Path::new(NAME).join(format!("filter.d/{name}.conf"))
}

/// The names of the filters.
pub(super) fn filters() -> impl Iterator<Item = &'static str> {
    let names = FILES
        .iter()
        .filter_map(|(name, _)| name.strip_prefix("filter.d/")?.strip_suffix(".conf"));
    names.filter(|name| *name != SHARED)
}
