//! Messages that the kernel carries out together or not at all, and who is to blame when it is not at all.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use nftnl::{Batch, MsgType, NlMsg};
use nix::errno::Errno;

use super::socket::{Answer, Answers, Socket};
use super::sys::Numbered;

/// Room for the messages. More than [`Transaction::FULL`] element messages with the longest names need, so that they
/// always lie in one page; the kernel's pages behind it are taken only as they are written.
const PAGE: u32 = 12 << 20;

/// A transaction in the making. Its messages belong to parts, which the caller counts.
pub struct Transaction {
    batch: Batch,
    /// The number of the first message; the others follow it.
    first: u32,
    /// The part to which each message belongs.
    parts: Vec<usize>,
}

/// Why a transaction was not carried out: nothing of it was.
#[derive(Debug)]
pub struct Failure {
    /// What the kernel said first.
    pub errno: Errno,
    /// The parts that the kernel refused, and why; none when it was something else than a part.
    pub parts: BTreeMap<usize, Errno>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.errno.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self {
            errno,
            parts: BTreeMap::new(),
        }
    }
}

impl Transaction {
    /// As many messages as are best sent together.
    pub const FULL: usize = 30_000;

    /// An empty one.
    pub fn new() -> Self {
        Self {
            batch: Batch::with_page_size(PAGE),
            first: 0,
            parts: Vec::new(),
        }
    }

    /// Adds a message that belongs to `part`.
    ///
    /// The kernel is asked to acknowledge the first message only. It does so when all have been carried out, and it
    /// names those that it refuses unasked; an acknowledgement of each would overflow the socket.
    pub fn add(&mut self, part: usize, message: &impl NlMsg, kind: MsgType) {
        let number = Cell::new(0);
        let acknowledged = self.parts.is_empty();
        self.batch.add(
            &Numbered {
                message,
                acknowledged,
                number: &number,
            },
            kind,
        );
        if acknowledged {
            self.first = number.get();
        }
        self.parts.push(part);
    }

    /// Has the kernel carry it out. `Ok` is the kernel's confirmation.
    pub fn commit(self, socket: &Socket) -> Result<(), Failure> {
        let batch = self.batch.finalize();
        let answers = socket.exchange(&batch)?;
        judge(answers, self.first, &self.parts)
    }
}

fn judge(answers: Answers, first: u32, parts: &[usize]) -> Result<(), Failure> {
    let mut confirmed = false;
    let mut failure = answers.lost.then(|| Failure::from(Errno::ENOBUFS));
    for answer in answers.all {
        match answer {
            Answer::Done(number) => confirmed |= number == first,
            Answer::Refused(number, errno) => {
                let failure = failure.get_or_insert_with(|| Failure::from(errno));
                let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
                if let Some(&part) = index.and_then(|index| parts.get(index)) {
                    failure.parts.entry(part).or_insert(errno);
                }
            }
            Answer::Data(_) => {}
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None if confirmed => Ok(()),
        None => Err(Failure::from(Errno::ENOMSG)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers 2, 3, 4 belong to parts 0, 0, 1.
    fn judged(all: Vec<Answer>, lost: bool) -> Result<(), (Errno, Vec<(usize, Errno)>)> {
        judge(Answers { all, lost }, 2, &[0, 0, 1])
            .map_err(|failure| (failure.errno, failure.parts.into_iter().collect()))
    }

    #[test]
    fn the_first_message_s_acknowledgement_confirms_all() {
        assert_eq!(
            judged(vec![Answer::Done(1), Answer::Done(2), Answer::Done(5)], false),
            Ok(())
        );
        assert_eq!(
            judged(vec![Answer::Done(1), Answer::Done(5)], false),
            Err((Errno::ENOMSG, vec![]))
        );
        assert_eq!(judged(vec![], false), Err((Errno::ENOMSG, vec![])));
    }

    #[test]
    fn one_refusal_is_enough_and_is_laid_to_its_part() {
        assert_eq!(
            judged(vec![Answer::Done(2), Answer::Refused(4, Errno::ENOENT)], false),
            Err((Errno::ENOENT, vec![(1, Errno::ENOENT)]))
        );
        assert_eq!(
            judged(
                vec![Answer::Refused(2, Errno::ENFILE), Answer::Refused(3, Errno::ENOENT)],
                false
            ),
            Err((Errno::ENFILE, vec![(0, Errno::ENFILE)])),
            "the first reason is the cause of the others"
        );
    }

    #[test]
    fn what_no_message_is_to_blame_for_has_no_part() {
        assert_eq!(
            judged(vec![Answer::Refused(1, Errno::EPERM)], false),
            Err((Errno::EPERM, vec![]))
        );
        assert_eq!(
            judged(vec![Answer::Refused(0, Errno::EOPNOTSUPP), Answer::Done(2)], false),
            Err((Errno::EOPNOTSUPP, vec![]))
        );
        assert_eq!(judged(vec![Answer::Done(2)], true), Err((Errno::ENOBUFS, vec![])));
    }
}
