//! The XDP firewall: bans in BPF maps, drops before the kernel's stack.
//!
//! Program and maps outlive this value where they are pinned (`pins`); otherwise the kernel takes them out with it. Map layout:
//! [`blocker_common::map`].

mod allowed;
mod attach;
mod bans;
mod clock;
mod compare;
mod counters;
mod elements;
mod held;
mod inherit;
mod kernel_log;
mod keys;
mod knocks;
mod links;
mod maps;
mod pinned;
mod pins;
mod reason;
mod scope_bits;
mod sizes;
mod table;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use aya::maps::Array;
use aya::programs::xdp::XdpLinkId;
use aya::{Ebpf, EbpfLoader};
use blocker_common::map::{self, Scopes, Settings};
use blocker_common::packet::Unparsed;
use ipnet::IpNet;
use jiff::Timestamp;

pub use attach::{AttachError, Attachment, Mode};
pub use reason::Refusal;
pub use sizes::Sizes;

use self::allowed::Allowed;
use self::bans::Bans;
use self::counters::Counters;
use self::inherit::{Former, Name};
use self::kernel_log::KernelLog;
use self::pinned::Pinned;
use self::pins::Pins;
use self::scope_bits::ScopeBits;
use super::interfaces::Interface;
use super::view::View;
use super::{Coverage, CoveredBy, Firewall, InForce, Inherited, JailScope, Kind, Knocks, Rejected};
use crate::ban::{Change, Protocol, Subject};

/// The compiled program, put here by `build.rs`.
static PROGRAM: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/blocker-ebpf"));
/// The program's name in the object file.
const PROGRAM_NAME: &str = "blocker";

/// The XDP firewall.
pub struct Xdp {
    /// Holds the program and its links; the maps below are taken out of it.
    ebpf: Ebpf,
    bans: Bans,
    allowed: Allowed,
    counters: Arc<Counters>,
    scopes: ScopeBits,
    jails: Vec<String>,
    attachments: Vec<Attachment>,
    /// Links that are not pinned, by the index of their interface.
    loose: Vec<(u32, XdpLinkId)>,
    pinned: Option<Pinned>,
    _kernel_log: Option<KernelLog>,
}

impl Xdp {
    /// Loads program and maps, and tells the kernel the jails' scopes. Nothing is dropped before [`Xdp::attach`].
    ///
    /// # Minimum kernel version
    ///
    /// 5.18, for `xdp.frags`; 5.11 had the coarse clock and tries in batches.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a map or the program, when the process lacks `CAP_BPF` or `CAP_NET_ADMIN`, or when the jails have
    /// more than [`map::MAX_SCOPES`] different scopes or are more than [`map::MAX_JAILS`].
    pub fn load(jails: &[JailScope], sizes: Sizes) -> Result<Self> {
        Self::load_pinned(jails, sizes, None)
    }

    /// As [`Xdp::load`], for program and maps that outlive this value: they are pinned in `folder`, on a BPF file system. Bans that
    /// are in force from there stay so until [`Xdp::settle`].
    ///
    /// # Errors
    ///
    /// As [`Xdp::load`], and when the folder cannot be used.
    pub fn open(jails: &[JailScope], sizes: Sizes, folder: &Path) -> Result<Self> {
        let pins = Pins::open(folder)?;
        let former = match pins.current() {
            Some(current) => match Former::read(&current) {
                Ok(former) => Some(former),
                Err(error) => {
                    tracing::error!(
                        error = format!("{error:#}"),
                        "the bans that are in force cannot be taken over; they end when the new program takes the old one's place"
                    );
                    None
                }
            },
            None => {
                if let Some(layout) = pins.foreign_layout() {
                    tracing::info!(
                        layout,
                        "maps of another layout are in force until this program takes their place; its bans come from the ledger alone"
                    );
                }
                None
            }
        };
        let maps = pins.new_maps()?;
        Self::load_pinned(jails, sizes, Some(Pinned::new(pins, maps, former)))
    }

