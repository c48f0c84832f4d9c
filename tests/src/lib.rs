//! What blocker's end-to-end tests share: the agent under way on the lab's relay, and how a firewall has to behave.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in what its cases share too"
)]

mod firewalls;

pub mod agent;
pub mod behaviour;
pub mod four_jails;
pub mod journal;
pub mod knocking;
pub mod relay;
pub mod two_jails;
pub mod wall_clock;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use blocker::firewall::interfaces::{self, Interface};

/// How long anything that must happen may take, on a slow machine under load.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Between two looks at a condition.
const POLL: Duration = Duration::from_millis(10);

/// Ends the test with the command to use, where it was not started as root.
///
/// # Panics
///
/// When the process is not root: a test that cannot see the kernel must not pass.
pub fn require_root() {
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "needs root: run `cargo xtask test`"
    );
}

/// The interface of this name, in the network namespace of the calling thread.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn interface(name: &str) -> Interface {
    let all = interfaces::list().expect("the kernel lists them");
    let named = all.into_iter().find(|interface| interface.name == name);
    named.unwrap_or_else(|| panic!("there is no interface {name}"))
}

/// The folder of the programs that were built together with the tests or with a program: `target/debug`.
///
/// # Panics
///
/// When they do not lie in cargo's folders.
#[must_use]
pub fn programs() -> PathBuf {
    let program = std::env::current_exe().expect("a program knows where it lies");
    let folder = program.parent().expect("a program lies in a folder");
    let folder = if folder.ends_with("deps") {
        folder.parent().expect("a test lies in target/debug/deps")
    } else {
        folder
    };
    folder.to_owned()
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// When it does not within [`DEADLINE`].
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_within(DEADLINE, what, condition);
}

/// Waits until `condition` holds, where that takes a great deal of work.
///
/// # Panics
///
/// When it does not in time.
pub fn eventually_within(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + time;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {} s: {what}", time.as_secs());
        std::thread::park_timeout(POLL);
    }
}
