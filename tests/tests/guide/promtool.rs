//! Prometheus' own opinion of what it is to be configured with.

use std::process::Command;

use blocker_tests::programs;

/// Has promtool check a configuration.
pub fn check_configuration(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, text).map_err(|error| error.to_string())?;
    let unpacked = programs().with_file_name("tools/prometheus/usr/bin/promtool");
    let promtool = if unpacked.exists() { unpacked } else { "promtool".into() };
    let output = Command::new(promtool).args(["check", "config"]).arg(file).output();
    let output = output.map_err(|error| format!("no promtool, run `cargo xtask setup`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
