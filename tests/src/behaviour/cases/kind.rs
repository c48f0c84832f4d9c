//! A kind of packet, whoever sends it.

use std::net::IpAddr;

use blocker_common::packet::Unparsed;

use super::standing::Standing;
use crate::behaviour::frames::Frame;
use crate::behaviour::{Case, Expected};

/// A kind of packet, and what a firewall makes of it.
pub(super) struct Kind {
    name: String,
    frame: Box<dyn Fn(IpAddr) -> Frame>,
    /// The jail whose bans its senders may have.
    pub(super) jail: u16,
    /// Whether such a ban covers it.
    xdp: bool,
    nftables: bool,
    /// Whether the kernel itself takes it.
    taken: bool,
    unparsed: Option<Unparsed>,
}

impl Kind {
    /// One that bans of this jail cover.
    pub(super) fn covered(name: &str, jail: u16, frame: impl Fn(IpAddr) -> Frame + 'static) -> Self {
        Self {
            name: name.to_owned(),
            frame: Box::new(frame),
            jail,
            xdp: true,
            nftables: true,
            taken: true,
            unparsed: None,
        }
    }

    /// One that bans of this jail do not cover.
    pub(super) fn free(name: &str, jail: u16, frame: impl Fn(IpAddr) -> Frame + 'static) -> Self {
        Self {
            xdp: false,
            nftables: false,
            ..Self::covered(name, jail, frame)
        }
    }

    /// One that cannot be read, for this reason.
    pub(super) fn unparsed(name: &str, reason: Unparsed, jail: u16, frame: impl Fn(IpAddr) -> Frame + 'static) -> Self {
        Self {
            unparsed: Some(reason),
            ..Self::free(name, jail, frame)
        }
    }

    /// The kernel takes none of these.
    pub(super) fn refused(self) -> Self {
        Self { taken: false, ..self }
    }

    /// Nftables judges the other way.
    pub(super) fn otherwise_in_nftables(self) -> Self {
        Self {
            nftables: !self.nftables,
            ..self
        }
    }

    /// One of a sender that stands so with the firewall.
    pub(super) fn of(&self, family: &str, standing: Standing, source: IpAddr) -> Case {
        let expected = |covered, looks_after_the_kernel: bool| {
            let unseen = looks_after_the_kernel && !self.taken;
            let expected = match standing {
                Standing::Banned if covered && !unseen => return Expected::dropped(self.jail),
                Standing::Allowed if covered && !unseen => Expected::allowed(self.jail),
                _ => Expected::DELIVERED,
            };
            Expected {
                arrives: self.taken,
                ..expected
            }
        };
        Case {
            name: format!("{family}, {}, {} source", self.name, standing.name()),
            frame: (self.frame)(source),
            xdp: expected(self.xdp, false),
            nftables: expected(self.nftables, true),
            unparsed: self.unparsed,
        }
    }
}
