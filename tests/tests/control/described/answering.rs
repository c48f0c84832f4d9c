//! Questions, and an agent's API without the agent behind it, for the answers that need a machine in distress.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blocker::api::connections;
use blocker::api::control::{self, About, Ask, Control, Refusal};
use blocker::api::metrics::Metrics;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

/// How long an answer may take; a body is waited for, for some seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request.
#[derive(Clone)]
pub(super) struct Question {
    pub(super) method: &'static str,
    target: &'static str,
    kind: &'static str,
    body: String,
    /// Bytes of the body that are promised and never come.
    missing: usize,
}

impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {:.100}", self.method, self.target, self.body)
    }
}

impl Question {
    pub(super) fn new(method: &'static str, target: &'static str) -> Self {
        Self {
            method,
            target,
            kind: "application/json",
            body: String::new(),
            missing: 0,
        }
    }

    pub(super) fn with(self, body: &str) -> Self {
        Self {
            body: body.to_owned(),
            ..self
        }
    }

    pub(super) fn of_kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    pub(super) fn unfinished(self) -> Self {
        Self { missing: 1, ..self }
    }

    /// Without the query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) kind: String,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Asks on a socket. By HTTP/1.0 the answer comes in one piece.
pub(super) fn ask(socket: &Path, question: &Question) -> Answer {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "{} {} HTTP/1.0\r\nHost: blocker\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
        question.method,
        question.target,
        question.kind,
        question.body.len() + question.missing
    );
    // It may have answered before all was written.
    let _ = stream.write_all(&[head.as_bytes(), question.body.as_bytes()].concat());
    let mut bytes = Vec::new();
    // What was not read of a request has the kernel cut off what follows the answer.
    let _ = stream.read_to_end(&mut bytes);
    let _ = stream.shutdown(Shutdown::Both);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{question:?}: {text:?}"));
    let kind = head.lines().find_map(|line| line.strip_prefix("content-type: "));
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        kind: kind.unwrap_or_default().to_owned(),
        body: body.to_owned(),
    }
}

/// The API, with nobody or somebody simple behind it.
pub(super) struct Answering {
    socket: PathBuf,
    _end: oneshot::Sender<()>,
}

impl Answering {
    /// With a ledger behind it that is full.
    pub(super) fn full(socket: &Path) -> Self {
        let (judge, asks) = sync_channel(1);
        let asks: Mutex<Receiver<Ask>> = Mutex::new(asks);
        let refuse = move || {
            if let Ok(Ask::Ban(_, reply)) = asks.lock().unwrap().try_recv() {
                reply.send(Err(Refusal::Full)).unwrap();
            }
        };
        Self::begin(socket, judge, Box::new(refuse))
    }

    /// With nobody behind it any more.
    pub(super) fn gone(socket: &Path) -> Self {
        let (judge, _) = sync_channel(1);
        Self::begin(socket, judge, Box::new(|| {}))
    }

    fn begin(socket: &Path, judge: std::sync::mpsc::SyncSender<Ask>, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        let (commands, _) = mpsc::channel(1);
        let metrics = Metrics::new(&["spam".to_owned()], &[], Arc::default());
        let control = Arc::new(Control {
            started: Timestamp::now(),
            metrics: Arc::new(metrics),
            about: About::default().into(),
            commands,
            judge,
            wake,
        });
        let (end, ended) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let path = socket.to_owned();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let socket = control::bind(&path).unwrap();
                ready.send(()).unwrap();
                tokio::select! {
                    () = connections::serve(socket, control::router(control)) => {}
                    _ = ended => {}
                }
            });
        });
        is_ready.recv_timeout(PATIENCE).unwrap();
        Self {
            socket: socket.to_owned(),
            _end: end,
        }
    }

    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }
}
