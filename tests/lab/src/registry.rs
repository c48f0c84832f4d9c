//! The registry of labs: who exists, and what a killed one left behind.
//!
//! Every lab has a folder under [`FOLDER`] with a record that names its namespaces and that the living process holds locked. The
//! kernel drops the lock with the process, however that ends. So a record that can be locked belongs to a dead run, and whoever
//! starts next clears it away; a record that cannot be locked belongs to a living one and is left alone.
//!
//! The registry's folder itself is locked while entries are made or removed. The last lab removes it.

use std::fs::{self, File, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};
use nix::mount::{MntFlags, umount2};

use crate::namespace;

/// Where labs are registered.
pub const FOLDER: &str = "/run/blocker-lab";

/// Every namespace of a lab begins with this; nothing else is ever cleared away.
const PREFIX: &str = "blk-";

/// A file in the registry that says: `/run/netns` was made a mount by a lab, and was none before.
const MOUNT_MARK: &str = "made-netns-mount";

/// Takes away what killed runs left.
///
/// # Errors
///
/// When the machine does not let go of something.
pub fn clear() -> Result<()> {
    Record::open(Path::new(FOLDER)).map(drop)
}

/// One lab's entry.
#[derive(Debug)]
pub(crate) struct Record {
    registry: PathBuf,
    folder: PathBuf,
    id: String,
    // Locked as long as it is open.
    file: File,
}

impl Record {
    /// Clears what dead labs left and makes a new entry.
    pub(crate) fn open(registry: &Path) -> Result<Self> {
        let _lock = lock(registry)?;
        clear_leftovers(registry, namespace::remove)?;
        note_mount(registry)?;
        Self::make(registry)
    }

    /// Makes an entry; the registry is locked by the caller.
    fn make(registry: &Path) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let id = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let folder = registry.join(&id);
            match fs::create_dir(&folder) {
                Ok(()) => {}
                // An earlier process of the same id left something that could not be cleared.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error).with_context(|| folder.display().to_string()),
            }
            let file = File::create(folder.join("record"))?;
            file.lock()?;
            return Ok(Self {
                registry: registry.to_path_buf(),
                folder,
                id,
                file,
            });
        }
    }

    /// The lab's own folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A name, unique on this machine, for a namespace that is about to be made; recorded before anybody makes it.
    pub(crate) fn namespace(&self, name: &str) -> Result<String> {
        let name = format!("{PREFIX}{}-{name}", self.id);
        writeln!(&self.file, "{name}")?;
        Ok(name)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Err(error) = close(&self.registry, &self.folder) {
            eprintln!("blocker-lab: {} is left behind: {error:#}", self.folder.display());
        }
    }
}

fn close(registry: &Path, folder: &Path) -> Result<()> {
    let _lock = lock(registry)?;
    fs::remove_dir_all(folder)?;
    let others = fs::read_dir(registry)?.flatten().any(|entry| entry.path().is_dir());
    if others {
        return Ok(());
    }
    undo_mount(registry)?;
    Ok(fs::remove_dir(registry)?)
}

/// Makes the registry's folder if it is missing, and locks it until the returned file is dropped.
fn lock(registry: &Path) -> Result<File> {
    loop {
        fs::create_dir_all(registry).with_context(|| registry.display().to_string())?;
        let Ok(folder) = File::open(registry) else {
            continue;
        };
        folder.lock()?;
        // While we waited for the lock its holder may have removed the folder, and others made a new one.
        if fs::metadata(registry).is_ok_and(|now| folder.metadata().is_ok_and(|held| held.ino() == now.ino())) {
            return Ok(folder);
        }
    }
}

