//! The peers, from Debian's packages: unpacked below `target/bench/peers`, not installed.
//!
//! A peer that is needed with its libraries gets them unpacked beside it; its programs are started so that they find them there.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result};
use blocker_lab::command::output;

/// Where libraries lie in a package.
const LIBRARIES: [&str; 4] = ["usr/lib", "lib", "usr/lib/xtables", "lib/xtables"];

/// All peers, each unpacked when it is asked for.
#[derive(Debug)]
pub(crate) struct Peers {
    folder: PathBuf,
    used: Mutex<Vec<String>>,
}

/// A peer's files.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    root: PathBuf,
}

impl Peers {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            used: Mutex::default(),
        }
    }

    /// Forgets which were asked for.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    /// Those that were asked for, each with its version.
    pub(crate) fn used(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// Notes a peer that the machine has itself.
    pub(crate) fn note(&self, name_and_version: String) {
        let mut used = self.lock();
        if !used.contains(&name_and_version) {
            used.push(name_and_version);
        }
    }

    /// Unpacks a package and the libraries that it needs beside the machine's own.
    ///
    /// # Errors
    ///
    /// When apt does not have them.
    pub(crate) fn unpack(&self, package: &str, libraries: &[&str]) -> Result<Peer> {
        let root = self.folder.join(package);
        if !root.join("packages").is_dir() {
            self.fetch(&root, package, libraries)
                .with_context(|| format!("the peer {package} cannot be had"))?;
        }
        self.note(format!("{package} {}", version(&root, package)?));
        Ok(Peer { root })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch(&self, root: &Path, package: &str, libraries: &[&str]) -> Result<()> {
        eprintln!("bench: unpacking Debian's {package} below target/bench/peers; it is not installed");
        let part = self.folder.join(format!("{package}.part"));
        // What a run that was broken off has left.
        let _ = fs::remove_dir_all(&part);
        let packages = part.join("packages");
        fs::create_dir_all(&packages).with_context(|| packages.display().to_string())?;
        let download = || {
            output(
                Command::new("apt-get")
                    .args(["--quiet", "download", package])
                    .args(libraries)
                    .current_dir(&packages),
            )
        };
        if let Err(first) = download() {
            // The package lists may be missing or may name a version that is gone.
            output(Command::new("apt-get").args(["--quiet", "update"])).context(first)?;
            download()?;
        }
        for archive in archives(&packages)? {
            output(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&part))?;
        }
        let _ = fs::remove_dir_all(root);
        fs::rename(&part, root).with_context(|| root.display().to_string())
    }
}

impl Peer {
    /// A file of the peer's, by its path in the package.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// A program of the peer's, by its path in the package.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.path(program));
        command.envs(self.environment());
        command
    }

    /// What its programs need in their environment to find its libraries.
    pub(crate) fn environment(&self) -> [(&'static str, OsString); 2] {
        let triplets = [String::new(), format!("{}-linux-gnu/", std::env::consts::ARCH)];
        let folders = LIBRARIES.iter().flat_map(|folder| {
            let (base, rest) = folder.split_once("lib").unwrap_or((folder, ""));
            triplets.iter().map(move |triplet| format!("{base}lib/{triplet}{rest}"))
        });
        let folders: Vec<PathBuf> = folders
            .map(|folder| self.root.join(folder))
            .filter(|folder| folder.is_dir())
            .collect();
        let is_xtables = |folder: &&PathBuf| folder.file_name() == Some(OsStr::new("xtables"));
        let xtables = folders.iter().find(is_xtables).cloned().unwrap_or_default();
        let path = std::env::join_paths(folders).unwrap_or_default();
        [("LD_LIBRARY_PATH", path), ("XTABLES_LIBDIR", xtables.into())]
    }
}

fn archives(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let files = files.filter_map(|file| Some(file.ok()?.path()));
    Ok(files
        .filter(|file| file.extension().is_some_and(|end| end == "deb"))
        .collect())
}

/// The package's version, as the name of its archive tells it.
fn version(root: &Path, package: &str) -> Result<String> {
    let of = |archive: PathBuf| {
        let name = archive.file_name()?.to_str()?;
        let mut parts = name.strip_prefix(package)?.strip_prefix('_')?.split('_');
        Some(parts.next()?.replace("%3a", ":"))
    };
    let archives = archives(&root.join("packages"))?;
    archives
        .into_iter()
        .find_map(of)
        .with_context(|| format!("{}: the archive of {package} is gone", root.display()))
}
