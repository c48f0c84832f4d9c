//! Talks to the running agent over its control socket.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::api::model;
use crate::instance::Namespace;
use crate::problem::printable;

/// How long the agent may say nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long an agent may take to hear what it is told to do.
const SOON: Duration = Duration::from_secs(3);

/// Where the agent is to be found.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Where {
    /// The agent's control socket [default: that of the agent in this network namespace]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// There is no agent to talk to.
#[derive(Debug, thiserror::Error)]
#[error(
    "no agent runs here: nobody answers on {}; start it with `systemctl start blocker`, or `blocker run` as root",
    .0.display()
)]
pub(super) struct NoAgent(PathBuf);

/// The agent has refused.
#[derive(Debug, thiserror::Error)]
#[error("{}", said(.0))]
pub(super) struct Refused(model::Problem);

/// What the agent has said, without what could move a cursor.
fn said(problem: &model::Problem) -> String {
    let problems = problem.problems.iter().map(|one| format!("\n{}", printable(one)));
    printable(&problem.detail).to_string() + &problems.collect::<String>()
}

/// A client of the agent.
pub(super) struct Client {
    socket: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    /// A client of the agent that is meant.
    pub(super) fn new(place: &Where) -> Result<Self> {
        let socket = match &place.socket {
            Some(socket) => socket.clone(),
            None => Namespace::own()?.socket(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        Ok(Self { socket, runtime })
    }

    /// What the agent says to a question.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T> {
        self.whole(Method::GET, &with(path, query), None)
    }

    /// What it says to a request with a body.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.whole(Method::POST, path, Some(serde_json::to_vec(body)?))
    }

    /// What it says when something is to go.
    pub(super) fn delete<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T> {
        self.whole(Method::DELETE, &with(path, query), None)
    }

    /// Has the agent do something of which nothing more is said. Whether it hears that shows soon.
    pub(super) fn tell(&self, path: &str) -> Result<()> {
        let told = self.exchange(Method::POST, path, None, |_| Ok(true));
        let told = self.runtime.block_on(async { timeout(SOON, told).await });
        told.context("the agent does not answer")?
    }

    /// Hands each line of an answer on, until that says stop.
    pub(super) fn lines(
        &self,
        path: &str,
        query: &[(&str, String)],
        mut each: impl FnMut(&str) -> Result<bool>,
    ) -> Result<()> {
        let mut rest: Vec<u8> = Vec::new();
        self.request(Method::GET, &with(path, query), None, |chunk| {
            rest.extend_from_slice(chunk);
            let mut from = 0;
            while let Some(end) = rest[from..].iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&rest[from..from + end]);
                if !each(&line)? {
                    return Ok(false);
                }
                from += end + 1;
            }
            rest.drain(..from);
            Ok(true)
        })
    }

    fn whole<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Result<T> {
        let mut all: Vec<u8> = Vec::new();
        self.request(method, path, body, |chunk| {
            all.extend_from_slice(chunk);
            Ok(true)
        })?;
        serde_json::from_slice(&all).context("the agent's answer is not understood; is it of another version?")
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        each: impl FnMut(&[u8]) -> Result<bool>,
    ) -> Result<()> {
        self.runtime.block_on(self.exchange(method, path, body, each))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        mut each: impl FnMut(&[u8]) -> Result<bool>,
    ) -> Result<()> {
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // How it ends shows in the answer.
        tokio::spawn(async move { drop(connection.await) });
        let mut request = Request::builder().method(method).uri(path).header(HOST, "blocker");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::<Bytes>::from(body.unwrap_or_default()))?;
        let answer = timeout(PATIENCE, sender.send_request(request)).await;
        let answer = answer
            .context("the agent does not answer")?
            .context("the agent broke off")?;
        let status = answer.status();
        let mut body = answer.into_body();
        let mut problem: Vec<u8> = Vec::new();
        loop {
            let frame = timeout(PATIENCE, body.frame())
                .await
                .context("the agent does not go on")?;
            let Some(frame) = frame else { break };
            let frame = frame.context("the agent broke off")?;
            let Some(chunk) = frame.data_ref() else { continue };
            if !status.is_success() {
                problem.extend_from_slice(chunk);
            } else if !each(chunk)? {
                return Ok(());
            }
        }
        refusal(status, &problem)
    }

    async fn connect(&self) -> Result<UnixStream> {
        match UnixStream::connect(&self.socket).await {
            Ok(stream) => Ok(stream),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Err(NoAgent(self.socket.clone()).into()),
                io::ErrorKind::PermissionDenied => bail!(
                    "{}: the agent answers root alone; try again with sudo",
                    self.socket.display()
                ),
                _ => Err(error).with_context(|| format!("{}: cannot be connected to", self.socket.display())),
            },
        }
    }
}

fn refusal(status: StatusCode, problem: &[u8]) -> Result<()> {
    if status.is_success() {
        return Ok(());
    }
    match serde_json::from_slice::<model::Problem>(problem) {
        Ok(problem) => Err(Refused(problem).into()),
        Err(_) => bail!("the agent answers {status}"),
    }
}

fn with(path: &str, query: &[(&str, String)]) -> String {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    encoded.extend_pairs(query);
    match encoded.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}
