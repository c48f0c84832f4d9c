//! A program and its maps, pinned so that they outlive the agent.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::MapData;
use aya::programs::Xdp;
use aya::programs::xdp::XdpLinkId;
use nix::net::if_::if_nametoindex;

use super::attach::{self, AttachError, Attachment};
use super::inherit::Former;
use super::links;
use super::pins::Pins;

/// Where program and maps are pinned, and what was there.
pub(super) struct Pinned {
    pins: Pins,
    /// The folder of this program's maps.
    folder: PathBuf,
    maps: Vec<(String, MapData)>,
    links: Vec<Link>,
    /// What was in force before; none once this program is.
    pub(super) former: Option<Former>,
    is_settled: bool,
}

/// The program on an interface.
struct Link {
    index: u32,
    /// None while it is being pinned anew.
    id: Option<XdpLinkId>,
    path: PathBuf,
    /// Whether it was made by this agent, and not taken over.
    is_new: bool,
}

impl Pinned {
    pub(super) const fn new(pins: Pins, folder: PathBuf, former: Option<Former>) -> Self {
        Self {
            pins,
            folder,
            maps: Vec::new(),
            links: Vec::new(),
            former,
            is_settled: false,
        }
    }

    /// Pins the maps of a loaded object, before anybody takes them out of it.
    pub(super) fn pin_maps(&mut self, ebpf: &Ebpf) -> Result<()> {
        // Maps of the compiler's own have a point in their names, which no pin may have.
        for (name, map) in ebpf.maps().filter(|(name, _)| !name.contains('.')) {
            let path = self.folder.join(name);
            map.pin(&path)
                .with_context(|| format!("{}: the map cannot be pinned", path.display()))?;
            let data = MapData::from_pin(&path).with_context(|| format!("{}: cannot be read", path.display()))?;
            self.maps.push((name.to_owned(), data));
        }
        Ok(())
    }

    /// Attaches the program to an interface, in the place of a former one if there is.
    pub(super) fn attach(&mut self, program: &mut Xdp, interface: &str) -> Result<Attachment, AttachError> {
        let index = if_nametoindex(interface).map_err(|_| AttachError::NoSuchInterface(interface.to_owned()))?;
        for pinned in self.pins.links()?.into_iter().filter(|pinned| pinned.index == index) {
            if let Some(id) = links::adopt(program, &pinned)? {
                self.links.push(Link {
                    index,
                    id: Some(id),
                    path: pinned.path,
                    is_new: false,
                });
                let interface = interface.to_owned();
                let mode = pinned.mode;
                return Ok(Attachment { interface, mode });
            }
        }
        let (attachment, id) = attach::attach(program, interface)?;
        let path = self.pins.link(index, attachment.mode);
        let id = links::pin(program, id, &path)?;
        self.links.push(Link {
            index,
            id: Some(id),
            path,
            is_new: true,
        });
        Ok(attachment)
    }

    /// Says that this program is the one in force: what was before goes.
    pub(super) fn settle(&mut self) -> Result<()> {
        let is_wanted = |index| self.links.iter().any(|link| link.index == index);
        for link in self.pins.links()?.into_iter().filter(|link| !is_wanted(link.index)) {
            tracing::info!(
                index = link.index,
                "XDP is taken off an interface that is not to have it any more"
            );
            links::remove(&link)?;
        }
        self.pins.make_current(&self.folder)?;
        self.is_settled = true;
        Ok(())
    }

    /// Puts back pins that somebody has removed. Until then, bans would have ended with the agent.
    pub(super) fn heal(&mut self, program: &mut Xdp) -> Result<()> {
        let is_lost = |path: &PathBuf| !path.exists();
        let maps: Vec<PathBuf> = self.maps.iter().map(|(name, _)| self.folder.join(name)).collect();
        let links = self.links.iter().map(|link| &link.path);
        let lost = maps.iter().chain(links).filter(|path| is_lost(path)).count();
        if lost == 0 {
            return Ok(());
        }
        tracing::warn!(pins = lost, folder = %self.folder.display(), "somebody has removed pins; putting them back");
        self.pins.restore(&self.folder)?;
        for ((_, data), path) in self.maps.iter().zip(&maps).filter(|(_, path)| is_lost(path)) {
            data.pin(path)
                .with_context(|| format!("{}: the map cannot be pinned", path.display()))?;
        }
        for link in self.links.iter_mut().filter(|link| is_lost(&link.path)) {
            if let Some(id) = link.id.take() {
                link.id = Some(links::pin(program, id, &link.path)?);
            }
        }
        self.pins.make_current(&self.folder)
    }
}

/// Where a start fails, nothing of it remains.
impl Drop for Pinned {
    fn drop(&mut self) {
        if !self.is_settled {
            for link in self.links.iter().filter(|link| link.is_new) {
                // What cannot be removed goes with the file system at the latest.
                let _ = fs::remove_file(&link.path);
            }
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
