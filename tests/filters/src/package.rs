//! Debian's fail2ban package, for its filters and its sample lines with known answers.
//!
//! They are under the GPL, so nothing of them is kept here: the package is fetched when a test needs it, and unpacked below `target`
//! without being installed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Where the filters lie in the package.
const CONFIGURATION: &str = "etc/fail2ban";
/// Where its tests lie.
const TESTS: &str = "usr/lib/python3/dist-packages/fail2ban/tests";
/// Where Python finds its modules.
const MODULES: &str = "usr/lib/python3/dist-packages";

/// The unpacked package.
#[derive(Clone, Debug)]
pub struct Package {
    root: PathBuf,
}

impl Package {
    /// The folder of the configuration that is installed with it.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.root.join(CONFIGURATION)
    }

    /// The folder of the configuration that only its tests use.
    #[must_use]
    pub fn test_configuration(&self) -> PathBuf {
        self.root.join(TESTS).join("config")
    }

    /// The folder of its modules, for Python's path.
    #[must_use]
    pub fn modules(&self) -> PathBuf {
        self.root.join(MODULES)
    }

    /// The program that steers its server.
    #[must_use]
    pub fn client(&self) -> PathBuf {
        self.root.join("usr/bin/fail2ban-client")
    }

    /// The folder of its sample lines, a file for each filter.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join(TESTS).join("files/logs")
    }
}

/// Fetches and unpacks the package, once.
///
/// # Errors
///
/// When apt does not have it.
pub fn fail2ban() -> Result<Package> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/fail2ban");
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let folder = folder.canonicalize()?;
    let lock = File::create(folder.join("lock"))?;
    lock.lock()?;
    let root = folder.join("root");
    if !root.is_dir() {
        fetch(&folder)?;
        let part = folder.join("part");
        let package = downloaded(&folder)?.context("apt-get said that it fetched fail2ban, and there is no file")?;
        run(Command::new("dpkg-deb").arg("-x").arg(package).arg(&part))?;
        // A filter of its tests includes files of the configuration from where they lie in fail2ban's source, as seen from where
        // the package puts the tests: 1.0's two folders too high.
        let configuration = root.join(CONFIGURATION);
        for place in ["usr/config", "usr/lib/python3/dist-packages/config"] {
            std::os::unix::fs::symlink(&configuration, part.join(place))?;
        }
        fs::rename(&part, &root)?;
    }
    Ok(Package { root })
}

fn fetch(folder: &Path) -> Result<()> {
    let download = || {
        run(Command::new("apt-get")
            .args(["--quiet", "download", "fail2ban"])
            .current_dir(folder))
    };
    if let Err(first) = download() {
        // The package lists may be missing or may name a version that is gone.
        run(Command::new("apt-get").args(["--quiet", "update"])).context(first)?;
        download()?;
    }
    Ok(())
}

fn downloaded(folder: &Path) -> Result<Option<PathBuf>> {
    let entries = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut packages = entries.filter(|path| path.extension().is_some_and(|extension| extension == "deb"));
    Ok(packages.next())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}: the samples of fail2ban come from Debian's package"))?;
    if !output.status.success() {
        bail!(
            "{command:?}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
