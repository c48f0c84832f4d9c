//! What blocker's end-to-end tests share.

/// Ends the test with the command to use, where it was not started as root.
///
/// # Panics
///
/// When the process is not root: a test that cannot see the kernel must not pass.
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn require_root() {
    if !nix::unistd::Uid::effective().is_root() {
        panic!("needs root: run `cargo xtask test`");
    }
}