/// Clears every lab whose process is gone.
fn clear_leftovers(registry: &Path, remove_namespace: impl Fn(&str) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(registry)? {
        let folder = entry?.path();
        if !folder.is_dir() {
            continue;
        }
        // Without a record it died before it made anything.
        if let Ok(record) = File::open(folder.join("record")) {
            match record.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => bail!(error),
            }
            for name in fs::read_to_string(folder.join("record"))?.lines() {
                if name.starts_with(PREFIX) && !name.contains('/') {
                    remove_namespace(name).with_context(|| format!("namespace {name} of a killed run"))?;
                }
            }
        }
        fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// Remembers whether the first `ip netns add` is going to make `/run/netns` a mount.
fn note_mount(registry: &Path) -> Result<()> {
    if !is_mount(Path::new(namespace::FOLDER))? {
        File::create(registry.join(MOUNT_MARK))?;
    }
    Ok(())
}

/// Takes the mount on `/run/netns` away if a lab made it and nobody uses it.
fn undo_mount(registry: &Path) -> Result<()> {
    let mark = registry.join(MOUNT_MARK);
    if !mark.exists() {
        return Ok(());
    }
    let folder = Path::new(namespace::FOLDER);
    if fs::read_dir(folder).is_ok_and(|mut names| names.next().is_none()) && is_mount(folder)? {
        // The kernel refuses while a namespace of somebody else is mounted below.
        if umount2(folder, MntFlags::empty()).is_ok() {
            let _in_use = fs::remove_dir(folder);
        }
    }
    Ok(fs::remove_file(mark)?)
}

fn is_mount(path: &Path) -> Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(mounts
        .lines()
        .any(|line| line.split(' ').nth(4).is_some_and(|point| Path::new(point) == path)))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A registry of the test's own, below the system's folder for temporary files.
    struct Registry(PathBuf);

    impl Registry {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("blocker-lab-{}-{test}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn cleared(&self) -> Vec<String> {
            let seen = RefCell::new(Vec::new());
            clear_leftovers(&self.0, |name| {
                seen.borrow_mut().push(name.to_owned());
                Ok(())
            })
            .unwrap();
            seen.into_inner()
        }
    }

    impl Drop for Registry {
        fn drop(&mut self) {
            let _gone = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_living_lab_is_left_alone() {
        let registry = Registry::new("living");
        let record = Record::make(&registry.0).unwrap();
        record.namespace("relay").unwrap();
        assert!(registry.cleared().is_empty());
        assert!(record.folder().exists());
    }

    #[test]
    fn a_dead_lab_is_cleared_away_with_its_namespaces() {
        let registry = Registry::new("dead");
        let dead = registry.0.join("4711-0");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("record"), "blk-4711-0-relay\nblk-4711-0-spam\n").unwrap();
        assert_eq!(registry.cleared(), ["blk-4711-0-relay", "blk-4711-0-spam"]);
        assert!(!dead.exists());
    }

    #[test]
    fn a_lab_that_died_before_its_record_is_cleared_away() {
        let registry = Registry::new("early");
        fs::create_dir(registry.0.join("4711-0")).unwrap();
        assert!(registry.cleared().is_empty());
        assert!(!registry.0.join("4711-0").exists());
    }

    #[test]
    fn nothing_but_namespaces_of_labs_is_removed() {
        let registry = Registry::new("foreign");
        let dead = registry.0.join("4711-0");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("record"), "production\nblk-/../production\nblk-4711-0-re\n").unwrap();
        assert_eq!(registry.cleared(), ["blk-4711-0-re"]);
    }

    #[test]
    fn the_last_lab_removes_the_registry() {
        let registry = Registry::new("last");
        let first = Record::make(&registry.0).unwrap();
        let second = Record::make(&registry.0).unwrap();
        assert_ne!(first.namespace("x").unwrap(), second.namespace("x").unwrap());
        drop(first);
        assert!(registry.0.exists());
        drop(second);
        assert!(!registry.0.exists());
    }

    #[test]
    fn a_registry_removed_while_one_waits_is_made_anew() {
        let registry = Registry::new("anew");
        let held = lock(&registry.0).unwrap();
        let path = registry.0.clone();
        let waiting = std::thread::spawn(move || lock(&path).unwrap());
        fs::remove_dir(&registry.0).unwrap();
        drop(held);
        let held = waiting.join().unwrap();
        assert_eq!(held.metadata().unwrap().ino(), fs::metadata(&registry.0).unwrap().ino());
    }
}