    fn load_pinned(jails: &[JailScope], sizes: Sizes, pinned: Option<Pinned>) -> Result<Self> {
        let scopes = ScopeBits::new(jails)?;
        let log_level = kernel_log::level();
        let mut loader = EbpfLoader::new();
        // The program asks for no type of the kernel's own: their description would take 15 MB while it is loaded.
        loader.btf(None);
        for hosts in [map::IPV4_HOSTS, map::IPV6_SUBNETS, map::IPV6_HOSTS, map::ENDS] {
            loader.map_max_entries(hosts, sizes.addresses);
        }
        for networks in [
            map::IPV4_NETWORKS,
            map::IPV6_NETWORKS,
            map::IPV4_ALLOWED,
            map::IPV6_ALLOWED,
        ] {
            loader.map_max_entries(networks, sizes.networks);
        }
        let mut ebpf = loader
            .override_global(aya_log::LEVEL, &log_level, true)
            .load(PROGRAM)
            .context("the kernel refused blocker's maps")?;
        let kernel_log = KernelLog::start(&mut ebpf, log_level)?;
        program(&mut ebpf)?
            .load()
            .context("the kernel refused blocker's XDP program")?;
        let mut pinned = pinned;
        if let Some(pinned) = &mut pinned {
            pinned.pin_maps(&ebpf)?;
        }
        let mut known: Array<_, Name> = maps::take(&mut ebpf, map::JAILS)?;
        for (index, name) in (0..).zip(inherit::names(jails.iter().map(|jail| jail.name.as_str()))) {
            known
                .set(index, name, 0)
                .context("cannot leave the jails' names with the kernel")?;
        }

        for (name, protocol) in [(map::TCP_PORTS, Protocol::Tcp), (map::UDP_PORTS, Protocol::Udp)] {
            let mut ports: Array<_, Scopes> = maps::take(&mut ebpf, name)?;
            for (port, bits) in scopes.ports(protocol) {
                ports
                    .set(u32::from(port), bits, 0)
                    .with_context(|| format!("cannot tell the kernel about port {port}"))?;
            }
        }
        let settings = Settings {
            tcp: scopes.all(Protocol::Tcp),
            udp: scopes.all(Protocol::Udp),
            ..Settings::default()
        };
        Ok(Self {
            bans: Bans::open(&mut ebpf, settings)?,
            allowed: Allowed::open(&mut ebpf)?,
            counters: Arc::new(Counters::open(&mut ebpf, jails.len())?),
            ebpf,
            scopes,
            jails: jails.iter().map(|jail| jail.name.clone()).collect(),
            attachments: Vec::new(),
            loose: Vec::new(),
            pinned,
            _kernel_log: kernel_log,
        })
    }

    /// Has the program count what it would drop, and drop nothing.
    ///
    /// # Errors
    ///
    /// When the kernel does not take the setting.
    pub fn count_only(&mut self) -> Result<()> {
        self.bans.count_only()
    }

    /// Attaches the program to an interface: in the driver where that can, in the kernel's generic hook otherwise.
    ///
    /// # Errors
    ///
    /// When the interface is gone, holds a program of somebody else, has no Ethernet headers, or takes neither mode.
    pub fn attach(&mut self, interface: &Interface) -> Result<&Attachment, AttachError> {
        // What is known of an earlier attachment is void, or there would be no call for this one.
        self.detach(interface.index)?;
        let program = program(&mut self.ebpf)?;
        let attachment = match &mut self.pinned {
            Some(pinned) => pinned.attach(program, interface)?,
            None => {
                let (attachment, link) = attach::attach(program, interface)?;
                self.loose.push((interface.index, links::hold(program, link)?));
                attachment
            }
        };
        Ok(self.attachments.push_mut(attachment))
    }

    /// Takes the program off the interface of this index, if it is there.
    ///
    /// # Errors
    ///
    /// When its pin cannot be removed.
    pub fn detach(&mut self, index: u32) -> Result<()> {
        self.attachments.retain(|attachment| attachment.index != index);
        let program = program(&mut self.ebpf)?;
        for (_, link) in self.loose.extract_if(.., |(on, _)| *on == index) {
            links::let_go(program, link)?;
        }
        match &mut self.pinned {
            Some(pinned) => pinned.detach(program, index),
            None => Ok(()),
        }
    }

    /// Notes that the interface of this index has another name now.
    pub fn rename(&mut self, index: u32, name: &str) {
        let known = |attachment: &&mut Attachment| attachment.index == index;
        for attachment in self.attachments.iter_mut().filter(known) {
            name.clone_into(&mut attachment.interface);
        }
    }

    /// Whether a program of blocker's that was in force before this one is on the interface of this index.
    #[must_use]
    pub fn was_on(&self, index: u32) -> bool {
        self.pinned.as_ref().is_some_and(|pinned| pinned.was_on(index))
    }

    /// The interfaces that the program is on.
    fn coverage(&self) -> Vec<Coverage> {
        let each = self.attachments.iter().map(|attachment| Coverage {
            interface: attachment.interface.clone(),
            by: CoveredBy::Xdp(attachment.mode),
        });
        each.collect()
    }

