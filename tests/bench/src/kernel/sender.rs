//! The sender of `tests/bench/ebpf`: frames from many hosts, into a program or into the stack.

use anyhow::{Context as _, Result};
use aya::EbpfLoader;
use aya::maps::{MapData, ProgramArray};
use aya::programs::ProgramFd;

use super::hosts::{Syn, Version};
use super::program::{OBJECT, Program, Run, cost};

/// Who sends, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) version: Version,
    /// The number of the first host.
    pub(crate) first: u32,
    /// How many hosts there are.
    pub(crate) hosts: u32,
    pub(crate) port: u16,
}

/// Whether a program copes with frames in several buffers: only such may call such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frames {
    Whole,
    Split,
}

/// A sender.
pub(crate) struct Sender {
    program: Program,
    syn: Syn,
    /// While it is open, the sender calls what it holds.
    _measured: Option<ProgramArray<MapData>>,
}

impl Sender {
    /// One whose frames pass into the stack.
    pub(crate) fn into_stack(stream: Stream) -> Result<Self> {
        let (program, syn) = load(stream, Frames::Whole)?;
        Ok(Self {
            program,
            syn,
            _measured: None,
        })
    }

    /// One that hands its frames to a program.
    pub(crate) fn into_program(stream: Stream, frames: Frames, measured: &ProgramFd) -> Result<Self> {
        let (mut program, syn) = load(stream, frames)?;
        let mut array = ProgramArray::try_from(program.map("MEASURED")?)?;
        array
            .set(0, measured, 0)
            .context("the sender cannot call what is to be measured")?;
        Ok(Self {
            program,
            syn,
            _measured: Some(array),
        })
    }

    /// What a frame takes, in nanoseconds.
    pub(crate) fn cost(&self, repeat: u32, run: Run) -> Result<f64> {
        cost(self.program.xdp()?, &self.syn.bytes, repeat, run)
    }
}

fn load(stream: Stream, frames: Frames) -> Result<(Program, Syn)> {
    let Stream {
        version,
        first,
        hosts,
        port,
    } = stream;
    let (ip_sum, tcp_sum) = Syn::sums(version, port)?;
    let (number, step) = (version.number(), step(hosts));
    let mut loader = EbpfLoader::new();
    for (name, value) in [
        ("HOSTS", &hosts),
        ("FIRST", &first),
        ("STEP", &step),
        ("VERSION", &number),
        ("IP_SUM", &ip_sum),
        ("TCP_SUM", &tcp_sum),
    ] {
        loader.override_global(name, value, true);
    }
    let name = match frames {
        Frames::Whole => "sender",
        Frames::Split => "sender_frags",
    };
    let program = Program::load(&mut loader, OBJECT, name)?;
    Ok((program, Syn::from(version, first, port)?))
}

/// A step by which all of so many are gone through before one comes again: near the golden section, and without a divisor in common.
fn step(hosts: u32) -> u32 {
    let from = (f64::from(hosts) * 0.618) as u32;
    let steps = from.max(1)..=hosts.max(1);
    steps.into_iter().find(|step| divisor(*step, hosts) == 1).unwrap_or(1)
}

/// The greatest that both have in common.
const fn divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_comes_once_before_any_comes_twice() {
        for hosts in [1, 2, 3, 1000, 10_000] {
            let step = step(hosts);
            let mut seen = vec![false; hosts as usize];
            let mut host = 0;
            for _ in 0..hosts {
                seen[host as usize] = true;
                host = (host + step) % hosts;
            }
            assert!(seen.iter().all(|seen| *seen), "{hosts} hosts in steps of {step}");
        }
    }
}
