//! Servers whose programs tests want: Debian's packages, unpacked below `target/tools`.
//!
//! They are not installed: that would start a server on the machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::{packages, say};

/// A package, which is also the name of the folder it is unpacked to, and what is wanted of it.
struct Unpacked {
    package: &'static str,
    /// Where its programs lie in it.
    folder: &'static str,
    programs: &'static [&'static str],
    /// What they tell their version for.
    version: &'static str,
}

const UNPACKED: [Unpacked; 2] = [
    // For metrics, alerts and dashboard.
    Unpacked {
        package: "prometheus",
        folder: "usr/bin",
        programs: &["prometheus", "promtool"],
        version: "--version",
    },
    // For what the guide has nginx do.
    Unpacked {
        package: "nginx",
        folder: "usr/sbin",
        programs: &["nginx"],
        version: "-v",
    },
];

/// Unpacks the packages whose programs are neither there nor on the path.
pub(super) fn unpack(tools: &Path) -> Result<()> {
    UNPACKED.iter().try_for_each(|unpacked| unpacked.unpack(tools))
}

impl Unpacked {
    fn unpack(&self, tools: &Path) -> Result<()> {
        let package = self.package;
        let folder = tools.join(package);
        let are_there = || {
            let is_there = |name: &&str| packages::succeeds(folder.join(self.folder).join(name), [self.version]);
            self.programs.iter().all(is_there)
        };
        let is_on_path = |name: &&str| packages::succeeds(name, [self.version]);
        if are_there() || self.programs.iter().all(is_on_path) {
            return Ok(());
        }
        ensure!(
            packages::succeeds("apt-get", ["--version"]),
            "the tests need {} on the path, and this machine has no Debian packages to take that from",
            self.programs.join(" and ")
        );
        say(&format!(
            "unpacking Debian's {package} for the tests; no server is installed"
        ));
        let fresh = tools.join(format!("{package}.new"));
        // What a run that was broken off has left.
        let _ = fs::remove_dir_all(&fresh);
        fs::create_dir_all(&fresh).with_context(|| fresh.display().to_string())?;
        let mut download = Command::new("apt-get");
        run(download
            .args(["download", "--quiet", "--quiet", package])
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
        ensure!(are_there(), "Debian's {package} does not run here");
        Ok(())
    }
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed: {}", said.trim());
    Ok(())
}
