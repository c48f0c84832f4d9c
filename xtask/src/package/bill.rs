//! The bill of materials, in CycloneDX's JSON: every crate in the agent and in the kernel program, with version and licence.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};

use super::{run, tool};

/// The tool for it.
pub(super) const CARGO_CYCLONEDX: (&str, &str) = ("cargo-cyclonedx", "0.5.9");

/// What gets into the package: the agent, and the program that it carries for the kernel.
const PARTS: [&str; 2] = ["blocker", "blocker-ebpf"];

/// The name, without its suffix, that no file of ours has.
const NAME: &str = "target-package-bill";

/// Writes a bill for each part, and says where they are.
pub(super) fn make(tools: &Path, workspace: &Path, out: &Path) -> Result<Vec<PathBuf>> {
    let mut command = tool(tools, workspace, CARGO_CYCLONEDX);
    command.args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5"]);
    // The tool writes beside the manifest of each member, and has no word for another place.
    command.args(["--override-filename", NAME]);
    let members = members(workspace)?;
    let times = times(&members)?;
    let made = run(&mut command);
    let bills = PARTS.map(|part| out.join(format!("{part}-{}.cdx.json", env!("CARGO_PKG_VERSION"))));
    let gathered = gather(workspace, &members, &bills);
    let put_back = put_back(&times);
    made?;
    gathered?;
    put_back?;
    Ok(bills.into())
}

/// Moves the bills of the parts to their places, and removes the others.
fn gather(workspace: &Path, members: &[PathBuf], bills: &[PathBuf]) -> Result<()> {
    let copy = |(part, bill): (&&str, &PathBuf)| {
        let made = workspace.join(part).join(format!("{NAME}.json"));
        fs::copy(&made, bill).with_context(|| format!("cargo-cyclonedx has written no {}", made.display()))
    };
    let copied: Result<Vec<u64>> = PARTS.iter().zip(bills).map(copy).collect();
    for member in members {
        let file = member.join(format!("{NAME}.json"));
        if file.exists() {
            fs::remove_file(&file).with_context(|| file.display().to_string())?;
        }
    }
    copied.map(drop)
}

/// Folders, and when something was last put into each or taken out.
type Times<'a> = Vec<(&'a Path, SystemTime)>;

fn times(folders: &[PathBuf]) -> Result<Times<'_>> {
    let time = |folder: &PathBuf| fs::metadata(folder)?.modified();
    let times = folders.iter().map(|folder| Ok((folder.as_path(), time(folder)?)));
    times
        .collect::<io::Result<_>>()
        .context("the members' folders cannot be read")
}

/// Makes folders look as old as they were. To cargo a younger one has changed, and it would build the agent anew for the kernel program's.
fn put_back(times: &Times<'_>) -> Result<()> {
    for (folder, time) in times {
        let put = File::open(folder).and_then(|folder| folder.set_modified(*time));
        put.with_context(|| folder.display().to_string())?;
    }
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
