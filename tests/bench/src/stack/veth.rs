//! The same through a cable between two hosts, with a sender that costs what a sender costs: the whole picture of a virtual machine's
//! host. Native XDP on such a cable is slower than generic, and says nothing about a card's driver.

use std::net::TcpListener;
use std::time::Instant;

use anyhow::{Context as _, Result};
use aya::programs::XdpMode;
use blocker_lab::Wire;
use blocker_lab::network::RELAY;
use blocker_lab::wire::RECEIVER;

use super::filter::{BANS, Filter, Kept};
use super::host::prepare;
use super::owned;
use super::rules::Tools;
use crate::kernel::hosts::{PORT, Syn, Version};
use crate::kernel::ours;
use crate::report::{Table, Unit};
use crate::rounds::alternate_all;

/// Frames of one measurement, each of another host.
const FRAMES: u32 = 10_000;

const DRIVER: &str = "blocker, XDP in the cable's driver";

/// A cable, what stands at its end, and what keeps it there.
struct End {
    name: &'static str,
    _server: TcpListener,
    _kept: Option<Kept>,
    wire: Wire,
}

pub(super) fn run(rounds: usize, tools: &Tools) -> Result<Table> {
    let filters = [
        Filter::None,
        Filter::NftPrerouting,
        Filter::NftIngress,
        Filter::OursGeneric,
        Filter::Native,
    ];
    let ends = filters
        .map(|filter| end(filter, tools))
        .into_iter()
        .collect::<Result<Vec<_>>>()?;
    let frames = (0..FRAMES).map(|n| {
        let mut bytes = Syn::from(Version::Ipv4, n * (BANS / FRAMES), PORT)?.bytes;
        bytes.splice(..RECEIVER.len(), RECEIVER);
        Ok(bytes)
    });
    let frames = frames.collect::<Result<Vec<_>>>()?;
    let measured = ends.iter().map(|end| owned(end.name, || send(&end.wire, &frames)));
    let samples = alternate_all(rounds, measured.collect())?;
    let heading = "a banned SYN through a virtual cable, its sender included";
    Ok(Table::against(
        heading,
        Unit::Nanoseconds,
        Filter::NftIngress.name(),
        samples,
    ))
}

fn end(filter: Filter, tools: &Tools) -> Result<End> {
    let wire = Wire::new()?;
    let host = wire.receiver();
    prepare(host)?;
    let inside = || {
        let server = TcpListener::bind((RELAY, PORT))?;
        if filter != Filter::Native {
            return Ok((server, filter.put(host, "eth0", tools)?));
        }
        let mut xdp = ours::load(Version::Ipv4, BANS)?;
        xdp.program()?.attach("eth0", XdpMode::Driver)?;
        let kept: Kept = Box::new(std::sync::Mutex::new(xdp));
        anyhow::Ok((server, Some(kept)))
    };
    let (server, kept) = host
        .enter(inside)?
        .with_context(|| format!("cannot put a filter in place: {}", filter.name()))?;
    Ok(End {
        name: if filter == Filter::Native {
            DRIVER
        } else {
            filter.name()
        },
        _server: server,
        _kept: kept,
        wire,
    })
}

/// By the clock on the wall: some of the work is done for whoever happens to run.
fn send(wire: &Wire, frames: &[Vec<u8>]) -> Result<f64> {
    let begin = Instant::now();
    for frame in frames {
        wire.send(frame)?;
    }
    Ok(begin.elapsed().as_nanos() as f64 / frames.len() as f64)
}
