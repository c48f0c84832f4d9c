//! `blocker check`: what start-up would find, without starting.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::Options;
use crate::config::{FirewallChoice, OnBroken};
use crate::machine;

pub(super) fn check(options: Options) -> Result<ExitCode> {
    let settings = options.settings(OnBroken::Refuse)?;
    println!("configuration: {}", settings.source);
    for warning in &settings.warnings.0 {
        println!("warning: {warning}");
    }
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
    let problems = machine::problems(settings.firewall, &interfaces, &settings.jails);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    match settings.warnings.0.len() {
        0 => println!("all is well"),
        warnings => println!("it can run; warnings to look at: {warnings}"),
    }
    Ok(ExitCode::SUCCESS)
}
