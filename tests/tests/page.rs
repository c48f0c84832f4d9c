//! The page: a real browser looks at the real agent, and at what attackers have had it show.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

#[path = "page/below_a_path.rs"]
mod below_a_path;
#[path = "page/browser.rs"]
mod browser;
#[path = "page/hostile.rs"]
mod hostile;
#[path = "page/keyboard.rs"]
mod keyboard;
#[path = "page/looks.rs"]
mod looks;
#[path = "page/many.rs"]
mod many;
#[path = "page/requests.rs"]
mod requests;
#[path = "page/restart.rs"]
mod restart;
#[path = "page/shown.rs"]
mod shown;
#[path = "page/vendored.rs"]
mod vendored;
#[path = "page/webdriver.rs"]
mod webdriver;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::process::Output;

use blocker_lab::network::SPAMMERS;
use blocker_tests::agent::program;
use blocker_tests::relay::Relay;
use serde_json::Value;

const FIRST: IpAddr = IpAddr::V4(SPAMMERS[0]);
const SECOND: IpAddr = IpAddr::V4(SPAMMERS[1]);

fn blocker(relay: &Relay, arguments: &[&str]) -> Output {
    let mut command = relay.lab.relay().command(program());
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// What a command prints, one JSON object a line.
fn objects(relay: &Relay, arguments: &[&str]) -> Vec<Value> {
    let text = String::from_utf8(blocker(relay, arguments).stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Sends a request to the metrics address, and gives the answer's head and body.
fn exchange(relay: &Relay, request: &str) -> (String, String) {
    let exchange = || {
        let mut stream = TcpStream::connect(("127.0.0.1", 9919)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = relay.lab.relay().enter(exchange).unwrap();
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{request}: {answer}"));
    (head.to_lowercase(), body.to_owned())
}

/// What the page would be told.
fn api(relay: &Relay, path: &str) -> Value {
    // By HTTP/1.0 the answer comes in one piece.
    let (head, body) = exchange(relay, &format!("GET /api/{path} HTTP/1.0\r\nHost: localhost\r\n\r\n"));
    assert!(head.contains(" 200 "), "{path}: {head}\n{body}");
    serde_json::from_str(&body).unwrap()
}
