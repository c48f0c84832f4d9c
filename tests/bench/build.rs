//! Compiles the programs that measure in the kernel, as `blocker/build.rs` does the one that is shipped.

use std::path::Path;

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain, build_ebpf};

fn main() -> Result<()> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = package
        .ancestors()
        .nth(2)
        .context("the package lies two folders below the workspace's")?;
    let chosen = workspace.join("target/tools/ebpf-toolchain");
    println!("cargo:rerun-if-changed={}", chosen.display());
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
    let root_dir = package.join("ebpf");
    let root_dir = root_dir.to_str().context("the workspace's path is not UTF-8")?;
    let package = Package {
        name: "blocker-bench-ebpf",
        root_dir,
        ..Package::default()
    };
    build_ebpf([package], Toolchain::Custom(toolchain.trim()))
}
