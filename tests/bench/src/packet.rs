//! The XDP program by itself: what a packet takes, of whom it may be and with how many bans.
//!
//! The kernel runs programs on a frame by `BPF_PROG_TEST_RUN`, and no interface is involved. Two kinds of figures:
//!
//! - *Hot*: one frame again and again, with everything in the processor's caches. The kernel's own loop is in the figure, as it is in
//!   everybody's; it is the first row.
//! - *Scattered*: each frame from another host, over the whole table, so that what a look-up needs comes from memory. What the loop and the
//!   sender take is measured by the same sender in front of an empty program, in the same round, and is taken off.

mod against_plain;
mod against_xdp_filter;

use anyhow::Result;
use aya::programs::{ProgramFd, Xdp};
use blocker_lab::Wire;

use crate::bench::{Bench, Ground};
use crate::kernel::hosts::{PORT, Version};
use crate::kernel::program::{Program, Run, cost};
use crate::kernel::sender::{Frames, Sender, Stream};
use crate::kernel::stay_on_one_processor;
use crate::kernel::xdp_filter;
use crate::report::Report;
use crate::rounds::{Owned, alternate_all};
use crate::statistics::Samples;

pub(crate) const BENCH: Bench = Bench {
    name: "packet",
    about: "the XDP program alone, frame by frame, with up to a million bans, and xdp-filter's",
    run,
};

/// Rounds of everything.
const ROUNDS: usize = 11;
/// Frames of one measurement, at least: some milliseconds.
const FRAMES: u32 = 100_000;

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

fn run(ground: &Ground) -> Result<Report> {
    let tools = xdp_filter::unpack(&ground.peers)?;
    // For a BPF file system of its own.
    let wire = Wire::new()?;
    let inside = || {
        stay_on_one_processor()?;
        let mut report = Report::default();
        against_xdp_filter::run(&tools, ground.rounds(ROUNDS), &mut report)?;
        against_plain::run(ground.rounds(ROUNDS), &mut report)?;
        Ok(report)
    };
    wire.receiver().enter(inside)?
}

/// A program on one frame.
fn hot<'a>(name: &str, program: &'a Xdp, frame: &'a [u8]) -> Owned<'a> {
    let measure = move || cost(program, frame, FRAMES, Run::Verdict);
    (name.to_owned(), Box::new(measure))
}

/// A sender in front of a program.
struct Scattered {
    name: String,
    sender: Sender,
    frames: Frames,
}

impl Scattered {
    fn new(
        name: &str,
        (version, first, hosts): (Version, u32, u32),
        frames: Frames,
        program: &ProgramFd,
    ) -> Result<Self> {
        let stream = Stream {
            version,
            first,
            hosts,
            port: PORT,
        };
        Ok(Self {
            name: name.to_owned(),
            sender: Sender::into_program(stream, frames, program)?,
            frames,
        })
    }
}

/// What the programs take behind senders that go over so many hosts, without what sender and loop take.
fn scattered(rounds: usize, (version, hosts): (Version, u32), all: &[Scattered]) -> Result<Vec<(String, Samples)>> {
    let nothing = [
        (Frames::Whole, Program::own("nothing")?),
        (Frames::Split, Program::own("nothing_frags")?),
    ];
    let mut loops = Vec::new();
    for (frames, program) in &nothing {
        loops.push(Scattered::new("", (version, 0, hosts), *frames, &program.fd()?)?);
    }
    let measured = loops.iter().chain(all).map(|one| {
        let measure = || one.sender.cost(FRAMES.max(hosts), Run::Verdict);
        (
            one.name.clone(),
            Box::new(measure) as Box<dyn FnMut() -> Result<f64> + '_>,
        )
    });
    let mut samples = alternate_all(rounds, measured.collect())?;
    let rest = samples.split_off(loops.len());
    let of_loop = |frames: Frames| {
        let place = loops.iter().position(|one| one.frames == frames);
        samples.get(place.unwrap_or(0)).map(|(_, samples)| samples)
    };
    let net = rest.into_iter().zip(all).map(|((name, samples), one)| {
        let net = of_loop(one.frames).map_or_else(|| samples.clone(), |of_loop| samples.less(of_loop));
        (name, net)
    });
    Ok(net.collect())
}
