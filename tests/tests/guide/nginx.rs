//! nginx' own opinion of what it is to be configured with.

use std::process::Command;

use blocker_tests::programs;

/// Has nginx check a part of a `server`.
pub fn check_server(text: &str) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    // Everything that nginx makes even to check lies in its prefix.
    let whole = format!(
        "pid pid;\nevents {{}}\nhttp {{\naccess_log off;\nclient_body_temp_path body;\nproxy_temp_path proxy;\n\
         fastcgi_temp_path fastcgi;\nuwsgi_temp_path uwsgi;\nscgi_temp_path scgi;\nserver {{\nlisten unix:{}/socket;\n{text}\n}}\n}}\n",
        folder.path().display()
    );
    std::fs::write(folder.path().join("nginx.conf"), whole).map_err(|error| error.to_string())?;
    let unpacked = programs().with_file_name("tools/nginx/usr/sbin/nginx");
    let nginx = if unpacked.exists() { unpacked } else { "nginx".into() };
    let mut check = Command::new(nginx);
    check.args(["-t", "-q", "-e", "stderr", "-c", "nginx.conf", "-p"]);
    let output = check.arg(folder.path()).output();
    let output = output.map_err(|error| format!("no nginx, run `cargo xtask setup`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
