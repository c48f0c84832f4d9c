//! A real Prometheus on the relay that scrapes the agent, and promtool.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use blocker_tests::eventually;
use blocker_tests::programs;
use blocker_tests::relay::Relay;
use serde_json::Value;

const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);
/// Between two scrapes. Short, so that a test does not wait; a scrape under way may take as long.
const CONFIGURATION: &str = "
global: {scrape_interval: 500ms, scrape_timeout: 500ms}
scrape_configs:
  - job_name: blocker
    static_configs: [{targets: ['127.0.0.1:9919']}]
";

/// A running Prometheus; it ends with this value.
pub struct Prometheus<'a> {
    relay: &'a Relay,
    child: Child,
}

/// A file of the workspace.
pub fn workspace(path: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap().join(path)
}

/// One of Prometheus' programs: as `cargo xtask setup` has unpacked it, or on the path.
fn program(name: &str) -> PathBuf {
    let unpacked = programs().with_file_name("tools/prometheus/usr/bin").join(name);
    if unpacked.exists() { unpacked } else { name.into() }
}

/// promtool; without it the test fails with what to do.
pub fn promtool() -> Command {
    let command = Command::new(program("promtool"));
    let there = Command::new(command.get_program()).arg("--version").output();
    assert!(there.is_ok(), "no promtool: run `cargo xtask setup`");
    command
}

/// Runs promtool with something to read. Gives what it said, and whether it was content.
pub fn promtool_on(arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = promtool();
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

impl<'a> Prometheus<'a> {
    /// Starts it on the relay and waits until it has scraped the agent.
    pub fn start(relay: &'a Relay) -> Self {
        let folder = relay.lab.folder().join("prometheus");
        fs::create_dir_all(&folder).unwrap();
        let configuration = folder.join("prometheus.yml");
        fs::write(&configuration, CONFIGURATION).unwrap();
        let mut command = relay.lab.relay().command(program("prometheus"));
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={ADDRESS}"))
            .arg("--log.level=warn")
            .stdout(Stdio::null());
        let child = command.spawn().expect("no prometheus: run `cargo xtask setup`");
        let prometheus = Self { relay, child };
        eventually("Prometheus has scraped the agent", || {
            prometheus.value("up{job=\"blocker\"}") == Some(1.0)
        });
        prometheus
    }

    /// The series that a query comes to, each a map with `metric` and `value`; none while Prometheus does not answer.
    ///
    /// # Panics
    ///
    /// When Prometheus refuses the query.
    pub fn query(&self, query: &str) -> Option<Vec<Value>> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = self
            .relay
            .lab
            .relay()
            .enter(|| get(&format!("/api/v1/query?query={encoded}")));
        let (_, body) = answer.unwrap().ok()?.split_once("\r\n\r\n").map(own)?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().cloned()
    }

    /// The value of the one series that a query comes to.
    pub fn value(&self, query: &str) -> Option<f64> {
        let all = self.query(query)?;
        let [one] = all.as_slice() else { return None };
        one["value"][1].as_str()?.parse().ok()
    }

    /// Waits until a query comes to this value.
    ///
    /// # Panics
    ///
    /// When it does not in time, with what it came to.
    pub fn comes_to(&self, query: &str, value: f64) {
        let mut last = None;
        let deadline = std::time::Instant::now() + blocker_tests::DEADLINE;
        while std::time::Instant::now() < deadline {
            last = self.query(query);
            if self.value(query) == Some(value) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        panic!("{query} does not come to {value}, but to {last:?}");
    }
}

fn own((head, body): (&str, &str)) -> (String, String) {
    (head.to_owned(), body.to_owned())
}

/// By HTTP/1.0 the answer comes in one piece and ends with the connection.
fn get(path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&ADDRESS, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {ADDRESS}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

impl Drop for Prometheus<'_> {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
