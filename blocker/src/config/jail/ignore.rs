//! Whom a jail ignores: addresses, networks, names, and those of whom a command says so.

use std::time::Duration;

use ipnet::IpNet;

use super::{Reader, boolean, duration, network};
use crate::dns::Source;
use crate::filter::parameters::Named;
use crate::jail::ignore_command::IgnoreCommand;

/// How many hosts a command's word is remembered for, and how long, unless `ignorecache` says otherwise.
const CACHE: (usize, Duration) = (1000, Duration::from_secs(300));
/// fail2ban's for an `ignorecache` that does not say.
const CACHE_COUNT: usize = 100;
/// As many as are remembered at the most.
const MAX_CACHE_COUNT: usize = 100_000;

/// What `ignoreip` lists.
#[derive(Default)]
pub(super) struct Ignored {
    pub(super) networks: Vec<IpNet>,
    pub(super) names: Vec<Source>,
}

impl Reader<'_> {
    /// Reads `ignoreip`. The machine's own addresses are on the allowlist, whatever `ignoreself` says.
    pub(super) fn ignored(&mut self) -> Ignored {
        if !self.read("ignoreself", boolean, true)
            && let Some(value) = self.get("ignoreself")
        {
            let what = format!(
                "{}: has no effect: the machine's own addresses are never banned",
                self.subject("ignoreself", &value)
            );
            self.warnings.add(&value.place(), what, "take the line out");
        }
        let mut ignored = Ignored::default();
        let Some(value) = self.get("ignoreip") else {
            return ignored;
        };
        let text = value.text();
        let words = text.split(|char: char| char.is_whitespace() || char == ',');
        for word in words.filter(|word| !word.is_empty()) {
            match (network(word), word.parse()) {
                (Ok(network), _) => ignored.networks.push(network),
                (Err(_), Ok(name)) => ignored.names.push(Source::Name(name)),
                (Err(what), Err(_)) => {
                    let hint = "write addresses, networks such as 198.51.100.0/24, and names of hosts";
                    self.wrong("ignoreip", &value, format!("{what}, nor the name of a host"), hint);
                }
            }
        }
        ignored
    }

    /// Reads `ignorecommand` and `ignorecache`.
    pub(super) fn ignore_command(&mut self) -> Option<IgnoreCommand> {
        let value = self.get("ignorecommand").filter(|value| !value.is_empty())?;
        let (max_count, max_time) = self.read("ignorecache", cache, CACHE);
        match IgnoreCommand::parse(&value.text(), max_count, max_time) {
            Ok(command) => Some(command),
            Err(what) => {
                self.wrong("ignorecommand", &value, what, "write what it needs to know with <ip>");
                None
            }
        }
    }
}

/// Reads `key="<ip>", max-count=100, max-time=5m`. Since a command is told nothing but the address, its word is remembered by the
/// address, whatever `key` says.
fn cache(text: &str) -> Result<(usize, Duration), String> {
    // What parameters stand in brackets behind a name says it too.
    let named = Named::parse(&format!("cache[{text}]"))?;
    let (mut count, mut time) = (CACHE_COUNT, CACHE.1);
    for (key, value) in &named.parameters {
        match key.as_str() {
            "key" => {}
            "max-count" => {
                let number = value
                    .parse()
                    .ok()
                    .filter(|number| (1..=MAX_CACHE_COUNT).contains(number));
                count = number.ok_or_else(|| format!("`{value}` is no number from 1 to {MAX_CACHE_COUNT}"))?;
            }
            "max-time" => time = Duration::try_from(duration::parse(value)?).unwrap_or(time),
            _ => return Err(format!("`{key}` is none of `key`, `max-count` and `max-time`")),
        }
    }
    Ok((count, time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_read_as_fail2ban_writes_it() {
        let five = Duration::from_secs(300);
        assert_eq!(
            cache("key=\"<ip>\", max-count=1000, max-time=60"),
            Ok((1000, Duration::from_secs(60)))
        );
        assert_eq!(cache("key=\"<F-USER>@<ip-host>\""), Ok((100, five)));
        assert_eq!(cache("max-time=1h"), Ok((100, Duration::from_secs(3600))));
        for wrong in [
            "max-count=0",
            "max-count=1000000",
            "max-count=x",
            "max-time=soon",
            "max=3",
        ] {
            assert!(cache(wrong).is_err(), "{wrong}");
        }
    }
}
