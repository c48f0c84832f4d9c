//! Where reading begins: as far back as is worth it, whatever a former agent has read of that.
//!
//! What was read is read again, because what was counted is in no agent's memory any more.

use std::collections::BTreeSet;
use std::io;
use std::time::{Instant, SystemTime};

use jiff::{SignedDuration, Timestamp};

use super::beside::{self, FileId};
use super::open::{DateOf, Open};
use super::{IsOver, Others, Tail};
use crate::source::position::Place;

/// What clocks of writers, and of file systems, may differ from the agent's.
const MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// How much of what was written before the start is read.
#[derive(Clone, Copy, Debug)]
pub struct ReadBack {
    /// Bytes of each file at the most, but for what follows on what a former agent has read.
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

/// What is known of files before reading begins.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Up to where a former agent has read; in the file at the path last.
    pub places: &'a [Place],
    /// What is read by somebody else, by the numbers of device and inode.
    pub held: &'a BTreeSet<FileId>,
}

/// A file that was at the path before.
struct Former {
    written: SystemTime,
    open: Open,
    is_over: IsOver,
}

/// The file that a former agent has read last.
#[derive(Clone, Copy)]
enum Last {
    /// The one at the path.
    Current,
    /// One that was last written then.
    Written(SystemTime),
    Unknown,
}

impl Last {
    /// A file that was last written then is known as well.
    fn or_written(self, written: SystemTime) -> Self {
        match self {
            Self::Written(last) => Self::Written(last.max(written)),
            Self::Current | Self::Unknown => Self::Written(written),
        }
    }

    /// Whether it came after a file that was last written at this time.
    fn is_after(self, written: SystemTime) -> bool {
        match self {
            Self::Current => true,
            Self::Written(last) => written < last,
            Self::Unknown => false,
        }
    }
}

impl Tail {
    /// Goes back as far as is worth reading, in the file at the path and in those that were there before it, and takes note of what of them
    /// a former agent has read.
    pub(super) fn go_back(&mut self, known: Known<'_>, back: ReadBack, date_of: DateOf<'_>) -> io::Result<()> {
        if let Some(open) = &mut self.current {
            for place in known.places {
                if open.is_known(place)? {
                    open.was_read(place.offset);
                }
            }
            begin_back(open, known, back, date_of)?;
        }
        if self.others == Others::Leave {
            return Ok(());
        }
        let now = Instant::now();
        for Former { mut open, is_over, .. } in self.former(known, back)? {
            begin_back(&mut open, known, back, date_of)?;
            self.push(open, now, is_over);
        }
        Ok(())
    }

    /// The files that were at the path before and are worth reading, oldest first.
    fn former(&mut self, known: Known<'_>, back: ReadBack) -> io::Result<Vec<Former>> {
        let Known { places, held } = known;
        if let Some(open) = &mut self.current {
            open.look()?;
        }
        let is_current = |place: &Place| self.current.as_ref().map_or(Ok(false), |open| open.is_known(place));
        let mut found: Vec<Former> = Vec::new();
        // The file that was read last: those that nobody knows were read too if they are older. The one at the path is the youngest.
        let mut last = Last::Unknown;
        for place in places {
            // That a file was empty does not say how far those before it were read.
            let is_telling = !place.head.is_empty();
            if is_current(place)? {
                if is_telling || matches!(last, Last::Unknown) {
                    last = Last::Current;
                }
                continue;
            }
            let Some(mut open) = beside::find(&self.path, place)? else {
                if is_telling {
                    last = Last::Unknown;
                }
                continue;
            };
            let written = open.metadata()?.modified()?;
            last = last.or_written(written);
            let is_same = (open.device, open.inode) == (place.device, place.inode);
            let mut opened = found.iter_mut().map(|former| &mut former.open);
            if let Some(known) = opened.find(|known| known.is_same(&open)) {
                known.was_read(place.offset);
            } else if !is_older(written, back) && !held.contains(&(open.device, open.inode)) {
                open.go_to(0)?;
                open.was_read(place.offset);
                let is_over = if is_same { IsOver::No } else { IsOver::Yes };
                found.push(Former { written, open, is_over });
            }
        }
        let mut known: BTreeSet<FileId> = self.held().union(held).copied().collect();
        known.extend(found.iter().map(|former| (former.open.device, former.open.inode)));
        for mut open in beside::unknown(&self.path, &known, |written| !is_older(written, back))? {
            let mut opened = self.current.iter().chain(found.iter().map(|former| &former.open));
            // A copy that was made of the log, and perhaps is still being made; or two of one.
            if opened.any(|other| open.begins_like(&other.place()).unwrap_or(true)) {
                // What it is shows at the next rotation.
                self.known.remove(&(open.device, open.inode));
                continue;
            }
            let metadata = open.metadata()?;
            let written = metadata.modified()?;
            if last.is_after(written) {
                open.was_read(metadata.len());
            }
            found.push(Former {
                written,
                open,
                is_over: IsOver::Yes,
            });
        }
        found.sort_by_key(|former| former.written);
        Ok(found)
    }
}

/// Goes as far back from a file's end as is worth reading.
fn begin_back(open: &mut Open, known: Known<'_>, back: ReadBack, date_of: DateOf<'_>) -> io::Result<()> {
    let metadata = open.metadata()?;
    if is_older(metadata.modified()?, back) {
        // What comes after the look is young.
        return open.skip_past(metadata.len());
    }
    if known.places.is_empty() {
        open.skip_to(back.bytes)?;
    } else {
        // A file that a former agent has not seen is new, and all of it unread.
        open.skip_read(back.bytes)?;
    }
    open.skip_before(back.oldest(), date_of)
}

fn is_older(written: SystemTime, back: ReadBack) -> bool {
    // A time that cannot be told is no reason to leave a file out.
    Timestamp::try_from(written).is_ok_and(|written| written < back.oldest())
}
