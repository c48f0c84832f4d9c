//! A host: a network namespace, removed again with the value that stands for it.
//!
//! Each host has its own `/sys` and its own bpf file system, as `ip netns exec` gives one, in a mount namespace that nothing but
//! this process's descriptor keeps alive. So what an agent pins there goes when the lab goes, even when the lab was killed, and
//! two labs at once do not see each other's pins. All other files are the machine's.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::ip;
use crate::join::Place;
use crate::registry::Record;

/// Where `ip netns` keeps the namespaces that have a name.
pub(crate) const FOLDER: &str = "/run/netns";

/// A network namespace that exists as long as this value does.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    place: Place,
}

impl Namespace {
    /// Makes a namespace and brings its loopback up.
    pub(crate) fn new(record: &Record, name: &str) -> Result<Self> {
        let name = record.namespace(name)?;
        ip(&format!("netns add {name}"))?;
        let place = furnish(&name).inspect_err(|_| {
            // The error that brought us here is the one to report.
            let _secondary = remove(&name);
        })?;
        let namespace = Self { name, place };
        ip(&format!("-n {} link set lo up", namespace.name))?;
        Ok(namespace)
    }

    /// The name that `ip netns` knows it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` in a thread of its own that has joined the namespace, and waits for it.
    ///
    /// Threads that `work` starts are inside too. A panic of `work` goes on in the caller.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to let the thread in.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let place = &self.place;
        thread::scope(|scope| scope.spawn(move || inside(place, work)).join()).unwrap_or_else(|panic| {
            std::panic::resume_unwind(panic);
        })
    }

    /// Runs `work` in a thread of its own that has joined the namespace, and returns at once.
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<Result<T>> {
        let place = self.place.clone();
        thread::spawn(move || inside(&place, work))
    }

    /// A command that will start inside the namespace.
    ///
    /// The kernel kills its process when the thread that started it ends, so that nothing outlives a run that was killed: start
    /// it from a thread that lives as long as the process shall.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.place.command(program.as_ref())
    }

    pub(crate) fn net(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.place.net)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("blocker-lab: namespace {} is left behind: {error:#}", self.name);
        }
    }
}

fn inside<T>(place: &Place, work: impl FnOnce() -> T) -> Result<T> {
    place.join().context("cannot join the namespace")?;
    Ok(work())
}

/// Opens the namespace, and makes the mount namespace that goes with it.
fn furnish(name: &str) -> Result<Place> {
    let net = File::open(Path::new(FOLDER).join(name))?;
    let mounts = thread::scope(|scope| scope.spawn(|| mounts(&net)).join());
    let mounts = mounts.map_err(|_| anyhow!("the thread that makes the mounts panicked"))?;
    let mounts = mounts.with_context(|| format!("cannot make the mounts of namespace {name}"))?;
    Ok(Place {
        net: Arc::new(net.into()),
        mounts: Arc::new(mounts.into()),
    })
}

/// Makes a mount namespace with a `/sys` that belongs to the network; takes the calling thread into both, for good.
fn mounts(net: &File) -> Result<File> {
    setns(net, CloneFlags::CLONE_NEWNET)?;
    unshare(CloneFlags::CLONE_FS | CloneFlags::CLONE_NEWNS)?;
    // Slave and not private: what the machine unmounts is unmounted here too, other namespaces' names among it.
    let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>)?;
    umount2("/sys", MntFlags::MNT_DETACH).context("cannot unmount /sys")?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("sysfs"), "/sys", Some("sysfs"), quiet, None::<&str>).context("cannot mount /sys")?;
    if Path::new("/sys/fs/bpf").exists() {
        mount(Some("bpf"), "/sys/fs/bpf", Some("bpf"), quiet, Some("mode=0700")).context("cannot mount /sys/fs/bpf")?;
    }
    Ok(File::open("/proc/thread-self/ns/mnt")?)
}

/// Ends whatever lives in the namespace, by process id, and removes it.
pub(crate) fn remove(name: &str) -> Result<()> {
    if !Path::new(FOLDER).join(name).exists() {
        return Ok(());
    }
    let deadline = Instant::now() + Duration::from_secs(3);
    loop {
        let living = ip(&format!("netns pids {name}"))?;
        let living: Vec<i32> = living.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        if living.is_empty() {
            break;
        }
        if Instant::now() > deadline {
            bail!("processes {living:?} in it do not die");
        }
        for pid in living {
            // It may have ended since it was listed.
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        thread::sleep(Duration::from_millis(20));
    }
    ip(&format!("netns del {name}")).map(drop)
}
