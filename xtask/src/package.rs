//! `cargo xtask package`: the Debian package, and beside it what it is made of.
//!
//! Everything that is made on the way is staged below `target/package/stage`, from where cargo-deb takes it by the list in
//! `blocker/Cargo.toml`. Nothing but the agent and text gets into the package; nothing that is made is committed.

mod bill;
mod licences;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::setup::cargo_tool::{Features, Speed};
use crate::setup::{self, cargo_tool};
use crate::{cargo, workspace};

/// The tool that makes the package.
const CARGO_DEB: (&str, &str) = ("cargo-deb", "3.8.0");

/// What was asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Package the unoptimised build that the tests use, into target/package/debug
    #[arg(long)]
    debug: bool,

    /// Debian's revision of this version
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    revision: u32,

    /// Print one JSON object on standard output at the end: the files with their sizes
    #[arg(long)]
    json: bool,
}

/// Builds and packages.
pub(crate) fn package(arguments: &Arguments) -> Result<()> {
    setup::setup()?;
    let tools = prepare()?;
    let workspace = workspace()?;
    let folder = workspace.join("target/package");
    let out = if arguments.debug {
        folder.join("debug")
    } else {
        folder.clone()
    };
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    // There is one stage for all.
    let lock = File::create(folder.join("lock")).with_context(|| folder.display().to_string())?;
    lock.lock().context("target/package/lock")?;

    let programs = build(&workspace, arguments.debug)?;
    let stage = folder.join("stage");
    let _ = fs::remove_dir_all(&stage);
    fs::create_dir_all(&stage).with_context(|| stage.display().to_string())?;
    // cargo-deb strips only what lies where cargo has put it, and wants no unoptimised builds.
    run(Command::new("strip")
        .args([
            "--strip-unneeded",
            "--remove-section=.comment",
            "--remove-section=.note",
            "-o",
        ])
        .args([stage.join("blocker"), programs.join("blocker")]))?;
    run(Command::new(programs.join("blocker-manual")).arg(stage.join("share")))?;
    let bills = bill::make(&tools, &workspace, &out)?;
    for bill in &bills {
        let to = stage.join(bill.file_name().context("a bill is a file")?);
        fs::copy(bill, &to).with_context(|| to.display().to_string())?;
    }
    licences::make(&workspace, &bills, &stage)?;
    let mut files = vec![make(&tools, &workspace, &out, arguments)?];
    files.extend(bills);
    tell(&files, arguments.json)
}

/// Installs the tools that are missing, and says where they are.
pub(crate) fn prepare() -> Result<PathBuf> {
    let tools = setup::for_packaging()?;
    for tool in [CARGO_DEB, bill::CARGO_CYCLONEDX] {
        cargo_tool::install(&tools, tool, Features::Default, Speed::Least)?;
    }
    Ok(tools)
}

/// Builds the agent and what writes its manual, and says where they are.
fn build(workspace: &Path, debug: bool) -> Result<PathBuf> {
    let mut build = cargo();
    build.args([
        "build",
        "--quiet",
        "--package",
        "blocker",
        "--package",
        "blocker-manual",
    ]);
    if !debug {
        eprintln!("package: building with all optimisation; this takes some minutes the first time");
        build.arg("--release");
    }
    let status = build.status().context("cannot start cargo")?;
    ensure!(status.success(), "the build failed; cargo's words are above");
    Ok(workspace.join(if debug { "target/debug" } else { "target/release" }))
}

/// Has cargo-deb make the package, and says where it is.
fn make(tools: &Path, workspace: &Path, out: &Path, arguments: &Arguments) -> Result<PathBuf> {
    let mut command = tool(tools, workspace, CARGO_DEB);
    command.args([
        "deb",
        "--package",
        "blocker",
        "--no-build",
        "--strip",
        "--locked",
        "--quiet",
    ]);
    command.arg(format!("--deb-revision={}", arguments.revision));
    if arguments.debug {
        // It is large, and is unpacked once.
        command.arg("--fast");
    }
    // It prints where the package is in its last line.
    let said = run(command.arg("--output").arg(out))?;
    let path = said.lines().last().unwrap_or_default();
    ensure!(path.ends_with(".deb"), "cargo-deb does not say where the package is");
    Ok(workspace.join(path))
}

/// A tool of cargo's, to be run in the workspace.
fn tool(tools: &Path, workspace: &Path, (name, _): (&str, &str)) -> Command {
    let mut command = Command::new(tools.join("bin").join(name));
    command.current_dir(workspace);
    command
}

/// Runs a command to its end and gives what it printed.
fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| format!("cannot start {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed:\n{}", said.trim_end());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Says what was made, and where.
fn tell(files: &[PathBuf], json: bool) -> Result<()> {
    let mut objects = Vec::new();
    for file in files {
        let bytes = fs::metadata(file).with_context(|| file.display().to_string())?.len();
        eprintln!("package: {}, {bytes} bytes", file.display());
        objects.push(json!({"path": file, "bytes": bytes}));
    }
    if json {
        println!("{}", json!({"files": objects}));
    }
    Ok(())
}
