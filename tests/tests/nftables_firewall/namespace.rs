//! A network namespace of a test's own, and what can be seen and done in it.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, getsockopt, setsockopt, socket, sockopt,
};
use nix::unistd::geteuid;
use serde_json::Value;

/// How long a packet may stay without effect until it counts as dropped. On the loopback the answer is there at once,
/// and the first repetition comes only after a second.
const PATIENCE: u16 = 250;

/// How long anything that must happen may take.
const DEADLINE: Duration = Duration::from_secs(10);

/// The addresses that a namespace has.
const ADDRESSES: [&str; 9] = [
    "192.0.2.7",
    "192.0.2.8",
    "192.0.2.9",
    "10.1.2.3",
    "10.2.3.4",
    "2001:db8::7",
    "2001:db8::8",
    "2001:db8::9",
    "2001:db8:1::7",
];

/// Runs `body` in a namespace where `lo` is up and has the [`ADDRESSES`], and where TCP ports 25, 587 and 8080 are open.
pub fn in_namespace(body: fn() -> Result<()>) -> Result<()> {
    ensure!(geteuid().is_root(), "needs root: run `cargo xtask test`");
    let inside = move || {
        unshare(CloneFlags::CLONE_NEWNET)?;
        run("ip", &["link", "set", "lo", "up"])?;
        for address in ADDRESSES {
            run("ip", &["address", "add", address, "dev", "lo", "nodad"])?;
        }
        let _open = [25, 587, 8080]
            .into_iter()
            .map(|port| TcpListener::bind(("::", port)))
            .collect::<Result<Vec<_>, _>>()?;
        body()
    };
    match thread::spawn(inside).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Runs a command to its end and returns what it printed.
pub fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| program.to_owned())?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {error}", arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

/// Whether a connection from this address to this port of the address itself comes about.
pub fn reaches(from: &str, port: u16) -> Result<bool> {
    let address: IpAddr = from.parse()?;
    let family = if address.is_ipv4() {
        AddressFamily::Inet
    } else {
        AddressFamily::Inet6
    };
    let fd = socket(
        family,
        SockType::Stream,
        SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    setsockopt(&fd, sockopt::ReuseAddr, &true)?;
    bind(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, 0)))?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(address, port))) {
        Ok(()) => return Ok(true),
        Err(Errno::EINPROGRESS) => {}
        Err(errno) => bail!("connect from {from} to port {port}: {errno}"),
    }
    let mut wait = [PollFd::new(fd.as_fd(), PollFlags::POLLOUT)];
    if poll(&mut wait, PollTimeout::from(PATIENCE))? == 0 {
        return Ok(false);
    }
    match getsockopt(&fd, sockopt::SocketError)? {
        0 => Ok(true),
        errno => bail!("connect from {from} to port {port}: {}", Errno::from_raw(errno)),
    }
}

/// Whether a UDP packet from this address to this port of the address itself arrives.
pub fn delivers(from: &str, port: u16) -> Result<bool> {
    let address: IpAddr = from.parse()?;
    let receiver = UdpSocket::bind((address, port))?;
    UdpSocket::bind((address, 0))?.send_to(b"a question", (address, port))?;
    let mut wait = [PollFd::new(receiver.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut wait, PollTimeout::from(PATIENCE))? == 1)
}

/// Waits until it holds.
pub fn eventually(what: &str, holds: impl FnMut() -> Result<bool>) -> Result<()> {
    eventually_within(DEADLINE, what, holds)
}

/// The same, until another deadline.
pub fn eventually_within(deadline: Duration, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !holds()? {
        ensure!(start.elapsed() < deadline, "{what}: not within {deadline:?}");
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// The objects of one kind in the table, as nft reports them.
fn objects(kind: &str) -> Result<Vec<Value>> {
    // For counters nft need not read what the sets hold.
    let what: &[&str] = match kind {
        "counter" => &["-t", "list", "counters", "table"],
        _ => &["list", "table"],
    };
    let arguments = [&["-j"], what, &["inet", "blocker"]].concat();
    let listing: Value = serde_json::from_str(&run("nft", &arguments)?)?;
    let all = listing["nftables"].as_array().context("nft's listing")?;
    Ok(all.iter().filter_map(|object| object.get(kind)).cloned().collect())
}

fn named(kind: &str, name: &str) -> Result<Value> {
    let found = objects(kind)?.into_iter().find(|object| object["name"] == name);
    found.with_context(|| format!("nft lists no {kind} {name}"))
}

/// An element's timeout and the time that is left of it, in seconds, if it has one.
type Timeout = Option<(u64, u64)>;

/// The addresses in a set.
pub fn elements(set: &str) -> Result<Vec<(String, Timeout)>> {
    let set = named("set", set)?;
    let elements = set["elem"].as_array().map(Vec::as_slice).unwrap_or_default();
    elements
        .iter()
        .map(|element| {
            if let Some(address) = element.as_str() {
                return Ok((address.to_owned(), None));
            }
            let element = &element["elem"];
            let address = element["val"].as_str().context("an element's address")?;
            let timeout = element["timeout"].as_u64().context("an element's timeout")?;
            Ok((
                address.to_owned(),
                Some((timeout, element["expires"].as_u64().context("an element's end")?)),
            ))
        })
        .collect()
}

/// A counter's packets and bytes.
pub fn counter(name: &str) -> Result<(u64, u64)> {
    let counter = named("counter", name)?;
    Ok((
        counter["packets"].as_u64().context("packets")?,
        counter["bytes"].as_u64().context("bytes")?,
    ))
}

/// Packets that the table has dropped so far.
pub fn dropped() -> Result<u64> {
    let counters = objects("counter")?;
    let dropped = counters
        .iter()
        .filter(|counter| counter["name"].as_str().is_some_and(|name| name.ends_with("-dropped")));
    Ok(dropped.filter_map(|counter| counter["packets"].as_u64()).sum())
}

/// The names of all tables, with their families.
pub fn tables() -> Result<Vec<String>> {
    Ok(run("nft", &["list", "tables"])?.lines().map(str::to_owned).collect())
}
