//! Prometheus for the tests of metrics, alerts and dashboard: Debian's package, unpacked below `target/tools`.
//!
//! It is not installed: that would start a server on the machine, and there is nothing in the package but two programs that we want.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::{packages, say};

/// The package, the folder it is unpacked to, and a program in it.
const PACKAGE: &str = "prometheus";
/// What is needed of it.
const PROGRAMS: [&str; 2] = ["prometheus", "promtool"];

/// Unpacks the package, unless its programs are there or on the path.
pub(super) fn unpack(tools: &Path) -> Result<()> {
    let folder = tools.join(PACKAGE);
    let in_folder = |name: &str| folder.join("usr/bin").join(name);
    let is_there = |name: &&str| packages::succeeds(in_folder(name), ["--version"]);
    if PROGRAMS.iter().all(is_there) || PROGRAMS.iter().all(|name| packages::succeeds(name, ["--version"])) {
        return Ok(());
    }
    ensure!(
        packages::succeeds("apt-get", ["--version"]),
        "the tests need prometheus and promtool on the path, and this machine has no Debian packages to take them from"
    );
    say("unpacking Debian's prometheus for the tests; no server is installed");
    let fresh = tools.join("prometheus.new");
    // What a run that was broken off has left.
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh).with_context(|| fresh.display().to_string())?;
    let mut download = Command::new("apt-get");
    run(download
        .args(["download", "--quiet", "--quiet", PACKAGE])
        .current_dir(&fresh))
    .context("try `sudo apt-get update` first")?;
    let files = fs::read_dir(&fresh).with_context(|| fresh.display().to_string())?;
    let files: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    let archive = files
        .iter()
        .find(|file| file.extension().is_some_and(|end| end == "deb"));
    let archive = archive.context("apt-get has left no package")?;
    run(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&fresh))?;
    let _ = fs::remove_dir_all(&folder);
    fs::rename(&fresh, &folder).with_context(|| folder.display().to_string())?;
    ensure!(PROGRAMS.iter().all(is_there), "Debian's prometheus does not run here");
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", said.trim());
    Ok(())
}
