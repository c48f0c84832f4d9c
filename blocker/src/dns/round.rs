//! Looks up many sources, some at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Dns, Found, LookupError, Source};

/// Look-ups under way at a time.
const AT_A_TIME: usize = 16;
/// How long one may take, with all the records that an SPF record includes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Looks all of them up, and hands each answer on as it comes. Dropped, it leaves off.
pub async fn look_up_all(dns: Dns, mut sources: Vec<Source>, mut take: impl FnMut(Source, Result<Found, LookupError>)) {
    let dns = Arc::new(dns);
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < AT_A_TIME
            && let Some(source) = sources.pop()
        {
            let dns = Arc::clone(&dns);
            under_way.spawn(async move {
                let result = timeout(PATIENCE, source.look_up(&dns));
                let late = Err(LookupError::Failed("no answer in time".to_owned()));
                let result = result.await.unwrap_or(late);
                (source, result)
            });
        }
        match under_way.join_next().await {
            None => return,
            Some(Ok((source, result))) => take(source, result),
            // A panic was reported where it happened.
            Some(Err(error)) => tracing::error!(%error, "a look-up ended unexpectedly"),
        }
    }
}
