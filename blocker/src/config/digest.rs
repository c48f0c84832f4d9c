//! `[digest]`: how often somebody is told what has happened, and by which way.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hyper::Uri;
use serde::{Deserialize, Deserializer};

use super::duration;
use crate::dns::HostName;

/// The longest time between two digests.
const LONGEST: Duration = Duration::from_hours(31 * 24);
/// Whom a digest goes to, at the most.
const MOST_RECIPIENTS: usize = 20;
/// Bytes of an address (RFC 5321, 4.5.3.1.3).
const LONGEST_ADDRESS: usize = 254;
/// Where the local mail server takes mail.
const LOCAL_SMTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 25);

/// Who is told what has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestSettings {
    /// How often.
    pub every: Duration,
    /// By mail, where somebody is to have it.
    pub mail: Option<Mail>,
    /// Where it is posted to as JSON.
    pub webhook: Option<Webhook>,
}

/// A digest by mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// To whom; at least one.
    pub to: Vec<MailAddress>,
    /// By which way.
    pub by: MailBy,
}

/// Who takes a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailBy {
    /// A mail server at this address.
    Smtp(SocketAddr),
    /// A program that is called as sendmail is.
    Program(PathBuf),
}

/// Somebody's mail address, or the name of a mailbox on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress(String);

/// Where a digest is posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The host's name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Both as they stand in the URL.
    pub authority: String,
    /// What is asked for there.
    pub path: String,
}

/// `[digest]`.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DigestTable {
    #[serde(deserialize_with = "interval")]
    every: Duration,
    #[serde(deserialize_with = "parsed_each")]
    mail_to: Vec<MailAddress>,
    #[serde(deserialize_with = "parsed")]
    mail_by: MailBy,
    #[serde(deserialize_with = "webhook_or_off")]
    webhook: Option<Webhook>,
}

impl Default for DigestTable {
    fn default() -> Self {
        Self {
            every: Duration::from_hours(1),
            mail_to: Vec::new(),
            mail_by: MailBy::Smtp(LOCAL_SMTP),
            webhook: None,
        }
    }
}

impl From<DigestTable> for DigestSettings {
    fn from(table: DigestTable) -> Self {
        let DigestTable {
            every,
            mail_to: to,
            mail_by: by,
            webhook,
        } = table;
        Self {
            every,
            mail: (!to.is_empty()).then_some(Mail { to, by }),
            webhook,
        }
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for MailAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mailbox, domain) = text.rsplit_once('@').map_or((text, None), |(m, d)| (m, Some(d)));
        // An atom and its dots (RFC 5322, 3.2.3): what would have to be quoted in a header or on the wire is no address of a person.
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(char);
        let is_mailbox = !mailbox.is_empty() && !mailbox.starts_with('-') && mailbox.chars().all(is_plain);
        let is_domain = domain.is_none_or(|domain| domain.is_ascii() && domain.parse::<HostName>().is_ok());
        if is_mailbox && is_domain && text.len() <= LONGEST_ADDRESS {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is no mail address; write as in \"postmaster@example.net\", without a name around it"
            ))
        }
    }
}

impl FromStr for MailBy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') && !text.contains('\0') {
            return Ok(Self::Program(text.into()));
        }
        text.parse().map(Self::Smtp).map_err(|_| {
            format!("`{text}` takes no mail: write a mail server's address with its port, as in \"127.0.0.1:25\", or the path of a program that is called as sendmail is")
        })
    }
}

impl FromStr for Webhook {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no webhook; write as in \"http://127.0.0.1:8080/path\", or \"off\"");
        let url: Uri = text.parse().map_err(|_| wrong())?;
        match url.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(format!(
                    "`{text}`: https is not spoken here; write the http:// address of something on this machine that passes it on, such as a reverse proxy"
                ));
            }
            _ => return Err(wrong()),
        }
        let authority = url.authority().ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(format!("{}; a name and password in it are not sent", wrong()));
        }
        // A port that is none would be read as the usual one.
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if has_port => return Err(wrong()),
            None => 80,
        };
        Ok(Self {
            host: host.to_owned(),
            port,
            authority: authority.as_str().to_owned(),
            path: url.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }
}

fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let length = duration::parse(&text).map_err(|what| format!("{what}; write as in \"1h\""));
    let length = length.and_then(|length| {
        let length = Duration::try_from(length).unwrap_or_default();
        if (Duration::from_secs(1)..=LONGEST).contains(&length) {
            Ok(length)
        } else {
            Err(format!(
                "`{text}` is no time between two digests: write one from \"1s\" to \"31d\""
            ))
        }
    });
    length.map_err(serde::de::Error::custom)
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err = String>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}

fn parsed_each<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<MailAddress>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    if texts.len() > MOST_RECIPIENTS {
        let what = format!("a digest goes to at most {MOST_RECIPIENTS} addresses; write that of a list");
        return Err(serde::de::Error::custom(what));
    }
    texts
        .iter()
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .collect()
}

fn webhook_or_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Webhook>, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "off" => Ok(None),
        text => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DigestSettings, String> {
        let table = toml::from_str::<DigestTable>(text);
        table
            .map(DigestSettings::from)
            .map_err(|error| error.message().to_owned())
    }

    #[test]
    fn nobody_is_told_anything_unless_a_destination_is_named() {
        let settings = read("every = \"10m\"").unwrap();
        assert_eq!((settings.mail, settings.webhook), (None, None));
        assert_eq!(settings.every, Duration::from_mins(10));
    }

    #[test]
    fn every_setting_is_read() {
        let settings = read(
            "every = \"1s\"\nmail_to = [\"root\", \"p+x@example.net\"]\nmail_by = \"/usr/bin/msmtp\"\nwebhook = \"http://[::1]:8080/a?b=c\"",
        );
        let settings = settings.unwrap();
        let mail = settings.mail.unwrap();
        assert_eq!(
            mail.to.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["root", "p+x@example.net"]
        );
        assert_eq!(mail.by, MailBy::Program("/usr/bin/msmtp".into()));
        let webhook = settings.webhook.unwrap();
        assert_eq!(
            (webhook.host.as_str(), webhook.port, webhook.path.as_str()),
            ("::1", 8080, "/a?b=c")
        );
        let usual = read("webhook = \"http://hooks.example\"").unwrap().webhook.unwrap();
        assert_eq!((usual.port, usual.path.as_str()), (80, "/"));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_write() {
        let cases = [
            ("every = \"0\"", "from \"1s\" to \"31d\""),
            ("every = \"2y\"", "from \"1s\" to \"31d\""),
            ("every = \"soon\"", "write as in \"1h\""),
            ("mail_to = [\"Post Master <p@example.net>\"]", "postmaster@example.net"),
            ("mail_to = [\"a@example.net\\nBcc: b@example.net\"]", "no mail address"),
            ("mail_to = [\"-oQ/tmp@example.net\"]", "no mail address"),
            ("mail_to = [\"a@exa mple\"]", "no mail address"),
            ("mail_by = \"sendmail\"", "127.0.0.1:25"),
            ("mail_by = \"localhost\"", "127.0.0.1:25"),
            ("webhook = \"https://hooks.example/x\"", "https is not spoken"),
            ("webhook = \"hooks.example\"", "http://127.0.0.1:8080/path"),
            ("webhook = \"http://hooks.example:99999/\"", "no webhook"),
            ("webhook = \"http://me:secret@hooks.example/\"", "are not sent"),
            ("sendmail = \"root\"", "unknown field `sendmail`"),
        ];
        for (text, part) in cases {
            let problem = read(text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
