//! `blocker check`: what start-up would find, without starting.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::Options;
use crate::config::FirewallChoice;
use crate::machine;

pub(super) fn check(options: Options) -> Result<ExitCode> {
    let settings = options.settings()?;
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
    let problems = machine::problems(settings.firewall, &interfaces, &settings.jails);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    println!("all is well");
    Ok(ExitCode::SUCCESS)
}
