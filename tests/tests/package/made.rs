//! The package, made once for all tests of the process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// What `cargo xtask package` has made.
pub(super) struct Made {
    /// The package.
    pub(super) package: PathBuf,
    /// The bills of materials: the agent's first.
    pub(super) bills: Vec<PathBuf>,
}

/// The package of this version.
pub(super) fn made() -> &'static Made {
    static MADE: OnceLock<Made> = OnceLock::new();
    MADE.get_or_init(|| make(1))
}

/// The package of the version after this one.
pub(super) fn next() -> &'static Made {
    static NEXT: OnceLock<Made> = OnceLock::new();
    NEXT.get_or_init(|| {
        // There is one stage.
        made();
        make(2)
    })
}

fn make(revision: u32) -> Made {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(env!("CARGO"));
    command
        .current_dir(workspace)
        .args(["xtask", "package", "--debug", "--json"]);
    let output = command.arg(format!("--revision={revision}")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let printed = String::from_utf8_lossy(&output.stdout);
    let last: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let files = last["files"].as_array().unwrap();
    let mut paths = Vec::new();
    for file in files {
        let path = PathBuf::from(file["path"].as_str().unwrap());
        assert_eq!(
            path.metadata().unwrap().len(),
            file["bytes"].as_u64().unwrap(),
            "{file}"
        );
        paths.push(path);
    }
    let package = paths.remove(0);
    assert!(
        package.to_string_lossy().contains(&format!("_0.1.0-{revision}_")),
        "{package:?}"
    );
    Made { package, bills: paths }
}
