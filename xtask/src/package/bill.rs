//! The bill of materials, in CycloneDX's JSON: every crate in the agent and in the kernel program, with version and licence.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::{run, tool};

/// The tool for it.
pub(super) const CARGO_CYCLONEDX: (&str, &str) = ("cargo-cyclonedx", "0.5.9");

/// What gets into the package: the agent, and the program that it carries for the kernel.
const PARTS: [&str; 2] = ["blocker", "blocker-ebpf"];

/// Writes a bill for each part, and says where they are.
pub(super) fn make(tools: &Path, workspace: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    let mut bills = Vec::new();
    for part in PARTS {
        let mut command = tool(tools, workspace, CARGO_CYCLONEDX);
        command.args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5"]);
        command
            .arg("--manifest-path")
            .arg(workspace.join(part).join("Cargo.toml"));
        // The tool writes beside the manifest of each member, whichever was asked for, and has no word for another place.
        command.args(["--override-filename", NAME]);
        let made = run(&mut command);
        let bill = out.join(format!("{part}-{}.cdx.json", env!("CARGO_PKG_VERSION")));
        let moved = gather(workspace, part, &bill);
        made?;
        moved?;
        bills.push(bill);
    }
    Ok(bills)
}

/// The name that no file of ours has, without its suffix.
const NAME: &str = "target-package-bill";

/// Moves the bill of one part to its place, and removes the others.
fn gather(workspace: &Path, part: &str, to: &Path) -> Result<()> {
    let mut found = false;
    for member in members(workspace)? {
        let file = member.join(format!("{NAME}.json"));
        if !file.exists() {
            continue;
        }
        if member == workspace.join(part) {
            found = true;
            fs::copy(&file, to).with_context(|| to.display().to_string())?;
        }
        fs::remove_file(&file).with_context(|| file.display().to_string())?;
    }
    ensure!(found, "cargo-cyclonedx has written no bill for {part}");
    Ok(())
}

/// The folders of the workspace's members.
fn members(workspace: &Path) -> Result<Vec<PathBuf>> {
    let mut command = crate::cargo();
    command.args(["metadata", "--no-deps", "--format-version", "1", "--locked"]);
    let metadata: serde_json::Value = serde_json::from_str(&run(command.current_dir(workspace))?)?;
    let packages = metadata["packages"].as_array().context("cargo names no packages")?;
    let manifests = packages.iter().filter_map(|package| package["manifest_path"].as_str());
    Ok(manifests
        .filter_map(|manifest| Some(Path::new(manifest).parent()?.to_owned()))
        .collect())
}
