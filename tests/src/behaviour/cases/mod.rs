//! The table: what a postmaster may expect of each packet.

mod allowlist;
mod bans;
mod ipv4;
mod ipv6;
mod kind;
mod malformed;
mod networks;
mod scopes;
mod standing;
mod transport;

use blocker::ban::{Ports, Scope};
use blocker::firewall::JailScope;

use super::frames::syn;
use super::{Case, Expected, Script};

/// All scripts.
#[must_use]
pub fn scripts() -> Vec<Script> {
    vec![
        standing::packets(),
        networks::networks(),
        networks::nested(),
        bans::bans(),
        allowlist::allowlist(),
        scopes::ports(),
        scopes::thirty_two(),
    ]
}

fn jail(name: &str, tcp: Ports, udp: Ports) -> JailScope {
    JailScope {
        name: name.to_owned(),
        scope: Scope { tcp, udp },
    }
}

/// A SYN from a host to a port.
fn probe(name: &str, source: &str, port: u16, expected: Expected) -> Case {
    let address = source.parse().expect("the table names addresses");
    Case::new(
        format!("{name}, {source}, TCP port {port}"),
        syn(address, port),
        expected,
    )
}
