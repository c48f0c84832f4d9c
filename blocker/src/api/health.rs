//! What is wrong with an agent, from its status: `status`, the live view and the page say the same.

use super::model::Status;
use crate::problem::printable;

/// What somebody should look at.
#[must_use]
pub fn problems(status: &Status) -> Vec<String> {
    let mut problems = Vec::new();
    if status.brake_engaged {
        problems.push(
            "the brake holds: nobody new is banned; has a filter gone wild? the agent's log says more".to_owned(),
        );
    }
    if !status.ledger_durable {
        problems
            .push("bans are not written to disk: a restart would lose the latest; the agent's log says why".to_owned());
    }
    if status.enforced_ratio < 1.0 {
        problems.push("the kernel does not enforce all bans; the agent's log says why".to_owned());
    }
    for one in status.interfaces.iter().filter(|one| one.mode == "nothing") {
        problems.push(format!("nothing enforces bans on {}", printable(&one.interface)));
    }
    for one in status.sources.iter().filter(|one| one.lag_seconds >= 60.0) {
        problems.push(format!(
            "{} is read {:.0} s late, or cannot be read",
            printable(&one.name),
            one.lag_seconds
        ));
    }
    for jail in &status.broken_jails {
        problems.push(format!(
            "jail {} does not run: `blocker check` says why",
            printable(jail)
        ));
    }
    problems
}
