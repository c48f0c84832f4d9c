//! The program behind `cargo xtask`.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use blocker_tests::programs;

use super::workspace;

/// Where it lies, built if need be.
pub fn xtask() -> PathBuf {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "xtask"]);
        let status = build.current_dir(workspace()).status().expect("cargo starts");
        assert!(status.success(), "xtask cannot be built");
        programs().join("xtask")
    });
    BUILT.clone()
}
