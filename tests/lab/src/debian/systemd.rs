//! systemd as the first process of a [`Debian`]: with its own processes, mounts and control groups, on the lab's network.
//!
//! So a unit runs under everything that it asks for, and maintainer scripts find what they find on a relay. The machine's own systemd,
//! if it has one, hears nothing of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::mount::{MsFlags, mount};

use super::Debian;
use crate::command::last_lines;

/// Where the system sees control groups.
const GROUPS: &str = "/sys/fs/cgroup";
/// What the system says while it starts.
const CONSOLE: &str = "/var/log/console";
/// How long a start may take, on a slow machine under load.
const DEADLINE: Duration = Duration::from_secs(60);

/// Gives the shell a control group of its own and starts systemd in namespaces where that group is the root of all.
///
/// What systemd would set in the kernel, or make among the machine's devices, it must not: `/proc/sys` and `/sys` are read-only, as in any
/// container, and `/dev` is its own.
const BOOT: &str = r#"
set -e
echo $$ > "/sys/fs/cgroup/$1/cgroup.procs"
exec unshare --pid --fork --kill-child --mount --uts --ipc --cgroup sh -ec '
    mount -t proc proc /proc
    mount --bind /proc/sys /proc/sys
    mount -o remount,bind,ro /proc/sys
    umount /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    mount -o remount,bind,ro /sys
    mount -t tmpfs -o mode=755 tmpfs /run
    mount -t tmpfs -o mode=755 tmpfs /mnt
    for device in null zero full random urandom tty; do
        touch /mnt/$device
        mount --bind /dev/$device /mnt/$device
    done
    mkdir /mnt/pts /mnt/shm
    mount --move /mnt /dev
    mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
    ln -s pts/ptmx /dev/ptmx
    ln -s /proc/self/fd /dev/fd
    exec env container=blocker-lab /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=0
'
"#;

/// A system that runs as long as this value does.
#[derive(Debug)]
pub struct Systemd<'a> {
    debian: &'a Debian,
    /// The process that waits for the first one of the system.
    outer: Child,
    group: PathBuf,
}

impl<'a> Systemd<'a> {
    /// Starts systemd, which has to be installed there, and waits until everything is up.
    ///
    /// # Errors
    ///
    /// When the kernel has no control groups of the second version, or something of the system does not start.
    pub fn start(debian: &'a Debian, name: &str) -> Result<Self> {
        let group = Path::new(GROUPS).join(name);
        let made = group.clone();
        let name = name.to_owned();
        let outer = debian.run(move || {
            mount(Some("cgroup2"), GROUPS, Some("cgroup2"), MsFlags::empty(), None::<&str>)
                .context("cannot mount control groups")?;
            fs::create_dir(&made).with_context(|| made.display().to_string())?;
            // It would keep services from being started.
            let _ = fs::remove_file("/usr/sbin/policy-rc.d");
            let console = fs::File::create(CONSOLE)?;
            let mut shell = Debian::command("sh");
            shell.args(["-c", BOOT, "boot", &name]).stdin(Stdio::null());
            shell.stdout(console.try_clone()?).stderr(console);
            shell.spawn().context("cannot start a shell")
        })??;
        let mut system = Self { debian, outer, group };
        system.wait()?;
        Ok(system)
    }

    /// Runs a command inside, to its end.
    ///
    /// # Errors
    ///
    /// When the system is gone.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let first = self.first().context("systemd is gone")?;
        let mut command = Debian::command("nsenter");
        command.args([
            "--target", &first, "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--", program,
        ]);
        command.args(arguments);
        self.debian.output(command)
    }

    /// The first process of the system, by its number outside.
    fn first(&self) -> Option<String> {
        let outer = self.outer.id();
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
        children.split_whitespace().next().map(str::to_owned)
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let state = self.output("systemctl", &["is-system-running"]);
            let state = state.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
            if state.as_ref().is_ok_and(|state| state == "running") {
                return Ok(());
            }
            let ended = !matches!(self.outer.try_wait(), Ok(None));
            let degraded = state.as_ref().is_ok_and(|state| state == "degraded");
            if ended || degraded || Instant::now() > deadline {
                let console = self.debian.run(|| fs::read_to_string(CONSOLE).unwrap_or_default())?;
                bail!("systemd does not come up ({state:?}):\n{}", last_lines(&console, 20));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Systemd<'_> {
    fn drop(&mut self) {
        // The kernel ends everything in there with the first process.
        if let Some(first) = self.first() {
            let _gone = Command::new("kill").args(["-KILL", &first]).status();
        }
        let _gone = self.outer.kill();
        let _reaped = self.outer.wait();
        let group = self.group.clone();
        let removed = self.debian.run(move || remove(&group));
        if let Err(error) | Ok(Err(error)) = removed {
            eprintln!(
                "blocker-lab: the control group {} is left behind: {error:#}",
                self.group.display()
            );
        }
    }
}

/// Removes a control group with those in it. Its last processes may take a moment to go.
fn remove(group: &Path) -> Result<()> {
    for entry in fs::read_dir(group)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Err(error) = fs::remove_dir(group) {
        if Instant::now() > deadline {
            return Err(error).with_context(|| group.display().to_string());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
