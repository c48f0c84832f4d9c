//! The control socket: HTTP with JSON over a Unix socket, for root alone.
//!
//! What the metrics know is answered from them, so that the agent is seen even where it is busy; what concerns bans is put to the
//! judge, as an [`Ask`].

mod ask;
mod bans;
mod socket;
mod status;
mod why;

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

pub use self::ask::{Ask, Cursor, Found, Newly, Page, Query, Refusal, Search, Sort, Which};
pub use self::socket::{Socket, bind};
use super::metrics::Metrics;
use super::model;
use super::problem::Problem;

/// Bytes of a request's body.
const BODY: usize = 64 * 1024;
/// How long it may take.
const BODY_TIME: Duration = Duration::from_secs(5);
/// How long the judge is waited for: a comparison of a million bans with nftables takes it some seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the agent is told to do.
#[derive(Debug)]
pub enum Command {
    /// To end.
    Stop,
    /// To read its configuration anew; somebody may want to hear what became of it: what has changed, or what is wrong.
    Reload(Option<oneshot::Sender<Result<model::Reloaded, Vec<String>>>>),
}

/// What of a configuration is told.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Where it comes from.
    pub configuration: String,
    /// The jails that run, in the order of their identities.
    pub jails: Vec<AboutJail>,
    /// The jails that do not.
    pub broken: Vec<String>,
}

/// What is told of a jail.
#[derive(Clone, Debug)]
pub struct AboutJail {
    /// Its name.
    pub name: String,
    /// What its bans cover.
    pub scope: String,
    /// Its logs.
    pub logs: Vec<String>,
}

/// The agent as it is reached from the control socket.
pub struct Control {
    /// Since when it runs.
    pub started: Timestamp,
    /// What it counts.
    pub metrics: Arc<Metrics>,
    /// What it goes by; another after each reload.
    pub about: RwLock<About>,
    /// What it does.
    pub commands: mpsc::Sender<Command>,
    /// Whom it asks.
    pub judge: SyncSender<Ask>,
    /// Has the judge look whether it is asked something.
    pub wake: Box<dyn Fn() + Send + Sync>,
}

/// A method, a path, and what answers.
type Route = (Method, &'static str, MethodRouter<Arc<Control>>);

/// All there is on the control socket. What is added here is added to docs/control.openapi.yaml too; a test compares the two.
fn routes() -> Vec<Route> {
    vec![
        (Method::GET, "/v1/status", get(status::status)),
        (Method::GET, "/v1/bans", get(bans::list)),
        (Method::POST, "/v1/bans", post(bans::ban)),
        (Method::DELETE, "/v1/bans", delete(bans::unban)),
        (Method::GET, "/v1/why", get(why::why)),
        (Method::POST, "/v1/reload", post(reload)),
        (Method::POST, "/v1/stop", post(stop)),
    ]
}

/// The methods and paths that there are.
pub fn paths() -> impl Iterator<Item = (Method, &'static str)> {
    routes().into_iter().map(|(method, path, _)| (method, path))
}

/// The control socket's paths.
pub fn router(control: Arc<Control>) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, (_, path, answers)| router.route(path, answers))
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "there is no such path; docs/control.md has them all",
            )
        })
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the path takes another method")
        })
        .with_state(control)
}

impl Control {
    /// Asks the judge, and waits for the answer.
    pub(crate) async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let busy = || {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "the agent is busy; try again in a moment",
            )
        };
        self.judge.try_send(ask(reply)).map_err(|_| busy())?;
        (self.wake)();
        match timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    async fn command(&self, command: Command) -> Result<(), Problem> {
        let ends = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the agent is about to end");
        self.commands.send(command).await.map_err(|_| ends())
    }

    pub(super) fn about(&self) -> About {
        self.about.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn reload(State(control): State<Arc<Control>>) -> Result<Response, Problem> {
    let (tell, told) = oneshot::channel();
    control.command(Command::Reload(Some(tell))).await?;
    match told.await {
        Ok(Ok(reloaded)) => Ok(json(StatusCode::OK, &reloaded)),
        Ok(Err(problems)) => {
            let detail = "the configuration is not taken over; the agent goes on by that of before";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with(problems))
        }
        Err(_) => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the agent is about to end",
        )),
    }
}

async fn stop(State(control): State<Arc<Control>>) -> Result<StatusCode, Problem> {
    control.command(Command::Stop).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    // What is told has nothing that JSON could not say.
    let text = serde_json::to_vec(value).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/json")], text).into_response()
}

/// Reads a request's body.
async fn read<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Problem> {
    let is_json = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.split(';').next().unwrap_or_default().trim() == "application/json");
    if !is_json {
        let detail = "the body must be JSON, and the content type application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body: Bytes = match timeout(BODY_TIME, axum::body::to_bytes(body, BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let detail = format!("the body must be whole, and of at most {BODY} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        Err(_) => {
            return Err(Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not come in time",
            ));
        }
    };
    serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body is not understood: {error}")))
}
