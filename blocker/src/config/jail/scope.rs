//! What a jail's bans cover: the ports and protocol that its actions name, or else the jail itself.
//!
//! An action is not executed: the firewall is blocker's own.

use super::Reader;
use crate::ban::{Protocol, Scope};
use crate::config::ports;
use crate::filter::parameters::Named;
use crate::filter::value::Value;

/// Every port there is.
const ALL_PORTS: &str = "0:65535";

impl Reader<'_> {
    /// The jail's scope.
    pub(super) fn scope(&mut self) -> Option<Scope> {
        let mut named: Vec<(Value, String)> = Vec::new();
        let own = self.get("port");
        let protocol = self.get("protocol");
        if let Some(value) = self.get("action") {
            match Named::parse_all(&value.text()) {
                Ok(actions) => {
                    for action in &actions {
                        // What only repeats the jail's own is looked at there.
                        let repeated = protocol.as_ref().map(Value::joined);
                        let other = action
                            .get("protocol")
                            .filter(|other| repeated.as_deref() != Some(*other));
                        self.protocol(&value, other);
                        let all = action.name.ends_with("-allports").then_some(ALL_PORTS);
                        if let Some(port) = all.or(action.get("port")) {
                            // Mostly the action only repeats the jail's own, and what is wrong with it is wrong there.
                            let source = own.as_ref().filter(|own| own.joined() == port).unwrap_or(&value);
                            named.push((source.clone(), port.to_owned()));
                        }
                    }
                }
                Err(what) => self.wrong("action", &value, what, ""),
            }
        }
        if let Some(value) = protocol {
            self.protocol(&value, Some(value.joined().as_str()));
        }
        if named.is_empty() {
            named.extend(own.map(|value| (value.clone(), value.joined())));
        }
        if named.is_empty() {
            self.missing(
                "names no port",
                "write `port = smtp`: a ban covers the ports that its jail names and no others",
            );
            return None;
        }
        let all: Vec<&str> = named.iter().map(|(_, ports)| ports.as_str()).collect();
        match ports::parse(&all.join(",")) {
            Ok(ports) => Some(Scope {
                protocol: Protocol::Tcp,
                ports,
            }),
            Err(mistakes) => {
                for (what, hint) in mistakes {
                    self.wrong("port", &named[0].0, what, &hint);
                }
                None
            }
        }
    }

    fn protocol(&mut self, value: &Value, protocol: Option<&str>) {
        if let Some(other) = protocol.filter(|protocol| !protocol.eq_ignore_ascii_case("tcp")) {
            let what = format!("bans on protocol `{other}` are not possible yet");
            self.wrong("protocol", value, what, "mail is TCP: write `tcp`");
        }
    }
}
