//! The keys of a jail: those with a meaning here, and those of fail2ban's that have none.

use super::increment;
use super::section::Section;
use crate::filter::definition;
use crate::filter::layers::Layers;
use crate::problem::{Problems, did_you_mean};

/// Keys with a meaning here, beside those of a filter.
const KEYS: [&str; 19] = [
    "enabled",
    "filter",
    "logpath",
    "backend",
    "systemd_if_nologs",
    "logtimezone",
    "action",
    "banaction",
    "banaction_allports",
    "port",
    "protocol",
    "bantime",
    "findtime",
    "maxretry",
    "ignoreip",
    "ignorecommand",
    "ignorecache",
    "ignoreself",
    "ipv6prefix",
];

/// Keys of fail2ban's that say how its actions and its reading of files work. blocker has its own ways for both, so they are
/// read over.
const READ_OVER: [&str; 11] = [
    "chain",
    "destemail",
    "fail2ban_agent",
    "logencoding",
    "maxmatches",
    "mode",
    "mta",
    "sender",
    "sendername",
    "skip_if_nologs",
    "known/failregex",
];

/// Takes note of keys of `[DEFAULT]` that are slips of the finger. What nothing uses is no matter there: distributions' files define a
/// great many names.
pub(super) fn check_defaults(layers: &Layers, problems: &mut Problems) {
    for (key, value) in &layers.defaults {
        let hint = did_you_mean(key, meaningful());
        if !hint.is_empty() && !is_known(key) && !layers.mention(key) {
            let what = format!("unknown key `{key}` in [DEFAULT]");
            problems.add(&value.place(), what, hint);
        }
    }
}

/// Takes note of keys that are slips of the finger as problems, and of those that nothing uses as warnings.
pub(super) fn check(section: &Section<'_>, problems: &mut Problems, warnings: &mut Problems) {
    for (key, value) in section.own_keys() {
        if is_known(key) || section.layers().mention(key) {
            continue;
        }
        let hint = did_you_mean(key, meaningful());
        if hint.is_empty() {
            let hint = "take the line out, or use it as %(name)s somewhere";
            warnings.add(
                &value.place(),
                format!("`{key}` has no meaning and nothing uses it"),
                hint,
            );
        } else {
            problems.add(&value.place(), format!("unknown key `{key}`"), hint);
        }
    }
}

fn is_known(key: &str) -> bool {
    READ_OVER.contains(&key) || meaningful().any(|known| known == key)
}

fn meaningful() -> impl Iterator<Item = &'static str> {
    KEYS.into_iter().chain(increment::KEYS).chain(definition::KEYS)
}

#[cfg(test)]
mod page;
