//! A program and its maps, pinned so that they outlive the agent.

use std::fs;
use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::MapData;
use aya::programs::Xdp;
use aya::programs::xdp::XdpLinkId;

use super::attach::{self, AttachError, Attachment};
use super::inherit::Former;
use super::links;
use super::pins::Pins;
use crate::firewall::interfaces::{self, Interface};

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
    pub(super) fn attach(&mut self, program: &mut Xdp, interface: &Interface) -> Result<Attachment, AttachError> {
        if self.is_settled {
            // Without its folder the new link could not be pinned.
            self.heal(program)?;
        }
        let index = interface.index;
        for pinned in self.pins.links()?.into_iter().filter(|pinned| pinned.index == index) {
            if let Some(id) = links::adopt(program, &pinned)? {
                if !is_on(program, index)? {
                    tracing::warn!(
                        interface = %interface.name,
                        "the program was on another interface of the same index, which has been moved to another network namespace; \
                         it is taken off there"
                    );
                    let _ = links::let_go(program, id)?;
                    links::remove(&pinned)?;
                    continue;
                }
                self.links.push(Link {
                    index,
                    id: Some(id),
                    path: pinned.path,
                    is_new: false,
                });
                return Ok(Attachment {
                    index,
                    interface: interface.name.clone(),
                    mode: pinned.mode,
                    driver_refusal: None,
                });
            }
        }
        let (attachment, link) = attach::attach(program, interface)?;
        let path = self.pins.link(index, attachment.mode);
        let id = links::pin(program, link, &path)?;
        self.links.push(Link {
            index,
            id: Some(id),
            path,
            is_new: true,
        });
        Ok(attachment)
    }

    /// Takes the program off the interface of this index.
    pub(super) fn detach(&mut self, program: &mut Xdp, index: u32) -> Result<()> {
        for link in self.links.extract_if(.., |link| link.index == index) {
            if let Some(id) = link.id {
                links::let_go(program, id)?;
            }
            match fs::remove_file(&link.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("{}: cannot be removed", link.path.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Whether a program that was in force before this one is on the interface of this index.
    pub(super) fn was_on(&self, index: u32) -> bool {
        let links = self.pins.links().unwrap_or_default();
        links.iter().any(|link| link.index == index)
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
        // Without the pointer to them, the next agent would not find the maps.
        if lost == 0 && self.pins.current().as_ref() == Some(&self.folder) {
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
                let taken = links::let_go(program, id)?;
                link.id = Some(links::pin(program, taken, &link.path)?);
            }
        }
        self.pins.make_current(&self.folder)
    }
}

/// Whether the program is on the interface of this index. A link does not tell: it follows its interface to another network namespace,
/// and the index may be another's here since then.
fn is_on(program: &Xdp, index: u32) -> Result<bool> {
    let info = program
        .info()
        .context("the kernel does not tell about the XDP program")?;
    let present = interfaces::list().context("cannot list the network interfaces")?;
    let there = present.iter().find(|interface| interface.index == index);
    Ok(there.is_some_and(|interface| interface.program == Some(info.id())))
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
