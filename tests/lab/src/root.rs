//! A root of its own for a server: the machine's files, seen through an overlay whose changes are in memory, or other files that are
//! in memory altogether.
//!
//! All of it is mounted in a mount namespace that only one thread of this process lives in. Nobody else
//! sees the mounts, nothing has to be unmounted, and the kernel takes all of it away with the thread, however that ends. The
//! changes are on tmpfs, which is right for containers too, where the machine's own root is an overlay and could not carry
//! another one's upper layer.

use std::fs::{self, File, Permissions};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{chdir, pivot_root};

use crate::command::output;

/// Folders of a whole system that are not worth keeping, since they are the machine's or begin empty. Each may change at any time, which tar
/// takes for a fault.
pub(crate) const OF_THE_MACHINE: [&str; 4] = ["dev", "proc", "sys", "run"];

type Job = Box<dyn FnOnce() + Send>;

/// What a root's own files lie over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beneath {
    /// The machine's files.
    Machine,
    /// Nothing: the base is a whole system. It gets a `/sys` of its network, with a BPF file system of its own.
    Nothing,
}

/// What a root is made of.
pub(crate) struct Plan {
    /// What its own files lie over.
    pub(crate) beneath: Beneath,
    /// An empty folder of the machine to mount things on, where only the root's thread sees them.
    pub(crate) staging: PathBuf,
    /// The network that processes in the root live in; the machine's own if none.
    pub(crate) net: Option<Arc<OwnedFd>>,
    /// A tar file of its own files to begin with, made by [`Root::pack`].
    pub(crate) base: Option<PathBuf>,
    /// A folder of the machine that is the root's `/var/log`.
    pub(crate) log: Option<PathBuf>,
}

/// A root, and the thread that lives in it.
#[derive(Debug)]
pub(crate) struct Root {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    upper: Arc<OwnedFd>,
}

impl Root {
    /// Mounts the root.
    pub(crate) fn new(plan: Plan) -> Result<Self> {
        let (jobs, queue) = channel();
        let (report, ready) = channel();
        let thread = thread::spawn(move || live(&plan, &report, &queue));
        let upper = ready.recv().context("the thread that makes the root panicked")??;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            upper: Arc::new(upper),
        })
    }

    /// Runs `work` on the thread that lives in the root. Processes started there are inside too.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (answer, answered) = channel();
        let job: Job = Box::new(move || drop(answer.send(work())));
        let jobs = self.jobs.as_ref().context("the root is gone")?;
        jobs.send(job).map_err(|_| anyhow!("the root's thread is gone"))?;
        answered.recv().context("the root's thread panicked")
    }

    /// Writes what was changed in the root to a tar file, from which another root can begin.
    pub(crate) fn pack(&self, tar: File, without: &[&str]) -> Result<()> {
        let upper = Arc::clone(&self.upper);
        let mut command = Command::new("tar");
        command.args(["--create", "--xattrs", "--xattrs-include=trusted.overlay.*"]);
        command.args(without.iter().map(|path| format!("--exclude=./{path}")));
        self.run(move || {
            // No path leads to the upper layer any more, but the descriptor does.
            command.current_dir(format!("/proc/self/fd/{}", upper.as_raw_fd()));
            command.arg(".").stdin(Stdio::null()).stdout(tar).stderr(Stdio::piped());
            let done = command.spawn()?.wait_with_output()?;
            anyhow::ensure!(
                done.status.success(),
                "tar: {}",
                String::from_utf8_lossy(&done.stderr).trim_end()
            );
            Ok(())
        })?
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A panic of its own was reported when it happened.
            let _panicked = thread.join();
        }
    }
}

/// The life of the root's thread.
fn live(plan: &Plan, report: &Sender<Result<OwnedFd>>, queue: &Receiver<Job>) {
    let made = assemble(plan).context("cannot make an overlay root");
    let failed = made.is_err();
    if report.send(made).is_err() || failed {
        return;
    }
    for job in queue {
        job();
    }
}

