//! How much memory the agent takes: idle, with many bans, and under a flood of hosts; and how soon it is back with them after a restart.
//!
//! The limits are a release's (`docs/memory.md`). What is tested here was built with little optimisation, and its program alone has
//! [`DEBUG`] more of it in memory; what it keeps its data in is the same.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

#[path = "memory/flood.rs"]
mod flood;
#[path = "memory/many.rs"]
mod many;

use blocker_tests::four_jails::four_jails;

/// KiB.
const MIB: u64 = 1024;
/// By how much more of the program of a debug build lies in memory, in KiB.
const DEBUG: u64 = if cfg!(debug_assertions) { 10 * MIB } else { 0 };

fn mib(kib: u64) -> f64 {
    kib as f64 / MIB as f64
}
