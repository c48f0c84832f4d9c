//! A path that may hold wildcards, and the files that it finds.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

/// What compressed logs are called; nothing in them is a line.
const COMPRESSED: [&str; 7] = ["gz", "bz2", "xz", "zst", "lz4", "lzo", "Z"];

/// A path as a configuration names it.
#[derive(Debug)]
pub(super) struct Pattern {
    path: PathBuf,
    has_wildcards: bool,
}

impl Pattern {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            has_wildcards: has_wildcards(path),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn has_wildcards(&self) -> bool {
        self.has_wildcards
    }

    /// The files that it finds now, by name. The path itself where there are no wildcards, if something is there.
    pub(super) fn files(&self, max: usize) -> Vec<(PathBuf, Metadata)> {
        let with_metadata = |path: PathBuf| fs::metadata(&path).ok().map(|metadata| (path, metadata));
        if !self.has_wildcards {
            return with_metadata(self.path.clone()).into_iter().collect();
        }
        let text = self.path.to_string_lossy();
        let found = glob::glob(&text).into_iter().flatten().filter_map(Result::ok);
        let plain = found.filter(|path| !is_compressed(path)).filter_map(with_metadata);
        plain.filter(|(_, metadata)| metadata.is_file()).take(max).collect()
    }

    /// The folders in which files appear that it finds: all that there are now, or the one nearest to them.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let mut folders = vec![fixed(folder)];
        if has_wildcards(folder) {
            let found = glob::glob(&folder.to_string_lossy()).into_iter().flatten();
            folders.extend(found.filter_map(Result::ok).take(super::MAX_FILES));
        }
        folders
    }
}

/// Whether the two may find the same file. Where it is hard to say, they may.
pub fn overlap(first: &Path, second: &Path) -> bool {
    if first == second {
        return true;
    }
    match (has_wildcards(first), has_wildcards(second)) {
        (false, false) => match (first.canonicalize(), second.canonicalize()) {
            (Ok(first), Ok(second)) => first == second,
            _ => false,
        },
        (true, false) => finds(first, second),
        (false, true) => finds(second, first),
        (true, true) => {
            let (first, second) = (fixed(first), fixed(second));
            first.starts_with(&second) || second.starts_with(&first)
        }
    }
}

fn finds(pattern: &Path, path: &Path) -> bool {
    let Ok(pattern) = glob::Pattern::new(&pattern.to_string_lossy()) else {
        return true;
    };
    pattern.matches_path(path) || path.canonicalize().is_ok_and(|path| pattern.matches_path(&path))
}

/// The path up to its first part with a wildcard.
fn fixed(path: &Path) -> PathBuf {
    let parts = path.components();
    parts.take_while(|part| !has_wildcards(part.as_ref())).collect()
}

fn has_wildcards(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

fn is_compressed(path: &Path) -> bool {
    path.extension()
        .is_some_and(|suffix| COMPRESSED.iter().any(|known| suffix == *known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_may_find_the_same_file_are_known() {
        let cases = [
            ("/log/mail", "/log/mail", true),
            ("/log/mail", "/log/mail.err", false),
            ("/log/*", "/log/mail", true),
            ("/log/*.log", "/log/mail", false),
            ("/log/*.log", "/log/mail*", true),
            ("/log/*/mail", "/log/a/*", true),
            ("/log/a/*", "/log/b/*", false),
        ];
        for (first, second, expected) in cases {
            assert_eq!(
                overlap(Path::new(first), Path::new(second)),
                expected,
                "{first} {second}"
            );
            assert_eq!(
                overlap(Path::new(second), Path::new(first)),
                expected,
                "{second} {first}"
            );
        }
    }
}
