//! Postfix for machines that have none: installed once into an overlay root, and kept as a file under `target/lab`.
//!
//! The machine itself does not get the package: what apt changed is in the overlay's upper layer, and that is packed into a tar
//! file from which each lab's root begins. A lower layer of its own would be the obvious way, but `target` lies inside `/`, the
//! other layer, and the kernel's documentation calls layers that lie inside each other undefined.

use std::fs::{self, File, Permissions};
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::root::{Beneath, Plan, Root, run};

/// What lies in the upper layer after an installation and is of no use in a lab.
const BALLAST: [&str; 7] = [
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log",
    "tmp",
    "run",
    "dev",
    "proc",
];

/// The tar file to begin a root with, made if need be; none when the machine has a Postfix of its own.
pub(crate) fn for_postfix(staging: &Path) -> Result<Option<PathBuf>> {
    if Path::new("/usr/sbin/postfix").exists() {
        return Ok(None);
    }
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "there is no Postfix on this machine, and no apt-get to get one for the lab: install Postfix 3.4 or newer \
             (it need not run, and the lab does not touch its files)"
        );
    }
    let folder = folder()?;
    let name = format!("postfix-{:016x}.tar", machine()?);
    let base = folder.join(&name);
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    if !base.exists() {
        clear_stale(&folder)?;
        install(staging, &base)?;
    }
    Ok(Some(base))
}

/// `target/lab`, owned by whoever owns `target`, so that `cargo clean` need not be root.
pub(crate) fn folder() -> Result<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    fs::create_dir_all(target.join("lab")).with_context(|| target.join("lab").display().to_string())?;
    let target = target.canonicalize()?;
    let owner = fs::metadata(&target)?;
    chown(target.join("lab"), Some(owner.uid()), Some(owner.gid()))?;
    Ok(target.join("lab"))
}

/// What packages the machine has. The layer fits this state and no other: it carries dpkg's list and the linker's cache.
fn machine() -> Result<u64> {
    let status = Path::new("/var/lib/dpkg/status");
    let mut hasher = DefaultHasher::new();
    hasher.write(&fs::read(status).with_context(|| status.display().to_string())?);
    Ok(hasher.finish())
}

fn clear_stale(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "tar" || extension == "part")
        {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Installs Postfix into an overlay root and packs what that changed.
fn install(staging: &Path, base: &Path) -> Result<()> {
    eprintln!(
        "Installing Postfix with apt into an overlay root for the lab, once; the machine itself is left as it is…"
    );
    let begun = Instant::now();
    let root = Root::new(Plan {
        beneath: Beneath::Machine,
        staging: staging.to_path_buf(),
        net: None,
        base: None,
        log: None,
    })?;
    root.run(keep_services_down)??;
    if let Err(first) = run(&root, apt("install")) {
        // The package lists may be missing or may name versions that are gone.
        run(&root, apt("update")).context(first)?;
        run(&root, apt("install"))?;
    }
    let part = base.with_extension("part");
    root.pack(File::create(&part)?, &BALLAST)
        .context("cannot pack the overlay's upper layer")?;
    fs::rename(&part, base)?;
    eprintln!(
        "Installed in {:.0} s and kept in {}",
        begun.elapsed().as_secs_f32(),
        base.display()
    );
    Ok(())
}

/// Debian's packages ask this script before they start a service.
pub(crate) fn keep_services_down() -> Result<()> {
    let policy = Path::new("/usr/sbin/policy-rc.d");
    fs::write(policy, "#!/bin/sh\nexit 101\n")?;
    Ok(fs::set_permissions(policy, Permissions::from_mode(0o755))?)
}

fn apt(action: &str) -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .arg("--quiet")
        .arg(action);
    if action == "install" {
        command.args(["--yes", "--no-install-recommends", "postfix"]);
    }
    command
}
