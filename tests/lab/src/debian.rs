//! A clean Debian, as a mail relay is installed with: a system of its own in memory, on the lab's network.
//!
//! It is made once by debootstrap, from where the machine's own apt takes its packages, and kept as a tar file under
//! `target/lab/debian`, together with the packages that are to be installed in it later: on the lab's network there is no server to get
//! them from. Nothing that is installed is started, unless [`systemd`] runs in it.

pub mod systemd;

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::command::output;
use crate::namespace::Namespace;
use crate::root::{Beneath, OF_THE_MACHINE, Plan, Root, run};
use crate::{Lab, base};

/// A system that exists as long as this value does.
#[derive(Debug)]
pub struct Debian {
    root: Root,
}

/// What a system is made of, beside the packages that no Debian is without.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Recipe<'a> {
    /// A name for the file that it is kept in.
    pub name: &'a str,
    /// Packages that are installed.
    pub installed: &'a [&'a str],
    /// Packages that apt can install without a network, with all that they depend on.
    pub at_hand: &'a [&'a str],
}

impl Debian {
    /// A system on one of the lab's hosts, as it was made: the first time that takes a minute.
    ///
    /// # Errors
    ///
    /// When the machine's apt knows no Debian, when it cannot be reached, or when the kernel refuses a mount.
    pub fn new(lab: &Lab, host: &Namespace, recipe: Recipe<'_>) -> Result<Self> {
        let base = kept(lab.folder(), recipe)?;
        let staging = lab.folder().join(format!("{}-root", recipe.name));
        fs::create_dir(&staging).context("the lab has such a system already")?;
        let root = Root::new(Plan {
            beneath: Beneath::Nothing,
            staging,
            net: Some(host.net()),
            base: Some(base),
            log: None,
        })?;
        Ok(Self { root })
    }

    /// Runs `work` on a thread that lives in the system, and waits for it. Processes that it starts live there too, and end with the
    /// lab's network at the latest.
    ///
    /// # Errors
    ///
    /// When `work` panics.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.root.run(work)
    }

    /// Runs a command of the system to its end, whatever that is.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn output(&self, mut command: Command) -> Result<Output> {
        let program = command.get_program().display().to_string();
        let output = self.run(move || command.stdin(std::process::Stdio::null()).output())?;
        output.with_context(|| format!("cannot start {program}"))
    }

    /// A command of the system, with nothing of the machine's surroundings in it.
    #[must_use]
    pub fn command(program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs([
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/root"),
            ("LANG", "C.UTF-8"),
            ("DEBIAN_FRONTEND", "noninteractive"),
        ]);
        command
    }
}

/// The tar file of a system, made if need be.
fn kept(scratch: &Path, recipe: Recipe<'_>) -> Result<PathBuf> {
    let folder = base::folder()?.join("debian");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let mirror = Mirror::of_this_machine()?;
    let bare = folder.join(format!("{}.tar", mirror.codename));
    if !bare.exists() {
        bootstrap(&mirror, &bare)?;
    }
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    let whole = folder.join(format!(
        "{}-{}-{:016x}.tar",
        mirror.codename,
        recipe.name,
        hasher.finish()
    ));
    if !whole.exists() {
        cook(&scratch.join("kitchen"), &bare, recipe, &whole)?;
    }
    Ok(whole)
}

/// Where Debian's packages come from.
struct Mirror {
    site: String,
    codename: String,
}

impl Mirror {
    /// That of this machine, for the Debian that runs on it.
    fn of_this_machine() -> Result<Self> {
        let release = fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
        let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
        let codename = codename.context("/etc/os-release names no codename: the tests of the package need a Debian")?;
        let format = "$(CODENAME) $(SITE)";
        let mut targets = Command::new("apt-get");
        targets.args([
            "indextargets",
            "--format",
            format,
            "Created-By: Packages",
            "Component: main",
        ]);
        let targets = output(&mut targets)?.stdout;
        let targets = String::from_utf8_lossy(&targets).into_owned();
        let site = targets
            .lines()
            .find_map(|line| line.strip_prefix(codename)?.strip_prefix(' '));
        Ok(Self {
            site: site
                .with_context(|| format!("apt knows no server for {codename}"))?
                .to_owned(),
            codename: codename.to_owned(),
        })
    }
}

/// Makes the smallest Debian there is.
fn bootstrap(mirror: &Mirror, bare: &Path) -> Result<()> {
    eprintln!("Making a clean Debian for the lab with debootstrap, once; the machine itself is left as it is…");
    let begun = Instant::now();
    let folder = bare.with_extension("folder");
    // What a run that was broken off has left.
    let _ = fs::remove_dir_all(&folder);
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", &mirror.codename]);
    let made = output(command.arg(&folder).arg(&mirror.site)).context("run `cargo xtask setup`")?;
    drop(made);
    let part = bare.with_extension("part");
    let mut tar = Command::new("tar");
    tar.args([
        "--create",
        "--one-file-system",
        "--numeric-owner",
        "--exclude=./dev/*",
        "--exclude=./proc/*",
    ]);
    tar.args([
        "--exclude=./var/cache/apt/archives/*.deb",
        "--exclude=./run/*",
        "--exclude=./sys/*",
    ]);
    output(tar.arg("--file").arg(&part).arg("--directory").arg(&folder).arg("."))?;
    fs::remove_dir_all(&folder)?;
    fs::rename(&part, bare)?;
    eprintln!(
        "Made in {:.0} s and kept in {}",
        begun.elapsed().as_secs_f32(),
        bare.display()
    );
    Ok(())
}

/// Makes a system of a bare one: installs, and puts at hand, what the recipe says.
fn cook(staging: &Path, bare: &Path, recipe: Recipe<'_>, whole: &Path) -> Result<()> {
    let begun = Instant::now();
    fs::create_dir(staging)?;
    let root = Root::new(Plan {
        beneath: Beneath::Nothing,
        staging: staging.to_path_buf(),
        net: None,
        base: Some(bare.to_path_buf()),
        log: None,
    })?;
    root.run(base::keep_services_down)??;
    run(&root, apt(&["update"]))?;
    run(&root, apt(&[&["install"], recipe.installed].concat()))?;
    run(&root, apt(&[&["install", "--download-only"], recipe.at_hand].concat()))?;
    let part = whole.with_extension("part");
    root.pack(File::create(&part)?, &OF_THE_MACHINE)
        .context("cannot pack the system")?;
    fs::rename(&part, whole)?;
    eprintln!(
        "A Debian with {} was made of it in {:.0} s",
        [recipe.installed, recipe.at_hand].concat().join(", "),
        begun.elapsed().as_secs_f32()
    );
    Ok(())
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Debian::command("apt-get");
    command.args(["--quiet", "--yes", "--no-install-recommends"]);
    command.args(arguments);
    command
}
