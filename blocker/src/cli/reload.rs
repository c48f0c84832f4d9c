//! `blocker reload`: has the agent read its configuration anew.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Result;

use super::client::{Client, Where};
use super::{json, written};
use crate::api::model::Reloaded;
use crate::problem::printable;

/// What `reload` takes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    place: Where,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn reload(arguments: &Arguments) -> Result<ExitCode> {
    let reloaded: Reloaded = Client::new(&arguments.place)?.post("/v1/reload", &())?;
    let mut out = io::stdout().lock();
    if arguments.json {
        return written(json::write(&reloaded, &mut out));
    }
    let Reloaded { added, removed, lifted } = reloaded;
    let mut text = "the configuration was read anew; jails that stay keep their counts and bans\n".to_owned();
    for (what, jails) in [("new jails", added), ("jails that ended", removed)] {
        if !jails.is_empty() {
            text.push_str(&format!("{what}: {}\n", printable(&jails.join(", "))));
        }
    }
    if lifted > 0 {
        text.push_str(&format!("bans that were lifted with them: {lifted}\n"));
    }
    written(out.write_all(text.as_bytes()))
}
