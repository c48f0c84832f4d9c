//! WebDriver (W3C), as little of it as these tests need: JSON over HTTP to chromedriver.
//!
//! The libraries for it bring a dependency that is not under our licences, or change how all others write JSON.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use blocker_tests::relay::Relay;
use serde_json::{Value, json};

/// Where chromedriver listens, on the relay.
pub const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9515);
/// By what an element is called in WebDriver's JSON.
pub const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How long the slowest command may take on a machine that builds beside it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser's window.
pub struct Session<'a> {
    relay: &'a Relay,
    path: String,
}

/// Asks chromedriver something; `None` where it does not listen.
///
/// # Panics
///
/// When it is wrong.
pub fn command(relay: &Relay, method: &str, path: &str, body: &Value) -> Option<Result<Value, String>> {
    let exchange = || exchange(method, path, &body.to_string());
    let body = relay.lab.relay().enter(exchange).unwrap().ok()?;
    let mut answer: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"));
    let value = answer["value"].take();
    Some(match value["error"].as_str() {
        Some(error) => Err(format!("{error}: {}", value["message"])),
        None => Ok(value),
    })
}

fn exchange(method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = if method == "POST" { body } else { "" };
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {ADDRESS}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    // It keeps the connection, whatever is asked for.
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or_default();
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

impl<'a> Session<'a> {
    /// Opens a window.
    pub fn new(relay: &'a Relay, capabilities: Value) -> Self {
        let body = json!({"capabilities": {"alwaysMatch": capabilities}});
        let answer = command(relay, "POST", "/session", &body).expect("chromedriver listens");
        let session = answer.unwrap_or_else(|error| panic!("no browser: {error}"));
        let id = session["sessionId"].as_str().unwrap();
        let path = format!("/session/{id}");
        Self { relay, path }
    }

    /// Has the browser do something, and gives what comes of it.
    pub fn try_post(&self, path: &str, body: &Value) -> Result<Value, String> {
        command(self.relay, "POST", &format!("{}/{path}", self.path), body).expect("chromedriver lives")
    }

    /// As [`Session::try_post`], where nothing may go wrong.
    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.try_post(path, body)
            .unwrap_or_else(|error| panic!("{path} {body}: {error}"))
    }

    /// Asks the browser for something.
    pub fn get(&self, path: &str) -> Result<Value, String> {
        command(self.relay, "GET", &format!("{}/{path}", self.path), &Value::Null).expect("chromedriver lives")
    }

    /// Closes the window.
    pub fn close(&self) {
        // It may be gone.
        let _ = command(self.relay, "DELETE", &self.path, &Value::Null);
    }
}
