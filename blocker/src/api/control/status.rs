//! `GET /v1/status`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::{AboutJail, Control, json};
use crate::api::metrics::JailMetrics;
use crate::api::model;
use crate::ban::JailId;

pub(super) async fn status(State(control): State<Arc<Control>>) -> Response {
    json(StatusCode::OK, &control.status())
}

impl Control {
    /// How the agent is.
    #[must_use]
    pub fn status(&self) -> model::Status {
        let about = self.about();
        let metrics = &self.metrics;
        let seen = metrics.seen();
        let dropped = seen.dropped();
        let jail = |(id, about): (JailId, AboutJail)| {
            let counted = metrics.jail(id);
            let count = |of: fn(&JailMetrics) -> u64| counted.as_deref().map_or(0, of);
            model::Jail {
                failures: count(|jail| jail.failures.get()),
                bans_made: count(|jail| jail.bans.get() + jail.bans_manual.get()),
                bans: count(|jail| u64::try_from(jail.active.get()).unwrap_or_default()),
                dropped_packets: dropped.get(&id).copied().unwrap_or_default(),
                name: about.name,
                scope: about.scope,
                logs: about.logs,
            }
        };
        let jails: Vec<model::Jail> = (0..).map(JailId).zip(about.jails).map(jail).collect();
        model::Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            configuration: about.configuration,
            dry_run: metrics.dry_run.get() != 0,
            firewall: seen.firewall().to_owned(),
            interfaces: seen.interfaces(),
            bans: jails.iter().map(|jail| jail.bans).sum(),
            dropped_packets: jails.iter().map(|jail| jail.dropped_packets).sum(),
            jails,
            broken_jails: about.broken,
            sources: metrics.sources(),
            enforced_ratio: metrics.enforced_ratio(),
            ledger_durable: metrics.durable.get() != 0,
            brake_engaged: metrics.brake.get() != 0,
        }
    }
}
