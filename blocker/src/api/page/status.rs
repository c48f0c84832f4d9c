//! `GET /api/status`: how the agent is now.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;

use super::{Page, model};
use crate::api::control::json;
use crate::api::health;

pub(super) async fn status(State(page): State<Arc<Page>>) -> Response {
    let status = page.control.status();
    let history = page.history();
    let jail = |jail: crate::api::model::Jail| model::Jail {
        dropped: history.dropped_now(&jail.name),
        name: jail.name,
        scope: jail.scope,
        failures: jail.failures,
        bans_made: jail.bans_made,
        bans: jail.bans,
        dropped_packets: jail.dropped_packets,
    };
    let told = model::Status {
        problems: health::problems(&status),
        version: status.version,
        started: status.started,
        now: Timestamp::now(),
        dry_run: status.dry_run,
        firewall: status.firewall,
        interfaces: status.interfaces,
        sources: status.sources,
        bans: status.bans,
        enforced_ratio: status.enforced_ratio,
        ledger_durable: status.ledger_durable,
        brake_engaged: status.brake_engaged,
        dropped_packets: status.dropped_packets,
        rate: history.now(),
        jails: status.jails.into_iter().map(jail).collect(),
    };
    json(StatusCode::OK, &told)
}
