//! Sessions: what several lines say of one connection, joined by what `<F-MLFID>` matches.
//!
//! One line may name the address, another the failure, a third only the user. A session keeps the facts of its lines until
//! a line says that it is over (`<F-MLFFORGET>`), and a failure that has no address yet waits in it. Attackers open sessions, so
//! there are a bounded number, each of bounded size, and each ends after five minutes.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use lru::LruCache;

use super::pattern::facts::{Fact, Facts};

/// Sessions that are kept at a time; the ones that began first are forgotten first. fail2ban keeps 100.
const MAX_SESSIONS: NonZeroUsize = NonZeroUsize::new(1000).expect("not zero");
/// How long a session is kept after its first line.
const MAX_AGE: SignedDuration = SignedDuration::from_mins(5);
/// Longest text that a session remembers; facts with a longer one are those of their line alone.
const MAX_TEXT: usize = 1024;
/// Users that a session tells apart, and how much of a name is looked at for that.
const MAX_USERS: usize = 32;
const MAX_USER_LEN: usize = 256;

/// What is known of one session.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    pub(super) facts: Facts,
    users: BTreeSet<String>,
    /// Lines that are part of the failure.
    pub(super) lines: usize,
    /// Lines that only added facts.
    silent_lines: usize,
    /// Whether a failure waits for its identity.
    pub(super) is_pending: bool,
}

/// The sessions of one filter over one log.
#[derive(Debug)]
pub(super) struct Sessions(LruCache<String, (Option<Timestamp>, Session)>);

impl Default for Sessions {
    fn default() -> Self {
        Self(LruCache::new(MAX_SESSIONS))
    }
}

/// What a line says of its session.
#[derive(Clone, Copy, Debug, Default)]
struct Signs {
    /// It is no failure.
    nofail: bool,
    /// The session is over.
    forget: bool,
    /// The line before was no failure.
    was_nofail: bool,
    /// Access was gained: what failed before does not count.
    gained: bool,
}

impl Sessions {
    /// Joins a line's facts with those of its session and returns the session as it is then. `lines` are those that matched.
    pub(super) fn join(&mut self, id: &str, mut facts: Facts, lines: usize, time: Option<Timestamp>) -> Session {
        let mut signs = Signs::default();
        if facts.has("mlfgained") {
            signs.gained = true;
            signs.nofail = true;
            if !facts.has("nofail")
                && let Some(text) = facts.get("mlfgained").cloned()
            {
                facts.set(&Arc::from("nofail"), text);
            }
        } else if facts.has("nofail") {
            signs.nofail = true;
        }
        signs.forget = facts.remove("mlfforget");

        let known = self.known(id, time);
        let begins = known.is_none();
        let begun = known.as_ref().map_or(time, |(begun, _)| *begun);
        let mut session = match known {
            Some((_, session)) => go_on(session, facts, &mut signs),
            None => Session {
                facts,
                ..Session::default()
            },
        };
        if !begins || !signs.forget {
            note_user(&mut session);
        }
        // Several users in one session are attempts, whatever became of the last.
        if std::mem::take(&mut session.is_pending) || session.users.len() > 1 {
            session.facts.remove("nofail");
            session.facts.remove("mlfgained");
            signs.nofail = false;
            signs.gained = false;
        }
        if !signs.nofail {
            session.lines += std::mem::take(&mut session.silent_lines);
            if !signs.gained {
                session.lines += lines;
            }
        } else if !signs.forget {
            session.silent_lines += lines;
        }
        if signs.forget {
            self.0.pop(id);
        } else {
            self.keep(id, begun, &session);
        }
        session
    }

    /// Lets a session's failure wait for a line that names its identity.
    pub(super) fn wait(&mut self, id: &str) {
        if let Some((_, session)) = self.0.peek_mut(id) {
            session.is_pending = true;
        }
    }

    fn known(&mut self, id: &str, time: Option<Timestamp>) -> Option<(Option<Timestamp>, Session)> {
        let (begun, _) = self.0.peek(id)?;
        let age = begun.zip(time).map(|(begun, time)| time.duration_since(begun));
        if age.is_some_and(|age| age > MAX_AGE) {
            self.0.pop(id);
            return None;
        }
        self.0.peek(id).cloned()
    }

    fn keep(&mut self, id: &str, begun: Option<Timestamp>, session: &Session) {
        if id.len() > MAX_TEXT || session.facts.longest() > MAX_TEXT {
            return;
        }
        match self.0.peek_mut(id) {
            Some((_, known)) => *known = session.clone(),
            None => {
                self.0.put(id.to_owned(), (begun, session.clone()));
            }
        }
    }
}

/// Lays a line's facts over a session's.
fn go_on(mut session: Session, facts: Facts, signs: &mut Signs) -> Session {
    // Whether it was a failure is the latest line's to say.
    signs.was_nofail = session.facts.remove("nofail") | session.facts.remove("mlfgained");
    if signs.gained {
        session.is_pending = false;
    }
    if !signs.was_nofail && !session.is_pending {
        // The lines so far were handed on with the failure that they made.
        session.lines = 0;
    }
    session.facts.lay_over(facts);
    session
}

fn note_user(session: &mut Session) {
    let user = session.facts.text("user").filter(|user| !user.is_empty());
    if let Some(user) = user.filter(|_| session.users.len() < MAX_USERS) {
        let user = user[..user.floor_char_boundary(MAX_USER_LEN)].to_owned();
        session.users.insert(user);
    }
    if !session.users.is_empty() {
        session.facts.set(&Arc::from("users"), Fact::Set(session.users.clone()));
    }
}