    /// The kernel's number of the program.
    ///
    /// # Errors
    ///
    /// When the kernel does not tell it.
    pub fn program_id(&mut self) -> Result<u32> {
        let program = program(&mut self.ebpf)?;
        let info = program
            .info()
            .context("the kernel does not tell about the XDP program")?;
        Ok(info.id())
    }

    /// The bans that an agent before this one has left in force with XDP. What cannot be read is logged.
    #[must_use]
    pub fn left(folder: &Path, now: Timestamp) -> Vec<Inherited> {
        if !folder.exists() {
            return Vec::new();
        }
        let current = Pins::open(folder).map(|pins| pins.current());
        match current.and_then(|current| current.map(|current| Former::read(&current)).transpose()) {
            Ok(former) => former.map_or(Vec::new(), |former| former.bans(now)),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"),
                    "bans that are in force with XDP cannot be taken over"
                );
                Vec::new()
            }
        }
    }

    /// Takes program and maps out, whoever has put them there.
    ///
    /// # Errors
    ///
    /// When they cannot be removed.
    pub fn clear(folder: &Path) -> Result<()> {
        pins::clear(folder)
    }

    /// The bans that an agent before this one has left in force. They stay so until [`settle`](Self::settle); what each has counted is
    /// carried on.
    pub fn inherited(&mut self, now: Timestamp) -> Vec<Inherited> {
        let Some(former) = self.pinned.as_ref().and_then(|pinned| pinned.former.as_ref()) else {
            return Vec::new();
        };
        self.bans.go_on_from(former.packets());
        former.bans(now)
    }

    /// Says that this program is the one in force: what was before goes, and its counts are carried on.
    ///
    /// # Errors
    ///
    /// When the pins of what was before cannot be changed.
    pub fn settle(&mut self) -> Result<()> {
        let Some(pinned) = &mut self.pinned else {
            return Ok(());
        };
        if let Some(former) = pinned.former.take() {
            self.counters.carry_on(&former, &self.jails)?;
        }
        pinned.settle()
    }

    /// The loaded program, for running it on frames of one's own.
    ///
    /// # Errors
    ///
    /// Only when the compiled-in object lacks it.
    pub fn program(&mut self) -> Result<&mut aya::programs::Xdp> {
        program(&mut self.ebpf)
    }

    /// Packets that passed because they could not be parsed, by the reason.
    ///
    /// # Errors
    ///
    /// When the kernel's counters cannot be read.
    pub fn unparsed(&self) -> Result<Vec<(Unparsed, u64)>> {
        self.counters.unparsed()
    }
}

impl Firewall for Xdp {
    fn kind(&self) -> Kind {
        Kind::Xdp
    }

    fn place(&self) -> String {
        let places: Vec<String> = self.attachments.iter().map(Attachment::to_string).collect();
        places.join(", ")
    }

    fn apply(&mut self, changes: &[Change], now: Timestamp) -> Vec<Rejected> {
        self.bans.apply(changes, &self.scopes, now)
    }

    fn compare(&mut self, wanted: &[Change], now: Timestamp) -> Result<Vec<Change>> {
        if let Some(pinned) = &mut self.pinned
            && let Err(error) = pinned.heal(program(&mut self.ebpf)?)
        {
            // That is no reason not to mend the bans.
            tracing::error!(
                error = format!("{error:#}"),
                "pins cannot be put back; bans would end with the agent"
            );
        }
        self.bans.compare(wanted, &self.scopes, now)
    }

    fn allow(&mut self, networks: &[IpNet]) -> Result<()> {
        let set = self.allowed.set(networks);
        // Also where it could not be set as a whole.
        set.and(self.bans.allow(self.allowed.networks()))
    }

    fn view(&self) -> View {
        View {
            kind: Kind::Xdp,
            coverage: self.coverage(),
            maps: self.bans.maps().into_iter().chain(self.allowed.maps()).collect(),
            counts: vec![Arc::clone(&self.counters) as _],
        }
    }

    fn knocks(&self, now: Timestamp, each: &mut dyn FnMut(Knocks)) -> Result<()> {
        self.bans.knocks(now, each)
    }

    fn knocks_of(&self, subjects: &[Subject], now: Timestamp) -> Result<Vec<Knocks>> {
        self.bans.knocks_of(subjects, now)
    }

    /// Which interfaces are meant is decided by [`PerInterface`](super::PerInterface).
    fn refresh(&mut self, _in_force: &mut dyn InForce, _now: Instant) {}
}

fn program(ebpf: &mut Ebpf) -> Result<&mut aya::programs::Xdp> {
    Ok(ebpf
        .program_mut(PROGRAM_NAME)
        .with_context(|| format!("the compiled-in object has no program `{PROGRAM_NAME}`"))?
        .try_into()?)
}
