//! The file of what names and SPF records came to last, for a start at which the DNS does not answer.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use ipnet::IpNet;

/// Longest file that is read; a longer one is none of ours.
const MAX_LEN: u64 = 16 * 1024 * 1024;

/// The file.
pub(super) struct Kept(PathBuf);

impl Kept {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// What it says: the networks of each source. Nothing where it is not there or makes no sense, which is logged.
    pub(super) fn read(&self) -> BTreeMap<String, Vec<IpNet>> {
        let read = || -> Result<BTreeMap<String, Vec<IpNet>>> {
            let mut text = String::new();
            match File::open(&self.0) {
                Ok(file) => file.take(MAX_LEN).read_to_string(&mut text)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
                Err(error) => return Err(error.into()),
            };
            Ok(serde_json::from_str(&text)?)
        };
        read().unwrap_or_else(|error| {
            tracing::warn!(file = %self.0.display(), error = format!("{error:#}"), "what the allowlist's names came to last cannot be read");
            BTreeMap::new()
        })
    }

    /// Replaces it, in one step.
    pub(super) fn write(&self, known: &BTreeMap<String, &[IpNet]>) -> Result<()> {
        let context = || format!("{}: cannot be written", self.0.display());
        if let Some(folder) = self.0.parent() {
            fs::create_dir_all(folder).with_context(context)?;
        }
        let new = self.0.with_extension("new");
        let mut file = File::create(&new).with_context(context)?;
        file.write_all(&serde_json::to_vec(known)?).with_context(context)?;
        file.sync_all().with_context(context)?;
        fs::rename(&new, &self.0).with_context(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_nonsense_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::new(folder.path().join("net-1/allowlist.json"));
        assert!(kept.read().is_empty());
        let networks = ["192.0.2.0/24".parse().unwrap(), "2001:db8::7/128".parse().unwrap()];
        kept.write(&BTreeMap::from([("relay.example".to_owned(), networks.as_slice())]))
            .unwrap();
        assert_eq!(kept.read()["relay.example"], networks);
        fs::write(&kept.0, "{\"relay.example\": [\"192.0.2.0/4").unwrap();
        assert!(kept.read().is_empty());
    }
}
