//! The Debian package as an operator gets it: into a clean Debian, with real packets before, while and after it changes hands.
//!
//! What is installed here is made by `cargo xtask package --debug`: the same in all, but for how the program was compiled.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

#[path = "package/contents.rs"]
mod contents;
#[path = "package/lifecycle.rs"]
mod lifecycle;
#[path = "package/made.rs"]
mod made;
#[path = "package/newcomer.rs"]
mod newcomer;
#[path = "package/system.rs"]
mod system;
#[path = "package/unit.rs"]
mod unit;