/// Mounts everything and moves in; returns the overlay's upper layer.
fn assemble(plan: &Plan) -> Result<OwnedFd> {
    let base = plan
        .base
        .as_deref()
        .map(File::open)
        .transpose()
        .context("cannot open the base")?;
    let resolv = fs::read("/etc/resolv.conf").unwrap_or_default();

    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    let (upper, merged) = match plan.beneath {
        Beneath::Machine => overlay(&plan.staging, base)?,
        Beneath::Nothing => whole(&plan.staging, base)?,
    };

    for folder in ["dev", "proc"] {
        bind(&Path::new("/").join(folder), &merged.join(folder))?;
    }
    if let Some(log) = &plan.log {
        bind(log, &merged.join("var/log"))?;
    }
    move_in(&merged)?;

    // On many machines the file is a link to somewhere below /run, which is a file system of its own and not in here.
    if fs::read("/etc/resolv.conf").is_err() {
        let _dangling_link = fs::remove_file("/etc/resolv.conf");
        fs::write("/etc/resolv.conf", resolv)?;
    }
    if let Some(net) = &plan.net {
        setns(&**net, CloneFlags::CLONE_NEWNET)?;
    }
    if plan.beneath == Beneath::Nothing {
        let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("sysfs"), "/sys", Some("sysfs"), quiet, None::<&str>).context("cannot mount /sys")?;
        mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), quiet, Some("mode=0700")).context("cannot mount /sys/fs/bpf")?;
    }
    Ok(upper)
}

/// Unpacks a whole system; returns its folder, twice, as that of its changes and as what is to be the root.
fn whole(staging: &Path, base: Option<File>) -> Result<(OwnedFd, PathBuf)> {
    memory(staging)?;
    let root = staging.join("root");
    fs::create_dir(&root)?;
    unpack(base.context("a whole system needs a base")?, &root)?;
    for folder in OF_THE_MACHINE {
        fs::create_dir_all(root.join(folder))?;
    }
    // It has to be a mount to become the root.
    bind(&root, &root)?;
    Ok((File::open(&root)?.into(), root))
}

/// Mounts what changes are kept in.
fn memory(staging: &Path) -> Result<()> {
    let options = Some("mode=0755,size=2g");
    mount(Some("tmpfs"), staging, Some("tmpfs"), MsFlags::empty(), options).context("cannot mount a tmpfs")
}

/// Mounts the overlay itself; returns its upper layer and the folder it is mounted on.
fn overlay(staging: &Path, base: Option<File>) -> Result<(OwnedFd, PathBuf)> {
    memory(staging)?;
    let [upper, work, merged] = ["upper", "work", "merged"].map(|name| staging.join(name));
    for folder in [&upper, &work, &merged] {
        fs::create_dir(folder)?;
        // The upper layer's mode becomes the root's, whatever the umask was.
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    if let Some(base) = base {
        unpack(base, &upper)?;
    }
    let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    mount(
        Some("overlay"),
        &merged,
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .context("cannot mount an overlay over /: does the kernel have overlayfs?")?;
    Ok((File::open(upper)?.into(), merged))
}

/// Unpacks a tar file into a folder.
fn unpack(base: File, folder: &Path) -> Result<()> {
    let mut tar = Command::new("tar");
    tar.args([
        "--extract",
        "--preserve-permissions",
        "--numeric-owner",
        "--xattrs",
        "--xattrs-include=*",
    ]);
    let done = tar
        .current_dir(folder)
        .stdin(base)
        .stderr(Stdio::piped())
        .spawn()?
        .wait_with_output()?;
    anyhow::ensure!(
        done.status.success(),
        "tar: {}",
        String::from_utf8_lossy(&done.stderr).trim_end()
    );
    Ok(())
}

fn bind(from: &Path, to: &Path) -> Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(from), to, None::<&str>, flags, None::<&str>)
        .with_context(|| format!("cannot bind {} to {}", from.display(), to.display()))
}

/// Makes the folder this mount namespace's root and forgets the old one, so that no path leads out.
fn move_in(folder: &Path) -> Result<()> {
    chdir(folder)?;
    // With the same folder as both, the old root is stacked on the new one, to be taken off at once: pivot_root(2), notes.
    pivot_root(".", ".").context("cannot make the overlay the root")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    Ok(())
}

/// Runs a command in the root to its end; an exit code other than zero is an error.
pub(crate) fn run(root: &Root, mut command: Command) -> Result<()> {
    root.run(move || output(&mut command).map(drop))?
}
