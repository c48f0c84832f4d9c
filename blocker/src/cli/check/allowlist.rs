//! What the allowlist comes to, as far as `blocker check` can tell.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use ipnet::IpNet;

use crate::ban::Subject;
use crate::config::Settings;
use crate::dns::{Dns, Source, look_up_all};

/// Networks of a source that are shown.
const SHOWN: usize = 8;

/// What names and SPF records came to.
#[derive(Default)]
pub(super) struct LookedUp {
    pub(super) found: BTreeMap<Source, Vec<IpNet>>,
    /// Sources without an answer.
    pub(super) problems: Vec<String>,
    /// What was left out of SPF records.
    pub(super) warnings: Vec<String>,
}

/// Looks up everything that the configuration names.
pub(super) fn look_up(settings: &Settings) -> Result<LookedUp> {
    let ignored = settings.jails.iter().flat_map(|jail| &jail.ignored_names);
    let sources: BTreeSet<Source> = settings.allow_looked_up.iter().chain(ignored).cloned().collect();
    let mut looked_up = LookedUp::default();
    if sources.is_empty() {
        return Ok(looked_up);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let sources = sources.into_iter().collect();
        look_up_all(Dns::of_the_machine(), sources, |source, result| match result {
            Ok(found) => {
                looked_up
                    .problems
                    .extend(found.missing.map(|missing| problem(&source, &missing)));
                let warnings = found.warnings.into_iter().map(|warning| format!("{source}: {warning}"));
                looked_up.warnings.extend(warnings);
                looked_up.found.insert(source, found.networks);
            }
            Err(error) => looked_up.problems.push(problem(&source, &error.to_string())),
        })
        .await;
    });
    looked_up.problems.sort_unstable();
    Ok(looked_up)
}

fn problem(source: &Source, error: &str) -> String {
    format!(
        "{source}: {error}; correct the name, or see to the DNS: until it answers, the agent goes by its last answer"
    )
}

/// One line for what is written down, and one for each that is looked up.
pub(super) fn lines(settings: &Settings, found: &BTreeMap<Source, Vec<IpNet>>) -> Vec<String> {
    let mut lines = Vec::new();
    let written = match settings.allow.as_slice() {
        [] => String::new(),
        networks => format!("{}, and ", shown(networks)),
    };
    lines.push(format!("allowlist: {written}the machine's own addresses"));
    let mut add = |whose: &str, source: &Source| {
        if let Some(networks) = found.get(source) {
            lines.push(format!("{whose}: {source}: {}", shown(networks)));
        }
    };
    for source in &settings.allow_looked_up {
        add("allowlist", source);
    }
    for jail in &settings.jails {
        for source in &jail.ignored_names {
            add(&format!("jail {} ignores", jail.name), source);
        }
    }
    lines
}

fn shown(networks: &[IpNet]) -> String {
    let texts = networks
        .iter()
        .take(SHOWN)
        .map(|network| Subject::from(*network).to_string());
    let mut text = texts.collect::<Vec<String>>().join(" ");
    if networks.len() > SHOWN {
        text += &format!(" and {} more networks", networks.len() - SHOWN);
    }
    text
}
