//! Who is put into samples: the client, and his victim.

use super::sample::Fill;
use super::tree::Tag;

/// The client, and whom he would like to be banned, as a filter may want to be told: addresses for documentation (RFC 5737, RFC 3849)
/// and names (RFC 2606).
pub(super) const HOSTS: [Host; 6] = [
    Host::new(Tag::Ip4, "192.0.2.4", "198.51.100.9"),
    Host::new(Tag::Ip6, "2001:db8::4", "2001:db8:ffff::9"),
    Host::new(Tag::Dns, "client.example", "victim.example"),
    Host::new(Tag::Id, "192.0.2.4", "198.51.100.9"),
    Host::new(Tag::Id, "2001:db8::4", "2001:db8:ffff::9"),
    Host::new(Tag::Id, "client.example", "victim.example"),
];

/// What an address of one kind is put in the place of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Host {
    pub(super) tag: Tag,
    pub(super) client: &'static str,
    pub(super) victim: &'static str,
}

impl Host {
    const fn new(tag: Tag, client: &'static str, victim: &'static str) -> Self {
        Self { tag, client, victim }
    }
}

/// What an expression's samples are filled with.
#[derive(Debug)]
pub(super) struct Case {
    /// Where the samples have their gap.
    pub(super) tag: Tag,
    pub(super) host: Host,
    /// What a prefregex leaves, of the client and of the victim.
    pub(super) contents: [String; 2],
}

impl Case {
    pub(super) fn fills(&self) -> [Fill<'_>; 2] {
        let [client, victim] = &self.contents;
        [(self.host.client, client), (self.host.victim, victim)].map(|(address, content)| Fill { address, content })
    }
}
