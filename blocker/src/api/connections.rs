//! Serves HTTP on a listener to so many at a time, none of whom can keep others from it.
//!
//! Whoever says nothing, or does not take his answer, is cut off; and where there are too many, the one who came first.

use std::collections::VecDeque;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// Connections at a time.
const MOST: usize = 128;
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may last, whatever is said on it: long enough for a million bans on a slow line.
const LONGEST: Duration = Duration::from_secs(600);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;

/// Serves `router` to whom `listener` lets in, for as long as it is polled.
pub async fn serve<L>(mut listener: L, router: Router)
where
    L: Listener,
    L::Io: Send + Unpin + 'static,
{
    let mut connections: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let (io, _) = listener.accept().await;
        connections.retain(|connection| !connection.is_finished());
        while connections.len() >= MOST {
            if let Some(first) = connections.pop_front() {
                first.abort();
            }
        }
        let service = TowerToHyperService::new(router.clone());
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_BYTES)
            .keep_alive(false);
        let connection = http.serve_connection(TokioIo::new(io), service);
        // Whatever ends it, it is the client's business.
        let task = tokio::spawn(async move {
            let _ = timeout(LONGEST, connection).await;
        });
        connections.push_back(task.abort_handle());
    }
}
