//! The one library on the page is what its authors have published, unmodified, with its licence beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// uPlot 1.6.32 from npm: files and their SHA-256.
const UPLOT: [(&str, &str); 3] = [
    (
        "uPlot.iife.min.js",
        "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    ),
    (
        "uPlot.min.css",
        "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    ),
    (
        "LICENSE",
        "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    ),
];

fn web() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("blocker/web")
}

#[test]
fn uplot_is_the_version_that_was_looked_at() {
    for (file, sum) in UPLOT {
        let output = Command::new("sha256sum")
            .arg(web().join("uplot").join(file))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.split(' ').next(), Some(sum), "{file}");
    }
    let script = std::fs::read_to_string(web().join("uplot/uPlot.iife.min.js")).unwrap();
    assert!(script.contains("(v1.6.32)"));
    let licence = std::fs::read_to_string(web().join("uplot/LICENSE")).unwrap();
    assert!(licence.starts_with("The MIT License (MIT)"));
}

#[test]
fn nothing_of_the_page_comes_from_elsewhere_or_becomes_markup() {
    for file in std::fs::read_dir(web()).unwrap() {
        let file = file.unwrap().path();
        if file.is_dir() {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for word in [
            "http:",
            "https:",
            "//cdn",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "style=",
            "onclick",
            "<script>",
            "<style",
            "javascript:",
            "localStorage",
            "sessionStorage",
            "document.cookie",
        ] {
            assert!(!text.contains(word), "{}: {word}", file.display());
        }
        // Below a path of a reverse proxy, what begins with a slash would be somebody else's.
        assert!(
            !text.contains("=\"/") && !text.contains("fetch('/") && !text.contains("from '/"),
            "{}",
            file.display()
        );
    }
}
