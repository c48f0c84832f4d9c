//! The ways to a destination. Whoever is there is not trusted: what he answers is bounded, and whoever asks bounds the time.

mod program;
mod smtp;
mod webhook;

use std::fmt;

use anyhow::Result;

use super::{Digest, text};
use crate::config::{Mail, MailBy, Webhook};

/// Where digests go.
#[derive(Debug)]
pub(super) enum Destination {
    /// To people.
    Mail(Mail),
    /// To a program.
    Webhook(Webhook),
}

impl Destination {
    /// Brings a digest there.
    ///
    /// # Errors
    ///
    /// When nobody is there to take it, or does not.
    pub(super) async fn deliver(&self, digest: &Digest) -> Result<()> {
        match self {
            Self::Mail(Mail { to, by }) => {
                let mail = text::mail(digest, to);
                match by {
                    MailBy::Smtp(server) => smtp::deliver(*server, &digest.host, to, &mail).await,
                    MailBy::Program(program) => program::deliver(program, &mail).await,
                }
            }
            Self::Webhook(webhook) => webhook::deliver(webhook, serde_json::to_vec(digest)?).await,
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mail(Mail {
                by: MailBy::Smtp(server),
                ..
            }) => write!(f, "mail by {server}"),
            Self::Mail(Mail {
                by: MailBy::Program(program),
                ..
            }) => write!(f, "mail by {}", program.display()),
            // Its path may be a secret.
            Self::Webhook(webhook) => write!(f, "webhook at {}", webhook.authority),
        }
    }
}
