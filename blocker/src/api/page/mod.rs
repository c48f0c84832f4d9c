//! The page: what the agent does, for a browser, beside the metrics.
//!
//! It looks and changes nothing. What it tells is bounded, whatever is asked: bans are searched, sorted and cut by the judge, one question at
//! a time. Files are compiled in; docs/page.md says what is shown to whom. What could change anything may not enter.

mod bans;
mod files;
mod guard;
mod history;
mod model;
mod status;
mod turns;
mod why;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::get;
use axum::{Router, middleware};
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use self::history::History;
use self::turns::Turns;
use super::control::Control;
use super::problem::Problem;
use crate::config::PageSettings;

/// How often it is noted what has happened: all that the page costs where nobody looks.
const TICK: Duration = Duration::from_secs(5);

/// The page of an agent.
pub struct Page {
    control: Arc<Control>,
    served: RwLock<Served>,
    history: Mutex<History>,
    turns: Turns,
}

/// How it is served.
#[derive(Clone, Debug, Default)]
struct Served {
    address: Option<SocketAddr>,
    settings: PageSettings,
}

impl Page {
    /// The page of this agent, which is not served yet.
    #[must_use]
    pub fn new(control: Arc<Control>) -> Self {
        Self {
            control,
            served: RwLock::default(),
            history: Mutex::default(),
            turns: Turns::new(),
        }
    }

    /// Is served so from now on, beside the metrics at that address.
    pub fn serve_as(&self, address: Option<SocketAddr>, settings: PageSettings) {
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Served { address, settings };
    }

    /// Notes again and again what has happened, for as long as it is polled.
    pub async fn keep_history(&self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            if self.served().is_on() {
                let status = self.control.status();
                self.history().put(Instant::now(), Timestamp::now(), &status);
            }
        }
    }

    fn served(&self) -> Served {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Served {
    fn is_on(&self) -> bool {
        self.address.is_some_and(|address| self.settings.is_served(address))
    }
}

/// Everything on the metrics address: the page, and whatever is `beside` it.
pub fn router(page: &Arc<Page>, beside: Router) -> Router {
    let data = Router::new()
        .route("/api/status", get(status::status))
        .route("/api/history", get(history::history))
        .route("/api/bans", get(bans::bans))
        .route("/api/why", get(why::why))
        .route_layer(middleware::from_fn(guard::from_itself));
    let page = files::routes()
        .merge(data)
        .route_layer(from_fn_with_state(Arc::clone(page), guard::by_its_name))
        .with_state(Arc::clone(page));
    beside
        .merge(page)
        .fallback(async || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "there is no such path; docs/page.md has them all",
            )
        })
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "nothing can be changed here; `blocker` on the relay's command line can",
            )
        })
        .layer(map_response(guard::with_headers))
}
