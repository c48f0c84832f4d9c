//! What outlives the agent: maps and links, pinned in a folder of the BPF file system.
//!
//! ```text
//! /sys/fs/bpf/blocker/
//!   links/3-driver            the program on the interface of index 3
//!   maps-v2-7/IPV4_HOSTS …    the maps of one run of the agent, in layout 2
//!   current -> maps-v2-7      whose bans are in force
//! ```
//!
//! Each agent makes maps of its own, fills them with what was in force, and only then puts its program in the place of the former
//! one, link by link, each in one step. So a restart, an upgrade, another size and another layout are one and the same thing, and there is
//! no moment in which a banned host gets through.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use blocker_common::map::LAYOUT;
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use super::attach::Mode;

/// Where a BPF file system belongs; systemd mounts one at every start.
const BPF_FS: &str = "/sys/fs/bpf";
const CURRENT: &str = "current";
const LINKS: &str = "links";
const MAPS: &str = "maps-v";

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Pins {
    folder: PathBuf,
}

/// A pinned link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PinnedAt {
    /// The interface's index.
    pub(super) index: u32,
    /// Where the program runs.
    pub(super) mode: Mode,
    /// Where the link is pinned.
    pub(super) path: PathBuf,
}

impl Pins {
    /// Makes the folder, unless it is there.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        if folder.starts_with(BPF_FS) && !is_bpf_fs(Path::new(BPF_FS)) {
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            mount(Some("bpf"), BPF_FS, Some("bpf"), flags, Some("mode=0700")).with_context(|| {
                format!("{BPF_FS}: there is no BPF file system, and none can be mounted: `mount -t bpf bpf {BPF_FS}` does it as root")
            })?;
            tracing::info!("{BPF_FS}: a BPF file system was mounted");
        }
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        for folder in [folder, &folder.join(LINKS)] {
            builder
                .create(folder)
                .with_context(|| format!("{}: cannot make the folder", folder.display()))?;
        }
        if !is_bpf_fs(folder) {
            bail!("{}: is on no BPF file system", folder.display());
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// The folder of the maps whose bans are in force, if they are of this layout.
    pub(super) fn current(&self) -> Option<PathBuf> {
        let current = fs::read_link(self.folder.join(CURRENT)).ok()?;
        let name = current.file_name()?.to_str()?;
        let is_known = generation(name).is_some_and(|(layout, _)| layout == LAYOUT);
        is_known.then(|| self.folder.join(name))
    }

    /// The layout of the maps whose bans are in force, if it is not this one.
    pub(super) fn foreign_layout(&self) -> Option<u32> {
        let current = fs::read_link(self.folder.join(CURRENT)).ok()?;
        let (layout, _) = generation(current.file_name()?.to_str()?)?;
        (layout != LAYOUT).then_some(layout)
    }

    /// Makes a folder for the maps of this run. Those that starts have left which were broken off are taken out: a start that fails again
    /// and again, as for want of memory, must not take more of it each time.
    pub(super) fn new_maps(&self) -> Result<PathBuf> {
        let mut all = self.generations()?;
        all.sort_by_key(|(_, number, _)| *number);
        let last = all.last().map_or(0, |(_, number, _)| *number);
        // Where nothing says which are in force, the last may be.
        let keep = self
            .current()
            .or_else(|| all.last().map(|(_, _, folder)| folder.clone()));
        for (_, _, folder) in all.iter().filter(|(_, _, folder)| Some(folder) != keep.as_ref()) {
            remove(folder)?;
        }
        let folder = self.folder.join(format!("{MAPS}{LAYOUT}-{}", last.saturating_add(1)));
        fs::create_dir(&folder).with_context(|| format!("{}: cannot make the folder", folder.display()))?;
        Ok(folder)
    }

    /// Makes the folders again that somebody has removed, and the one for these maps.
    pub(super) fn restore(&self, maps: &Path) -> Result<()> {
        Self::open(&self.folder)?;
        fs::DirBuilder::new()
            .recursive(true)
            .create(maps)
            .with_context(|| format!("{}: cannot make the folder", maps.display()))
    }

    /// Says that the bans of these maps are in force now, and takes all other maps out.
    pub(super) fn make_current(&self, maps: &Path) -> Result<()> {
        let (next, current) = (self.folder.join("next"), self.folder.join(CURRENT));
        let name = maps.file_name().context("the maps have a folder")?;
        let told = match fs::remove_file(&next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => symlink(name, &next).and_then(|()| fs::rename(&next, &current)),
        };
        told.with_context(|| format!("{}: cannot be made to point to {}", current.display(), maps.display()))?;
        for (_, _, folder) in self.generations()? {
            if folder != maps {
                remove(&folder)?;
            }
        }
        Ok(())
    }

    /// The links that are pinned.
    pub(super) fn links(&self) -> Result<Vec<PinnedAt>> {
        let folder = self.folder.join(LINKS);
        let mut links = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("{}: cannot be read", folder.display()))? {
            let path = entry
                .with_context(|| format!("{}: cannot be read", folder.display()))?
                .path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some((index, mode)) = name.split_once('-') else {
                continue;
            };
            let mode = [Mode::Driver, Mode::Generic]
                .into_iter()
                .find(|known| known.name() == mode);
            if let (Ok(index), Some(mode)) = (index.parse(), mode) {
                links.push(PinnedAt { index, mode, path });
            }
        }
        links.sort_by_key(|link| link.index);
        Ok(links)
    }

    /// Where the link to an interface is to be pinned.
    pub(super) fn link(&self, index: u32, mode: Mode) -> PathBuf {
        self.folder.join(LINKS).join(format!("{index}-{}", mode.name()))
    }

    /// Layout, number and folder of all maps.
    fn generations(&self) -> Result<Vec<(u32, u32, PathBuf)>> {
        let entries =
            fs::read_dir(&self.folder).with_context(|| format!("{}: cannot be read", self.folder.display()))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let maps = names.filter_map(|name| {
            let (layout, number) = generation(&name)?;
            Some((layout, number, self.folder.join(name)))
        });
        Ok(maps.collect())
    }
}

/// Takes everything out: nothing is enforced any more, and the folder is gone. One that is not there is no error.
pub(super) fn clear(folder: &Path) -> Result<()> {
    // Links first: a program that runs without its pins cannot be found again.
    remove(&folder.join(LINKS))?;
    remove(folder)
}

fn is_bpf_fs(folder: &Path) -> bool {
    statfs(folder).is_ok_and(|kind| kind.filesystem_type() == BPF_FS_MAGIC)
}

/// Layout and number of the maps in a folder of this name.
fn generation(name: &str) -> Option<(u32, u32)> {
    let (layout, number) = name.strip_prefix(MAPS)?.split_once('-')?;
    Some((layout.parse().ok()?, number.parse().ok()?))
}

/// Removes a folder with all that is in it, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be removed", folder.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
