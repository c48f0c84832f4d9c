//! `blocker check`: what start-up would find, without starting.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::Options;
use crate::config::{FirewallChoice, OnBroken};
use crate::machine;

pub(super) fn check(options: Options) -> Result<ExitCode> {
    let settings = options.settings(OnBroken::Refuse)?;
    println!("configuration: {}", settings.source);
    for jail in &settings.jails {
        let logs: Vec<String> = jail.logs.iter().map(|log| log.display().to_string()).collect();
        println!("jail {}: bans on {}, reads {}", jail.name, jail.scope, logs.join(" "));
    }
    let interfaces = match settings.interfaces.as_slice() {
        [] => machine::default_interfaces(),
        named => named.to_vec(),
    };
    let firewall = match settings.firewall {
        FirewallChoice::Auto => "xdp, or nftables where that cannot be attached",
        FirewallChoice::Xdp => "xdp",
        FirewallChoice::Nftables => "nftables",
    };
    println!("firewall: {firewall}; interfaces: {}", interfaces.join(" "));
    for warning in &settings.warnings.0 {
        println!("\nwarning: {}: {}", warning.place, warning.what);
        if !warning.hint.is_empty() {
            println!("         {}", warning.hint);
        }
    }
    let problems = machine::problems(settings.firewall, &interfaces, &settings.jails);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    match settings.warnings.0.len() {
        0 => println!("all is well"),
        1 => println!("\nall is well, but for the warning above"),
        warnings => println!("\nall is well, but for the {warnings} warnings above"),
    }
    Ok(ExitCode::SUCCESS)
}
