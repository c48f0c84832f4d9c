//! A program in the kernel, and how long it takes over a frame.

use anyhow::{Context as _, Result};
use aya::programs::{ProgramFd, TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader};

use super::processor_time;

/// The programs of `tests/bench/ebpf`.
pub(crate) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/blocker-bench-ebpf"));

/// Frames that the kernel hands on at a time: as many as a card's driver.
const BATCH: u32 = 64;

/// How a program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// For its verdict alone.
    Verdict,
    /// On frames that go on into the stack, from the loopback of the calling thread's network namespace, where the program lets
    /// them pass.
    IntoStack,
}

/// What the kernel's loop and the program take for a frame, in nanoseconds of the processor's time.
pub(crate) fn cost(program: &Xdp, frame: &[u8], repeat: u32, run: Run) -> Result<f64> {
    let options = TestRunOptions {
        data_in: Some(frame),
        repeat,
        attrs: match run {
            Run::Verdict => TestRunAttrs::new(),
            Run::IntoStack => TestRunAttrs::new().xdp_live_frames(BATCH),
        },
        ..TestRunOptions::default()
    };
    let time = processor_time(|| {
        program
            .test_run(options)
            .map(drop)
            .context("the kernel does not run the program on a frame")
    })?;
    Ok(time / f64::from(repeat))
}

/// The verdict on a frame.
pub(crate) fn verdict(program: &Xdp, frame: &[u8]) -> Result<u32> {
    let options = TestRunOptions {
        data_in: Some(frame),
        ..TestRunOptions::default()
    };
    Ok(program.test_run(options)?.return_value)
}

/// A program of an object file, loaded.
#[derive(Debug)]
pub(crate) struct Program {
    ebpf: Ebpf,
    name: &'static str,
}

impl Program {
    /// One of the bench's own.
    pub(crate) fn own(name: &'static str) -> Result<Self> {
        Self::load(&mut EbpfLoader::new(), OBJECT, name)
    }

    /// One of these. What the loader is told stays the caller's business.
    pub(crate) fn load(loader: &mut EbpfLoader<'_>, object: &[u8], name: &'static str) -> Result<Self> {
        let mut ebpf = loader
            .load(object)
            .with_context(|| format!("the kernel refused the maps of {name}"))?;
        let program: &mut Xdp = ebpf
            .program_mut(name)
            .with_context(|| format!("there is no program {name}"))?
            .try_into()?;
        program
            .load()
            .with_context(|| format!("the kernel refused the program {name}"))?;
        Ok(Self { ebpf, name })
    }

    /// The program.
    pub(crate) fn xdp(&self) -> Result<&Xdp> {
        let program = self.ebpf.program(self.name).context("it was loaded")?;
        Ok(program.try_into()?)
    }

    /// For another program that calls it.
    pub(crate) fn fd(&self) -> Result<ProgramFd> {
        Ok(self.xdp()?.fd()?.try_clone()?)
    }

    /// One of its maps, as one may use it.
    pub(crate) fn map(&mut self, name: &str) -> Result<aya::maps::Map> {
        self.ebpf
            .take_map(name)
            .with_context(|| format!("there is no map {name}"))
    }

    /// Attaches it in the kernel's generic hook, for as long as this value lives.
    pub(crate) fn attach(&mut self, interface: &str) -> Result<()> {
        let program = self.ebpf.program_mut(self.name).context("it was loaded")?;
        let program: &mut Xdp = program.try_into()?;
        program
            .attach(interface, XdpMode::Skb)
            .map(drop)
            .with_context(|| format!("{} cannot be attached to {interface}", self.name))
    }
}
