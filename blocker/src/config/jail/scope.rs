//! What a jail's bans cover: the ports and protocols that its actions name, or else the jail itself.
//!
//! An action is not executed: the firewall is blocker's own.

use super::Reader;
use crate::ban::{Protocol, Scope};
use crate::config::ports;
use crate::filter::parameters::Named;
use crate::filter::value::Value;

/// Every port there is.
const ALL_PORTS: &str = "0:65535";

/// Ports as somebody named them, for protocols as somebody named them.
struct Covered {
    value: Value,
    ports: String,
    protocols: Vec<Protocol>,
}

impl Reader<'_> {
    /// The jail's scope.
    pub(super) fn scope(&mut self) -> Option<Scope> {
        let port = self.get("port");
        let own = match self.get("protocol") {
            Some(value) => self.protocols(&value, &value.joined()),
            None => vec![Protocol::Tcp],
        };
        let mut covered = self.of_actions(port.as_ref(), &own);
        if covered.is_empty() {
            covered.extend(port.map(|value| Covered {
                ports: value.joined(),
                value,
                protocols: own,
            }));
        }
        if covered.is_empty() {
            self.missing(
                "names no port",
                "write `port = smtp`: a ban covers the ports that its jail names and no others",
            );
            return None;
        }
        let mut is_whole = true;
        let mut scope = Scope::default();
        for (protocol, ports) in [(Protocol::Tcp, &mut scope.tcp), (Protocol::Udp, &mut scope.udp)] {
            let of_protocol = || covered.iter().filter(|covered| covered.protocols.contains(&protocol));
            let all: Vec<&str> = of_protocol().map(|covered| covered.ports.as_str()).collect();
            let (Some(first), false) = (of_protocol().next(), all.is_empty()) else {
                continue;
            };
            match ports::parse(&all.join(",")) {
                Ok(parsed) => *ports = parsed,
                Err(mistakes) => {
                    is_whole = false;
                    for (what, hint) in mistakes {
                        self.wrong("port", &first.value, what, &hint);
                    }
                }
            }
        }
        (is_whole && scope != Scope::default()).then_some(scope)
    }

    /// What the actions name. What they only repeat is the jail's own.
    fn of_actions(&mut self, port: Option<&Value>, own: &[Protocol]) -> Vec<Covered> {
        let Some(value) = self.get("action") else {
            return Vec::new();
        };
        let actions = match Named::parse_all(&value.text()) {
            Ok(actions) => actions,
            Err(what) => {
                self.wrong("action", &value, what, "");
                return Vec::new();
            }
        };
        let repeated = self.get("protocol").map(|value| value.joined());
        let mut covered = Vec::new();
        for action in &actions {
            let protocols = match action.get("protocol") {
                Some(named) if repeated.as_deref() != Some(named) => self.protocols(&value, named),
                _ => own.to_vec(),
            };
            let all = action.name.ends_with("-allports").then_some(ALL_PORTS);
            if let Some(ports) = all.or(action.get("port")) {
                let source = port.filter(|port| port.joined() == ports).unwrap_or(&value);
                covered.push(Covered {
                    value: source.clone(),
                    ports: ports.to_owned(),
                    protocols,
                });
            }
        }
        covered
    }

    /// Reads `tcp`, `udp`, both with a comma between, or `all`.
    fn protocols(&mut self, value: &Value, named: &str) -> Vec<Protocol> {
        let mut protocols = Vec::new();
        for name in named.split(',').map(str::trim) {
            match name.to_ascii_lowercase().as_str() {
                "tcp" => protocols.push(Protocol::Tcp),
                "udp" => protocols.push(Protocol::Udp),
                "all" => protocols.extend([Protocol::Tcp, Protocol::Udp]),
                _ => {
                    let what = format!("bans cover no protocol `{name}`");
                    self.wrong("protocol", value, what, "write `tcp`, `udp` or `all` for both");
                }
            }
        }
        if protocols.is_empty() {
            // So that mistakes in the ports are told beside this one.
            protocols.push(Protocol::Tcp);
        }
        protocols
    }
}
