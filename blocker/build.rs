//! Compiles the kernel program, so that the agent can carry it inside its own binary.
//!
//! The compiler for it is chosen by `cargo xtask setup`, which leaves the toolchain's name in `target/tools/ebpf-toolchain`.

use std::path::Path;

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain, build_ebpf};

fn main() -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the package lies in the workspace's folder")?;
    let chosen = workspace.join("target/tools/ebpf-toolchain");
    println!("cargo:rerun-if-changed={}", chosen.display());
    println!(
        "cargo:rerun-if-changed={}",
        workspace.join("blocker-common/src").display()
    );
    let toolchain = std::fs::read_to_string(&chosen).with_context(|| {
        format!(
            "{}: no toolchain for the kernel program yet; run `cargo xtask setup` once",
            chosen.display()
        )
    })?;

    // `core` is built from source, which cargo calls unstable and allows a released toolchain only on this word.
    // SAFETY: nothing else runs in this process yet.
    #[expect(unsafe_code, reason = "aya-build takes this setting from the environment alone")]
    unsafe {
        std::env::set_var("RUSTC_BOOTSTRAP", "1");
    }
    let root_dir = workspace.join("blocker-ebpf");
    let root_dir = root_dir.to_str().context("the workspace's path is not UTF-8")?;
    let package = Package {
        name: "blocker-ebpf",
        root_dir,
        ..Package::default()
    };
    build_ebpf([package], Toolchain::Custom(toolchain.trim()))
}
