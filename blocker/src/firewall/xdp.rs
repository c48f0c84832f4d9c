//! The XDP firewall: bans in BPF hash maps, drops before the kernel's stack.
//!
//! The program and its maps live as long as this value: when it is dropped, or its process ends in any way, the kernel takes
//! them out. Map layout: [`blocker_common::map`].

mod attach;
mod kernel_log;
mod scope_bits;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use aya::maps::{Array, HashMap, MapData, MapError, PerCpuArray};
use aya::{Ebpf, EbpfLoader, Pod};
use blocker_common::map::{self, Ban, Counter, Scopes};
use blocker_common::packet::{Family, Unparsed};
use jiff::Timestamp;
use nix::libc;
use nix::time::{ClockId, clock_gettime};

pub use attach::{AttachError, Attachment, Mode};

use self::kernel_log::KernelLog;
use self::scope_bits::ScopeBits;
use super::{Drops, Firewall, JailScope, Kind, Rejected};
use crate::ban::{Change, JailId};

/// The compiled program, put here by `build.rs`.
static PROGRAM: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/blocker-ebpf"));
/// The program's name in the object file.
const PROGRAM_NAME: &str = "blocker";

/// The XDP firewall.
pub struct Xdp {
    /// Holds the program and its links; the maps below are taken out of it.
    ebpf: Ebpf,
    bans_ipv4: HashMap<MapData, [u8; 4], Ban>,
    bans_ipv6: HashMap<MapData, [u8; 16], Ban>,
    drops: PerCpuArray<MapData, Counter>,
    unparsed: PerCpuArray<MapData, u64>,
    scopes: ScopeBits,
    attachments: Vec<Attachment>,
    _kernel_log: Option<KernelLog>,
}

impl Xdp {
    /// Loads program and maps, and tells the kernel the jails' scopes. Nothing is dropped before [`Xdp::attach`].
    ///
    /// `max_bans` bounds the banned addresses of each IP version; the kernel sets their memory aside at once, about 90 bytes each.
    ///
    /// # Minimum kernel version
    ///
    /// 5.18, for `xdp.frags`; 5.11 had the coarse clock.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a map or the program, when the process lacks `CAP_BPF` or `CAP_NET_ADMIN`, or when the jails have
    /// more than [`map::MAX_SCOPES`] different scopes or are more than [`map::MAX_JAILS`].
    pub fn load(jails: &[JailScope], max_bans: u32) -> Result<Self> {
        let scopes = ScopeBits::new(jails)?;
        let log_level = kernel_log::level();
        let mut ebpf = EbpfLoader::new()
            .map_max_entries(map::BANS_IPV4, max_bans)
            .map_max_entries(map::BANS_IPV6, max_bans)
            .override_global(aya_log::LEVEL, &log_level, true)
            .load(PROGRAM)
            .context("the kernel refused blocker's maps")?;
        let kernel_log = KernelLog::start(&mut ebpf, log_level)?;
        program(&mut ebpf)?
            .load()
            .context("the kernel refused blocker's XDP program")?;

        let mut ports: Array<_, Scopes> = take(&mut ebpf, map::TCP_PORTS)?;
        for (port, bits) in scopes.ports() {
            ports
                .set(u32::from(port), bits, 0)
                .with_context(|| format!("cannot tell the kernel about port {port}"))?;
        }
        Ok(Self {
            bans_ipv4: take(&mut ebpf, map::BANS_IPV4)?,
            bans_ipv6: take(&mut ebpf, map::BANS_IPV6)?,
            drops: take(&mut ebpf, map::DROPS)?,
            unparsed: take(&mut ebpf, map::UNPARSED)?,
            ebpf,
            scopes,
            attachments: Vec::new(),
            _kernel_log: kernel_log,
        })
    }

    /// Attaches the program to an interface: in the driver where that can, in the kernel's generic hook otherwise.
    ///
    /// # Errors
    ///
    /// When the interface does not exist, holds a program of somebody else, or takes neither mode.
    pub fn attach(&mut self, interface: &str) -> Result<&Attachment, AttachError> {
        let program = program(&mut self.ebpf).map_err(AttachError::Program)?;
        let attachment = attach::attach(program, interface)?;
        Ok(self.attachments.push_mut(attachment))
    }

