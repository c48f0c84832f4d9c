//! xdp-filter's programs, from Debian's xdp-tools.
//!
//! They are loaded as they lie in the package, without the dispatcher that xdp-filter puts before them and that would cost it more.

use std::path::Path;

use anyhow::{Context as _, Result};
use aya::EbpfLoader;
use aya::maps::{MapData, PerCpuHashMap, PerCpuValues};
use aya::util::nr_cpus;

use super::hosts::ipv4;
use super::program::Program;
use crate::peers::{Peer, Peers};

/// Addresses that its map has room for.
pub(crate) const MOST: u32 = 10_000;

/// `MAP_FLAG_SRC` in its `common_kern_user.h`: the address is looked for as a packet's source.
const SOURCE: u64 = 1;

/// What it looks at; its policy is to allow whom it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Features {
    /// Addresses.
    Ip,
    /// Addresses, ports, hardware addresses.
    All,
}

impl Features {
    const fn program(self) -> &'static str {
        match self {
            Self::Ip => "xdpfilt_alw_ip",
            Self::All => "xdpfilt_alw_all",
        }
    }
}

/// The package.
pub(crate) fn unpack(peers: &Peers) -> Result<Peer> {
    peers.unpack("xdp-tools", &["libxdp1"])
}

/// xdp-filter with so many IPv4 hosts denied. `pins` is a folder on a BPF file system, where its maps are pinned as it wants them.
pub(crate) fn load(tools: &Peer, features: Features, count: u32, pins: &Path) -> Result<Program> {
    let name = features.program();
    let folder = format!("usr/lib/{}-linux-gnu/bpf", std::env::consts::ARCH);
    let path = tools.path(&folder).join(format!("{name}.o"));
    let object = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let pins = pins.join(format!("{name}-{count}"));
    std::fs::create_dir_all(&pins).with_context(|| pins.display().to_string())?;
    let mut program = Program::load(EbpfLoader::new().default_map_pin_directory(&pins), &object, name)?;
    let mut denied: PerCpuHashMap<MapData, [u8; 4], u64> = program.map("filter_ipv4")?.try_into()?;
    let cpus = nr_cpus().map_err(|(what, error)| anyhow::anyhow!("{what}: {error}"))?;
    for number in 0..count {
        denied
            .insert(ipv4(number).octets(), PerCpuValues::try_from(vec![SOURCE; cpus])?, 0)
            .context("xdp-filter's map does not take a host")?;
    }
    Ok(program)
}
