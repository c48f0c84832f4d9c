//! `blocker check`: what start-up would find, without starting.

mod allowlist;

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use super::{Options, written};
use crate::config::{FirewallChoice, OnBroken, Settings};
use crate::firewall::interfaces::{self, Chosen};
use crate::firewall::xdp::Sizes;
use crate::machine;
use crate::problem::printable;

pub(super) fn check(options: Options) -> Result<ExitCode> {
    let settings = options.settings(OnBroken::Refuse)?;
    let mut problems = machine::problems(settings.firewall, &settings.interfaces, &settings.jails);
    let looked_up = allowlist::look_up(&settings)?;
    problems.extend(looked_up.problems);
    let present = interfaces::list().context("cannot list the network interfaces")?;
    let chosen = Chosen::new(&settings.interfaces).among(&present, |_| false);
    let interfaces: Vec<String> = chosen.into_iter().map(|interface| interface.name.clone()).collect();
    let mut out = io::stdout().lock();
    let told = tell(&settings, &interfaces, &mut out).and_then(|()| {
        let lines = allowlist::lines(&settings, &looked_up.found);
        lines.iter().try_for_each(|line| writeln!(out, "{}", printable(line)))?;
        warn(&settings, &looked_up.warnings, &mut out)
    });
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    written(told.and_then(|()| conclude(settings.warnings.0.len() + looked_up.warnings.len(), &mut out)))
}

/// Says what the configuration comes to.
fn tell(settings: &Settings, interfaces: &[String], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "configuration: {}", printable(&settings.source))?;
    for jail in &settings.jails {
        let logs: Vec<String> = jail.logs.iter().map(ToString::to_string).collect();
        let logs = printable(&logs.join(", "));
        writeln!(out, "jail {}: bans on {}, reads {logs}", jail.name, jail.scope)?;
    }
    let firewall = match settings.firewall {
        FirewallChoice::Auto => "xdp, or nftables where that cannot be attached",
        FirewallChoice::Xdp => "xdp",
        FirewallChoice::Nftables => "nftables",
    };
    writeln!(
        out,
        "firewall: {firewall}; interfaces: {}",
        printable(&interfaces.join(" "))
    )?;
    if settings.firewall != FirewallChoice::Nftables {
        let Sizes { addresses, networks } = settings.sizes;
        let megabytes = settings.sizes.memory().div_ceil(1_000_000);
        writeln!(
            out,
            "xdp: room for {addresses} addresses and {networks} networks of each kind; {megabytes} MB of the kernel's memory"
        )?;
    }
    Ok(())
}

/// Says what is doubtful, in the configuration and in what it has looked up.
fn warn(settings: &Settings, looked_up: &[String], out: &mut impl Write) -> io::Result<()> {
    for warning in looked_up {
        writeln!(out, "\nwarning: {}", printable(warning))?;
    }
    for warning in &settings.warnings.0 {
        let (place, what) = (warning.place.to_string(), &warning.what);
        writeln!(out, "\nwarning: {}: {}", printable(&place), printable(what))?;
        if !warning.hint.is_empty() {
            writeln!(out, "         {}", printable(&warning.hint))?;
        }
    }
    Ok(())
}

fn conclude(warnings: usize, out: &mut impl Write) -> io::Result<()> {
    match warnings {
        0 => writeln!(out, "all is well"),
        1 => writeln!(out, "\nall is well, but for the warning above"),
        warnings => writeln!(out, "\nall is well, but for the {warnings} warnings above"),
    }
}
