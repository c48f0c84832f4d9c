//! Scopes as the kernel knows them: one bit each, a table from port to bits, and bans that carry bits.

use anyhow::{Result, ensure};
use blocker_common::map::{MAX_JAILS, MAX_SCOPES, Scopes};

use crate::ban::{JailId, Protocol, Scope};
use crate::firewall::JailScope;

/// Which bit each jail's scope has. Jails with the same scope share one.
pub(super) struct ScopeBits {
    scopes: Vec<Scope>,
    /// By jail, the number of its scope's bit.
    jails: Vec<usize>,
}

impl ScopeBits {
    pub(super) fn new(jails: &[JailScope]) -> Result<Self> {
        ensure!(
            jails.len() <= MAX_JAILS,
            "{} jails are configured; the kernel program counts for at most {MAX_JAILS}",
            jails.len()
        );
        let mut scopes = Vec::new();
        let mut bits = Vec::with_capacity(jails.len());
        for JailScope { name, scope } in jails {
            let bit = scopes.iter().position(|known| known == scope).unwrap_or_else(|| {
                scopes.push(scope.clone());
                scopes.len() - 1
            });
            ensure!(
                bit < MAX_SCOPES,
                "jail `{name}`: its ports {scope} are the {}th different set; the kernel program knows at most {MAX_SCOPES}",
                bit + 1
            );
            bits.push(bit);
        }
        Ok(Self { scopes, jails: bits })
    }

    /// The bit of a jail's scope.
    pub(super) fn bit(&self, jail: JailId) -> Option<usize> {
        self.jails.get(usize::from(jail.0)).copied()
    }

    /// Every port of this protocol that belongs to a scope, with the scopes it belongs to.
    pub(super) fn ports(&self, protocol: Protocol) -> Vec<(u16, Scopes)> {
        let mut table = vec![0; usize::from(u16::MAX) + 1];
        for (bit, scope) in self.scopes.iter().enumerate() {
            for port in scope.ports(protocol).iter().cloned().flatten() {
                table[usize::from(port)] |= 1 << bit;
            }
        }
        (0..=u16::MAX).zip(table).filter(|(_, bits)| *bits != 0).collect()
    }

    /// The scopes that have any port of this protocol.
    pub(super) fn all(&self, protocol: Protocol) -> Scopes {
        let scopes = self.scopes.iter().enumerate();
        let scopes = scopes.filter(|(_, scope)| !scope.ports(protocol).is_empty());
        scopes.fold(0, |all, (bit, _)| all | 1 << bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jail(name: &str, tcp: &[u16], udp: &[u16]) -> JailScope {
        let ports = |ports: &[u16]| ports.iter().map(|port| *port..=*port).collect();
        JailScope {
            name: name.to_owned(),
            scope: Scope {
                tcp: ports(tcp),
                udp: ports(udp),
            },
        }
    }

    #[test]
    fn jails_with_the_same_ports_and_protocols_share_a_bit() {
        let jails = [
            jail("a", &[25], &[]),
            jail("b", &[25, 587], &[25, 587]),
            jail("c", &[25], &[]),
            jail("d", &[], &[25]),
        ];
        let bits = ScopeBits::new(&jails).unwrap();
        assert_eq!(bits.jails, [0, 1, 0, 2]);
        assert_eq!(bits.ports(Protocol::Tcp), [(25, 0b011), (587, 0b010)]);
        assert_eq!(bits.ports(Protocol::Udp), [(25, 0b110), (587, 0b010)]);
        assert_eq!((bits.all(Protocol::Tcp), bits.all(Protocol::Udp)), (0b011, 0b110));
    }

    #[test]
    fn one_scope_too_many_is_refused_by_name() {
        let jails: Vec<JailScope> = (0..33).map(|n| jail(&format!("jail{n}"), &[n], &[])).collect();
        let error = ScopeBits::new(&jails).err().unwrap().to_string();
        assert!(error.contains("jail32"), "{error}");
    }
}
