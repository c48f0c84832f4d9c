//! `blocker bans`, `ban` and `unban`.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::ValueEnum;
use jiff::Timestamp;

use super::client::{Client, Where};
use super::figures::{grouped, since};
use super::{json, written};
use crate::api::model::{Ban, Banned, NewBan, Unbanned};
use crate::problem::printable;

/// What `bans` takes.
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Only bans that cover this address
    address: Option<String>,
    /// Only bans of this jail
    #[arg(long)]
    jail: Option<String>,
    /// Only bans within this network
    #[arg(long, value_name = "NETWORK")]
    network: Option<String>,
    /// In which order
    #[arg(long, value_enum, default_value_t)]
    sort: Sort,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    #[command(flatten)]
    place: Where,
    /// Print one JSON object a ban
    #[arg(long)]
    json: bool,
}

/// An order of bans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Sort {
    /// The latest first
    #[default]
    Since,
    /// The one that ends first, first
    Until,
    /// The one with the most failures first
    Failures,
    /// The one with the most packets first, 10,000 at most
    Packets,
    /// By address
    Address,
}

impl Sort {
    const fn name(self) -> &'static str {
        match self {
            Self::Since => "since",
            Self::Until => "until",
            Self::Failures => "failures",
            Self::Packets => "packets",
            Self::Address => "address",
        }
    }
}

/// What `ban` takes.
#[derive(Debug, clap::Args)]
pub(super) struct BanArguments {
    /// An address, or a network as in 192.0.2.0/24
    address: String,
    /// The jail whose ports are closed to it [default: all jails]
    #[arg(long)]
    jail: Option<String>,
    /// For how long, as in `10m`, `1h`, `2d` [default: as long as the jail bans]
    #[arg(long = "for", value_name = "TIME")]
    length: Option<String>,
    #[command(flatten)]
    place: Where,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What `unban` takes.
#[derive(Debug, clap::Args)]
#[group(id = "which", required = true, multiple = true)]
pub(super) struct UnbanArguments {
    /// Lift bans that cover this address, or lie within this network
    #[arg(group = "which")]
    address: Option<String>,
    /// Only those of this jail; without an address, all of them
    #[arg(long, group = "which")]
    jail: Option<String>,
    #[command(flatten)]
    place: Where,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn list(arguments: &ListArguments) -> Result<ExitCode> {
    let mut query = vec![("sort", arguments.sort.name().to_owned())];
    for (name, value) in [
        ("address", &arguments.address),
        ("jail", &arguments.jail),
        ("network", &arguments.network),
    ] {
        query.extend(value.clone().map(|value| (name, value)));
    }
    query.extend(arguments.limit.map(|limit| ("limit", limit.to_string())));
    let now = Timestamp::now();
    let mut out = BufWriter::new(io::stdout().lock());
    let mut result = Ok(());
    let mut count = 0_u64;
    Client::new(&arguments.place)?.lines("/v1/bans", &query, |line| {
        result = if arguments.json {
            writeln!(out, "{}", json::safe(line))
        } else {
            let ban: Ban = serde_json::from_str(line).context("the agent's answer is not understood")?;
            let heading = if count == 0 { heading() } else { String::new() };
            writeln!(out, "{heading}{}", row(&ban, now))
        };
        count += 1;
        Ok(result.is_ok())
    })?;
    let result = result.and_then(|()| out.flush());
    if count == 0 && !arguments.json {
        return written(result.and_then(|()| writeln!(out, "no ban is in force{}", of(arguments))));
    }
    written(result)
}

fn of(arguments: &ListArguments) -> &'static str {
    let asks = arguments.address.is_some() || arguments.jail.is_some() || arguments.network.is_some();
    if asks { " that you ask for" } else { "" }
}

fn heading() -> String {
    format!(
        "{:<39}  {:<16}  {:>8}  {:>9}  {:>8}  {:>11}  last knock\n",
        "address", "jail", "since", "ends in", "failures", "packets"
    )
}

fn row(ban: &Ban, now: Timestamp) -> String {
    let ends = ban.until.map_or_else(|| "never".to_owned(), |until| since(now, until));
    let jail = if ban.origin == "manual" {
        format!("{} (by hand)", ban.jail)
    } else {
        ban.jail.clone()
    };
    let note = if ban.enforced { "" } else { "  NOT ENFORCED" };
    format!(
        "{:<39}  {:<16}  {:>8}  {:>9}  {:>8}  {:>11}  {}{note}",
        printable(&ban.address).to_string(),
        printable(&jail).to_string(),
        since(ban.since, now),
        ends,
        ban.failures,
        ban.packets.map_or_else(|| "?".to_owned(), grouped),
        ban.last_knock
            .map_or_else(|| "-".to_owned(), |last| format!("{} ago", since(last, now))),
    )
}

pub(super) fn ban(arguments: BanArguments) -> Result<ExitCode> {
    let seconds = match &arguments.length {
        None => None,
        Some(text) => {
            let length =
                crate::config::length(text).map_err(|error| anyhow!("--for: {error}; write as in 10m, 1h, 2d"))?;
            ensure!(length.as_secs() > 0, "--for {text}: a ban lasts longer than that");
            Some(length.as_secs().unsigned_abs())
        }
    };
    let new = NewBan {
        address: arguments.address,
        jail: arguments.jail,
        seconds,
    };
    let banned: Banned = Client::new(&arguments.place)?.post("/v1/bans", &new)?;
    let mut out = io::stdout().lock();
    if arguments.json {
        return written(json::write(&banned, &mut out));
    }
    let now = Timestamp::now();
    for ban in &banned.bans {
        let (address, jail) = (printable(&ban.address), printable(&ban.jail));
        let ends = ban.until.map_or_else(
            || "without an end".to_owned(),
            |until| format!("for {}", since(now, until)),
        );
        let enforced = if ban.enforced {
            ""
        } else {
            ", and the kernel does not enforce it yet"
        };
        if let Err(error) = writeln!(out, "{address} is banned by {jail} {ends}{enforced}") {
            return written(Err(error));
        }
    }
    written(writeln!(
        out,
        "undo it with `blocker unban {}`",
        printable(&new.address)
    ))
}

pub(super) fn unban(arguments: &UnbanArguments) -> Result<ExitCode> {
    let mut query: Vec<(&str, String)> = Vec::new();
    if let Some(address) = &arguments.address {
        let is_network = address.contains('/');
        query.push((if is_network { "network" } else { "address" }, address.clone()));
    }
    query.extend(arguments.jail.clone().map(|jail| ("jail", jail)));
    let unbanned: Unbanned = Client::new(&arguments.place)?.delete("/v1/bans", &query)?;
    let mut out = io::stdout().lock();
    if arguments.json {
        return written(json::write(&unbanned, &mut out));
    }
    match unbanned.lifted {
        0 => written(writeln!(
            out,
            "no ban is in force that you ask for; `blocker bans` shows them"
        )),
        1 => written(writeln!(out, "1 ban is lifted")),
        lifted => written(writeln!(out, "{} bans are lifted", grouped(lifted))),
    }
}
