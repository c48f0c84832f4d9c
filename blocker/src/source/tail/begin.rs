//! Where reading begins: where a former agent has ended, or as far back as is worth reading.

use std::io;
use std::time::{Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::open::Open;
use super::{IsOver, Others, Tail, beside};
use crate::source::position::Place;

/// What clocks of writers, and of file systems, may differ from the agent's.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// How much of what was written before the start is read.
#[derive(Clone, Copy, Debug)]
pub struct ReadBack {
    /// Bytes of each file at the most.
    pub bytes: u64,
    /// Lines from before lead to nothing.
    pub since: Timestamp,
}

impl ReadBack {
    /// Nothing that was written before is worth reading, whatever clocks differ by.
    pub(super) fn oldest(self) -> Timestamp {
        self.since.saturating_sub(MARGIN).unwrap_or(Timestamp::MIN)
    }
}

impl Tail {
    /// Finds again what a former agent was reading.
    pub(super) fn go_on(&mut self, at: &Place, earlier: &[Place], back: ReadBack) -> io::Result<()> {
        for place in earlier {
            self.go_on_beside(place, back)?;
        }
        match &mut self.current {
            Some(open) if open.is(at)? => {
                open.go_to(at.offset)?;
                return open.skip_to(back.bytes);
            }
            Some(open) => begin_back(open, back)?,
            None => {}
        }
        let now = Instant::now();
        let Some(last) = self.go_on_beside(at, back)? else {
            return Ok(());
        };
        if self.others == Others::Read {
            let known = self.held();
            for mut open in beside::unknown(&self.path, &known, last)? {
                open.skip_to(back.bytes)?;
                self.push(open, now, IsOver::Yes);
            }
        }
        Ok(())
    }

    /// Reads the rest of a file that is no longer at the path, unless all in it is too old; says when it was last written.
    fn go_on_beside(&mut self, place: &Place, back: ReadBack) -> io::Result<Option<SystemTime>> {
        let Some(mut open) = beside::find(&self.path, place)? else {
            return Ok(None);
        };
        let written = open.metadata()?.modified()?;
        if is_older(written, back) {
            return Ok(None);
        }
        open.skip_to(back.bytes)?;
        let is_over = if (open.device, open.inode) == (place.device, place.inode) {
            IsOver::No
        } else {
            IsOver::Yes
        };
        self.push(open, Instant::now(), is_over);
        Ok(Some(written))
    }
}

/// Goes as far back from a file's end as is worth reading.
pub(super) fn begin_back(open: &mut Open, back: ReadBack) -> io::Result<()> {
    if is_older(open.metadata()?.modified()?, back) {
        return open.skip_to(0);
    }
    open.skip_to(back.bytes)
}

fn is_older(written: SystemTime, back: ReadBack) -> bool {
    // A time that cannot be told is no reason to leave a file out.
    Timestamp::try_from(written).is_ok_and(|written| written < back.oldest())
}