    /// The loaded program, for running it on frames of one's own.
    ///
    /// # Errors
    ///
    /// Only when the compiled-in object lacks it.
    pub fn program(&mut self) -> Result<&mut aya::programs::Xdp> {
        program(&mut self.ebpf)
    }

    /// Packets that passed because they could not be parsed, by layer.
    ///
    /// # Errors
    ///
    /// When the kernel's counters cannot be read.
    pub fn unparsed(&self) -> Result<Vec<(Unparsed, u64)>> {
        Unparsed::ALL
            .into_iter()
            .map(|layer| {
                let counts = self.unparsed.get(&(layer as u32), 0)?;
                Ok((layer, counts.iter().sum()))
            })
            .collect()
    }

    fn apply_one(&mut self, change: &Change, clock: &Clock) -> Result<()> {
        let ban = self.scopes.kernel_ban(&change.bans, clock);
        match change.address {
            IpAddr::V4(address) => put(&mut self.bans_ipv4, address.octets(), ban),
            IpAddr::V6(address) => put(&mut self.bans_ipv6, address.octets(), ban),
        }
        .with_context(|| format!("xdp: {}", change.address))
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
        let clock = Clock::at(now);
        let mut rejected = Vec::new();
        for (n, change) in changes.iter().enumerate() {
            if let Err(error) = self.apply_one(change, &clock) {
                rejected.push(Rejected { change: n, error });
            }
        }
        rejected
    }

    fn drops(&self) -> Result<Vec<Drops>> {
        let mut all = Vec::with_capacity(self.scopes.jails() * 2);
        for jail in (0..).take(self.scopes.jails()) {
            for family in [Family::Ipv4, Family::Ipv6] {
                let slot = map::drop_slot(u32::from(jail), family);
                let counters = self.drops.get(&slot, 0).context("cannot read the drop counters")?;
                all.push(Drops {
                    jail: JailId(jail),
                    family,
                    packets: counters.iter().map(|counter| counter.packets).sum(),
                    bytes: counters.iter().map(|counter| counter.bytes).sum(),
                });
            }
        }
        Ok(all)
    }
}

/// The wall clock and the kernel's monotonic one, read together.
struct Clock {
    wall: Timestamp,
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    monotonic: u64,
}

impl Clock {
    fn at(wall: Timestamp) -> Self {
        // The call can only fail for a clock that does not exist; zero would make every ban end at once, which is the safe side.
        let monotonic = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
        Self {
            wall,
            monotonic: u64::try_from(monotonic.as_nanos()).unwrap_or(0),
        }
    }

    /// The kernel's time for `time`, or `None` where that is past.
    fn in_kernel_time(&self, time: Timestamp) -> Option<u64> {
        let left = u64::try_from(time.duration_since(self.wall).as_nanos()).ok()?;
        (left > 0).then(|| self.monotonic.saturating_add(left))
    }
}

/// Makes the map hold `ban` for the address, or nothing.
fn put<K: Pod>(bans: &mut HashMap<MapData, K, Ban>, address: K, ban: Option<Ban>) -> Result<()> {
    let Some(ban) = ban else {
        return match bans.remove(&address) {
            Err(error) if errno(&error) != Some(libc::ENOENT) => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        };
    };
    bans.insert(address, ban, 0).map_err(|error| match errno(&error) {
        Some(libc::E2BIG) => {
            anyhow!("the kernel's map of bans is full; raise `max_bans` under [firewall] in blocker.toml and restart")
        }
        _ => error.into(),
    })
}

/// The kernel's answer behind a failed map operation.
fn errno(error: &MapError) -> Option<i32> {
    match error {
        MapError::SyscallError(call) => call.io_error.raw_os_error(),
        MapError::KeyNotFound => Some(libc::ENOENT),
        _ => None,
    }
}

fn program(ebpf: &mut Ebpf) -> Result<&mut aya::programs::Xdp> {
    Ok(ebpf
        .program_mut(PROGRAM_NAME)
        .with_context(|| format!("the compiled-in object has no program `{PROGRAM_NAME}`"))?
        .try_into()?)
}

fn take<M>(ebpf: &mut Ebpf, name: &str) -> Result<M>
where
    M: TryFrom<aya::maps::Map, Error = MapError>,
{
    let map = ebpf
        .take_map(name)
        .with_context(|| format!("the compiled-in object has no map `{name}`"))?;
    M::try_from(map).with_context(|| format!("the map `{name}` is not of the expected kind"))
}
