//! How much of the processor a program takes, with all processes that it has started, those that have ended among them.
//!
//! The kernel tells that of a control group to the microsecond; of a process whose children end without being waited for, as
//! Postfix's do when it stops, it tells it nowhere else. Threads of our own are found by their names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// What the kernel's list of mounts calls the file system of control groups.
const FILE_SYSTEM: &str = "cgroup2";
/// What the names of all groups begin with; the id of the process that has made it comes next.
const PREFIX: &str = "blk-bench-";
/// What has just been ended may take the kernel a moment.
const PATIENCE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(20);

/// A control group of this process's own; it is taken away with this value, which has to outlive the programs in it.
#[derive(Debug)]
pub(crate) struct Group(PathBuf);

impl Group {
    /// Makes an empty one.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let folder = mounted().context("no cgroup2 is mounted, which tells how much of the processor Postfix takes")?;
        clear().context("cannot take away the control groups of a bench that was killed")?;
        let folder = folder.join(format!("{PREFIX}{}-{name}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make the control group {}", folder.display()))?;
        Ok(Self(folder))
    }

    /// Moves a process into it, with all that it has started; what these start from now on is in it too.
    pub(crate) fn take(&self, process: u32) -> Result<()> {
        // The first one first: what it starts meanwhile is either in the group or found below.
        match fs::write(self.0.join("cgroup.procs"), process.to_string()) {
            Err(error) if error.raw_os_error() != Some(nix::libc::ESRCH) => {
                return Err(error).with_context(|| format!("cannot move a process into {}", self.0.display()));
            }
            _ => {}
        }
        children(process).into_iter().try_for_each(|child| self.take(child))
    }

    /// The seconds that its processes have taken.
    pub(crate) fn seconds(&self) -> Result<f64> {
        let path = self.0.join("cpu.stat");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        used(&text).with_context(|| format!("{} does not tell the processor's time", path.display()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = fs::remove_dir(&self.0) {
            if Instant::now() > deadline {
                eprintln!("bench: the control group {} is left behind: {error}", self.0.display());
                return;
            }
            thread::sleep(POLL);
        }
    }
}

/// Takes away the control groups of processes that were killed.
pub(crate) fn clear() -> io::Result<()> {
    let Some(folder) = mounted() else {
        return Ok(());
    };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let owner = owner(&entry.file_name().to_string_lossy());
        if owner.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists()) {
            fs::remove_dir(entry.path())?;
        }
    }
    Ok(())
}

/// The seconds that the threads of this process have taken that are called so.
pub(crate) fn of_threads(name: &str) -> Result<f64> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?.path();
        // One may end while the others are looked at.
        let comm = fs::read_to_string(thread.join("comm")).unwrap_or_default();
        if comm.trim_end() == name {
            let stat = fs::read_to_string(thread.join("schedstat"))?;
            let first = stat
                .split_whitespace()
                .next()
                .and_then(|number| number.parse::<u64>().ok());
            nanoseconds += first.context("the kernel does not tell a thread's time on the processor")?;
        }
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// The process that made a control group of this name, if a bench did.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

/// Where control groups of the second version can be made.
fn mounted() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mount_of(&mounts, FILE_SYSTEM).map(|place| Path::new(place).to_owned())
}

/// Where a file system of this kind is mounted first.
fn mount_of<'a>(mounts: &'a str, kind: &str) -> Option<&'a str> {
    mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let place = words.next()?;
        (words.next()? == kind).then_some(place)
    })
}

/// The seconds in a control group's `cpu.stat`.
fn used(stat: &str) -> Option<f64> {
    let microseconds = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    Some(microseconds.trim().parse::<u64>().ok()? as f64 / 1e6)
}

/// What a process has started and not waited for yet; none where it has ended.
fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten();
    let of = |thread: io::Result<fs::DirEntry>| fs::read_to_string(thread.ok()?.path().join("children")).ok();
    let all: Vec<String> = threads.filter_map(of).collect();
    all.iter()
        .flat_map(|text| text.split_whitespace())
        .filter_map(|id| id.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_are_found_beside_those_of_the_first_version() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(mount_of(mounts, FILE_SYSTEM), Some("/sys/fs/cgroup/unified"));
        assert_eq!(mount_of("cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\n", FILE_SYSTEM), None);
    }

    #[test]
    fn a_group_s_name_tells_who_made_it() {
        assert_eq!(owner("blk-bench-4711-postfix"), Some(4711));
        assert_eq!(owner("blk-bench-postfix"), None);
        assert_eq!(owner("system.slice"), None);
    }

    #[test]
    fn the_time_is_read_in_seconds() {
        assert_eq!(used("usage_usec 2500000\nuser_usec 1\n"), Some(2.5));
        assert_eq!(used("user_usec 1\n"), None);
    }

    #[test]
    fn a_thread_that_works_is_found_by_its_name() {
        let work = || {
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(30) {
                std::hint::spin_loop();
            }
            of_threads("bench-works").unwrap()
        };
        let thread = thread::Builder::new().name("bench-works".to_owned()).spawn(work);
        assert!(thread.unwrap().join().unwrap() > 0.0);
        assert_eq!(of_threads("bench-sleeps").unwrap(), 0.0);
    }
}
