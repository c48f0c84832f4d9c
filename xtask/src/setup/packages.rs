//! System packages, by Debian's names.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::say;

/// A package and how to see that what it brings is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Package {
    name: &'static str,
    there: There,
}

#[derive(Clone, Copy, Debug)]
enum There {
    /// A program that answers to this.
    Program(&'static str, &'static str),
    /// A library that pkg-config knows.
    Library(&'static str),
}

/// What building and testing need. The binary needs none of it but libnftnl and libmnl.
pub(super) const NEEDED: &[Package] = &[
    package("pkg-config", There::Program("pkg-config", "--version")),
    package("libmnl-dev", There::Library("libmnl")),
    package("libnftnl-dev", There::Library("libnftnl")),
    package("iproute2", There::Program("ip", "-V")),
    package("nftables", There::Program("nft", "--version")),
    package("debootstrap", There::Program("debootstrap", "--version")),
    package("faketime", There::Program("faketime", "--version")),
    package("systemd", There::Program("journalctl", "--version")),
    package("valgrind", There::Program("valgrind", "--version")),
    package("chromium", There::Program("chromium", "--version")),
    package("chromium-driver", There::Program("chromedriver", "--version")),
];

/// libFuzzer is C++, and is compiled with the targets.
pub(super) const FUZZING: &[Package] = &[package("g++", There::Program("g++", "--version"))];

/// cargo-deb has Debian's own tool find out which libraries the package depends on.
pub(super) const PACKAGING: &[Package] = &[
    package("dpkg-dev", There::Program("dpkg-shlibdeps", "--version")),
    package("binutils", There::Program("strip", "--version")),
];

/// Debian's own compiler for web browsers: newer than its other one, and with the sources of `core`.
pub(super) const COMPILER: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

const fn package(name: &'static str, there: There) -> Package {
    Package { name, there }
}

/// Installs those of the packages that are missing.
pub(super) fn install(packages: &[Package]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|package| !package.is_there())
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    apt_install(&missing)
}

/// Whether this machine installs Debian's packages and we may.
pub(super) fn can_install() -> bool {
    succeeds("apt-get", ["--version"]) && nix::unistd::geteuid().is_root()
}

/// Installs packages with apt, or says how to.
pub(super) fn apt_install(names: &[&str]) -> Result<()> {
    let list = names.join(" ");
    if !can_install() {
        bail!(
            "packages are missing; install them, then try again:\n\n    sudo apt-get install --no-install-recommends {list}\n"
        );
    }
    say(&format!("installing system packages: {list}"));
    apt(&["update", "--quiet", "--quiet"])?;
    let mut install = vec!["install", "--quiet", "--quiet", "--yes", "--no-install-recommends"];
    install.extend(names);
    apt(&install)
}

fn apt(arguments: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .context("cannot start apt-get")?;
    let what = arguments.join(" ");
    ensure!(
        output.status.success(),
        "`apt-get {what}` failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

impl Package {
    fn is_there(&self) -> bool {
        match self.there {
            There::Program(program, answers) => succeeds(program, [answers]),
            There::Library(library) => succeeds("pkg-config", ["--exists", library]),
        }
    }
}

/// Whether a program is there and does what it is asked.
pub(super) fn succeeds<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: impl IntoIterator<Item = A>) -> bool {
    // Root's programs are not on every user's path.
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", path).stdin(Stdio::null());
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
