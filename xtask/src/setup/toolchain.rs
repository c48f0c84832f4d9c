//! The compiler for the kernel program: one that builds `core` for BPF from source, with the LLVM that bpf-linker reads.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::{packages, say};

/// The nightly for machines without Debian's compiler. The date is pinned: a newer LLVM writes what bpf-linker cannot read.
const NIGHTLY: &str = "nightly-2026-05-20";
/// The name under which rustup knows Debian's compiler, and where that is.
const LINKED: &str = "blocker-ebpf";
const DEBIANS_PREFIX: &str = "/usr";
/// Where `core` lies below a toolchain's root.
const CORE: &str = "lib/rustlib/src/rust/library/core/Cargo.toml";
/// LLVM's major version in all of them.
const LLVM: u32 = 22;

/// Chooses a compiler, installs one where there is none, and leaves its name for `blocker/build.rs`.
pub(super) fn choose(tools: &Path) -> Result<()> {
    let chosen = tools.join("ebpf-toolchain");
    let before = fs::read_to_string(&chosen).unwrap_or_default();
    let name = match before.trim() {
        known if is_usable(known) => return Ok(()),
        _ if is_usable(NIGHTLY) => NIGHTLY,
        _ if is_usable(LINKED) => LINKED,
        _ if packages::can_install() => debians()?,
        _ => nightly()?,
    };
    fs::write(&chosen, format!("{name}\n")).with_context(|| chosen.display().to_string())
}

/// Whether rustup knows the toolchain, its sources of `core` are there, and its LLVM is the right one.
fn is_usable(name: &str) -> bool {
    if name.is_empty() {
        return false;
    }
    let sysroot = rustc(name, &["--print", "sysroot"]);
    let has_core = sysroot.is_some_and(|sysroot| Path::new(sysroot.trim()).join(CORE).exists());
    has_core && llvm(name) == Some(LLVM)
}

/// LLVM's major version in a toolchain, or in the compiler at hand.
fn llvm(name: &str) -> Option<u32> {
    let version = rustc(name, &["--version", "--verbose"])?;
    let version = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

fn rustc(toolchain: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("rustup");
    // A toolchain that is absent must be found absent, not be installed on the side.
    command
        .args(["run", toolchain, "rustc"])
        .args(arguments)
        .env("RUSTUP_AUTO_INSTALL", "0");
    let output = command.stdin(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn debians() -> Result<&'static str> {
    packages::apt_install(packages::COMPILER)?;
    say(&format!("linking Debian's compiler as the toolchain `{LINKED}`"));
    rustup(&["toolchain", "link", LINKED, DEBIANS_PREFIX])?;
    ensure!(
        is_usable(LINKED),
        "Debian's rustc-web has no sources of `core` or not LLVM {LLVM}; install the toolchain {NIGHTLY} with rust-src by rustup instead"
    );
    Ok(LINKED)
}

fn nightly() -> Result<&'static str> {
    say(&format!("installing the toolchain {NIGHTLY} with rust-src by rustup"));
    let install = [
        "toolchain",
        "install",
        NIGHTLY,
        "--profile",
        "minimal",
        "--component",
        "rust-src",
    ];
    if let Err(error) = rustup(&install) {
        bail!(
            "no compiler for the kernel program: {error}\nOn Debian, this one serves too; install it, then try again:\n\n    \
             sudo apt-get install --no-install-recommends {} && rustup toolchain link {LINKED} {DEBIANS_PREFIX}\n",
            packages::COMPILER.join(" ")
        );
    }
    ensure!(
        is_usable(NIGHTLY),
        "the toolchain {NIGHTLY} lacks the sources of `core` or LLVM {LLVM}"
    );
    Ok(NIGHTLY)
}

fn rustup(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("rustup");
    let output = command.args(arguments).stdin(Stdio::null()).output();
    let output = output.context("cannot start rustup; install it from your distribution or from rustup's own site")?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`rustup {}` failed: {}",
        arguments.join(" "),
        stderr.trim()
    );
    Ok(())
}
