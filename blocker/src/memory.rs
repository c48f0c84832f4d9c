//! How the process gets memory from the machine and gives it back, where the C library's own ways would keep it for years.
//!
//! Starting with many bans, and comparing them with the kernel's every minute, takes several megabytes for a moment. glibc gives large
//! pieces back when they are freed, but only until the first of them: it takes it for a sign that more will come, and cuts the next from
//! its heap, where a few small pieces that stay keep all between them. What the agent needs of memory, and how much, may not enter.
#![cfg_attr(
    target_env = "gnu",
    expect(unsafe_code, reason = "the C library's calls have no safe form")
)]

#[cfg(target_env = "gnu")]
use nix::libc;

/// Pieces of so many bytes and more are the machine's again as soon as they are freed. It is glibc's own first choice, but made to stay.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 128 * 1024;
/// Heaps that threads share, each with free room of its own. Few threads work at the same time.
#[cfg(target_env = "gnu")]
const HEAPS: libc::c_int = 2;

/// Has large pieces given back whenever they are freed, and threads share heaps. To be called before there are other threads.
pub fn be_thrifty() {
    #[cfg(target_env = "gnu")]
    // SAFETY: numbers are set in the C library, which locks them. What it does not know it passes over.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
        libc::mallopt(libc::M_ARENA_MAX, HEAPS);
    }
}

/// Gives back what is free between small pieces. It takes some milliseconds: for after work that has used much.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: only pages on which nothing lies are given back, under the heaps' locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
