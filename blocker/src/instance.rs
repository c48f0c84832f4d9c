//! One agent for each network namespace: who it is, and where in the file system its things are.
//!
//! Bans are in force in one network namespace, and containers may share a BPF file system, so everything is named after the namespace.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use nix::unistd::Pid;

/// Where running agents leave their process ids.
const RUN: &str = "/run/blocker";
/// Where maps and programs are pinned.
const PINS: &str = "/sys/fs/bpf/blocker";

/// The network namespace of this process, as names of files tell it.
#[derive(Clone, Debug)]
pub struct Namespace(String);

/// The right to be the agent of a network namespace, until dropped.
#[derive(Debug)]
pub struct Instance {
    /// Locked; the lock ends with the process, whatever befell it.
    _lock: File,
}

impl Namespace {
    /// The namespace that the process is in.
    ///
    /// # Errors
    ///
    /// When there is no `/proc`.
    pub fn own() -> Result<Self> {
        let namespace =
            fs::metadata("/proc/thread-self/ns/net").context("/proc/thread-self/ns/net: cannot be looked at")?;
        Ok(Self(format!("net-{}", namespace.ino())))
    }

    /// The folder for maps and programs that outlive the agent.
    #[must_use]
    pub fn pins(&self) -> PathBuf {
        Path::new(PINS).join(&self.0)
    }

    /// The state folder of a dry run: it goes with the run, or with the machine.
    #[must_use]
    pub fn dry_run_state(&self) -> PathBuf {
        Path::new(RUN).join(format!("{}.dry-run", self.0))
    }

    /// The control socket of the agent that runs here. The machine's own namespace has the well-known one.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        // Only who may trace the first process may look at its `ns/net`, and a confined agent may not. Every network namespace has
        // files of its own below `net`, which anybody may look at.
        let inode = |path: &str| fs::metadata(path).map(|file| file.ino()).ok();
        if inode("/proc/thread-self/net/dev") == inode("/proc/1/net/dev") {
            return Path::new(RUN).join("control.sock");
        }
        Path::new(RUN).join(format!("{}.sock", self.0))
    }

    fn lock_file(&self) -> PathBuf {
        Path::new(RUN).join(format!("{}.pid", self.0))
    }

    /// The agent that runs here, if one does.
    ///
    /// # Errors
    ///
    /// When the file that says so cannot be read.
    pub fn running(&self) -> Result<Option<Pid>> {
        let path = self.lock_file();
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{}: cannot be read", path.display())),
        };
        if file.try_lock_shared().is_ok() {
            return Ok(None);
        }
        let mut text = Vec::new();
        file.read_to_end(&mut text)
            .with_context(|| format!("{}: cannot be read", path.display()))?;
        let text = String::from_utf8_lossy(&text);
        let pid = text.lines().next().unwrap_or_default().parse().map(Pid::from_raw);
        pid.map(Some)
            .with_context(|| format!("{}: holds no process id", path.display()))
    }

    /// The state folder of the agent that runs here, or was the last to.
    #[must_use]
    pub fn last_state(&self) -> Option<PathBuf> {
        let text = fs::read(self.lock_file()).ok()?;
        let state = text
            .split(|byte| *byte == b'\n')
            .nth(1)
            .filter(|state| !state.is_empty())?;
        Some(OsStr::from_bytes(state).into())
    }
}

impl Instance {
    /// Becomes the agent of the namespace, with the ledger in this folder.
    ///
    /// # Errors
    ///
    /// When another agent is it.
    pub fn take(namespace: &Namespace, state: &Path) -> Result<Self> {
        let path = namespace.lock_file();
        let context = || format!("{}: cannot be written", path.display());
        fs::create_dir_all(RUN).with_context(|| format!("{RUN}: cannot make the folder"))?;
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .read(true)
            .open(&path)
            .with_context(context)?;
        if lock.try_lock().is_err() {
            let mut text = Vec::new();
            // Only for the message.
            let _ = lock.read_to_end(&mut text);
            let text = String::from_utf8_lossy(&text);
            bail!(
                "another agent runs in this network namespace, with process id {}; `blocker stop` ends it",
                text.lines().next().unwrap_or_default()
            );
        }
        lock.set_len(0).with_context(context)?;
        lock.rewind().with_context(context)?;
        // `blocker stop --clear` must find the ledger, wherever it was called from.
        let state = std::path::absolute(state).with_context(|| state.display().to_string())?;
        let mut text = format!("{}\n", std::process::id()).into_bytes();
        text.extend(state.as_os_str().as_bytes());
        text.push(b'\n');
        lock.write_all(&text).with_context(context)?;
        Ok(Self { _lock: lock })
    }
}
