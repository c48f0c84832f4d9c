//! Follows one log file through its rotations.
//!
//! At a rotation by renaming, the writer goes on in the old file until it is told, often for seconds after the new one exists.
//! So the old file is kept open beside the new one until it has been quiet for [`GRACE`]. A file that became shorter than what
//! was read of it, or that begins differently now, was truncated (`copytruncate`): what was not read of it is looked for in the
//! copy, and it is read from its beginning. The length alone would not show a file that has grown again meanwhile.
//!
//! When reading begins, the files that were at the path before are looked for too, for what was written while no agent ran, and for what
//! a former agent has counted.

mod begin;
mod beside;
mod open;
mod unseen;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use self::begin::{Known, ReadBack};
pub(super) use self::beside::FileId;
pub use self::open::DateOf;
pub(super) use self::open::Each;
use self::open::{Open, Reading};
use super::position::{Place, Position};

/// How long a rotated file must be quiet before it is let go.
pub const GRACE: Duration = Duration::from_secs(60);
/// Rotated files that are kept open; with more the oldest is let go at once.
const MAX_EARLIER: usize = 8;
/// Places that are remembered of files that were let go: of as many as a start may find.
const MAX_GONE: usize = 128;
/// How often reading begins anew where the file is rotated meanwhile.
const BEGINNINGS: usize = 8;

/// What one reading brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether there may be more at once.
    pub more: bool,
    /// Whether another file has taken the path's place, or the file was truncated.
    pub rotated: bool,
}

/// One log file, followed.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    current: Option<Open>,
    /// The files that were at the path before, oldest first.
    earlier: VecDeque<Earlier>,
    /// The files beside it that are older than what was read last.
    known: BTreeSet<FileId>,
    others: Others,
    /// Places in files that were let go.
    gone: VecDeque<Place>,
}

/// Whether a tail follows its path to other files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// It does, and reads those that were at the path between two looks.
    Read,
    /// It stays with its file, whatever that is called: the wildcard that found this one finds the others too.
    Leave,
}

/// A file that was at the path before.
#[derive(Debug)]
struct Earlier {
    open: Open,
    /// When it last grew.
    grown: Instant,
    is_over: IsOver,
}

/// Whether nobody writes to a file any more: it is a copy, or another was at the path since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IsOver {
    Yes,
    No,
}

impl Tail {
    /// Begins to follow `path`, as far back as is worth reading. The file need not exist yet.
    ///
    /// # Errors
    ///
    /// When a file exists and cannot be read.
    pub fn new(path: &Path, known: Known<'_>, back: ReadBack, others: Others, date_of: DateOf<'_>) -> io::Result<Self> {
        let mut tail = Self::begin(path, known, back, others, date_of)?;
        for _ in 1..BEGINNINGS {
            // What was found beside the file is its copy perhaps, and would be found as that once more; or is younger than it.
            if others == Others::Leave || !tail.was_truncated()? && tail.there()? == tail.held_at_path() {
                break;
            }
            tail = Self::begin(path, known, back, others, date_of)?;
        }
        Ok(tail)
    }

    fn begin(path: &Path, known: Known<'_>, back: ReadBack, others: Others, date_of: DateOf<'_>) -> io::Result<Self> {
        let mut tail = Self {
            path: path.to_owned(),
            current: opened(path)?,
            earlier: VecDeque::new(),
            known: BTreeSet::new(),
            others,
            gone: VecDeque::new(),
        };
        tail.known = beside::rotated(path)?;
        tail.go_back(known, back, date_of)?;
        Ok(tail)
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a file is being read that is or was at the path.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.current.is_some()
    }

    /// Whether it reads this file, be it as one that was at the path before.
    #[must_use]
    pub fn reads(&self, device: u64, inode: u64) -> bool {
        self.held().contains(&(device, inode))
    }

    /// Whether this file is the one that it reads now, and not one that was at the path before.
    #[must_use]
    pub fn is_at(&self, device: u64, inode: u64) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|open| (open.device, open.inode) == (device, inode))
    }

    /// The places in the files that it reads, and then those in files that it has let go.
    #[must_use]
    pub fn places(&self) -> (Vec<Place>, Vec<Place>) {
        let earlier = self.earlier.iter().map(|earlier| earlier.open.place());
        let held = self.current.iter().map(Open::place).chain(earlier);
        (held.collect(), self.gone.iter().cloned().collect())
    }

    /// Whether the file is another's copy: it begins as far as one of these places knows, and is not the file of any.
    #[must_use]
    pub fn is_copy_of(&self, places: &[Place]) -> bool {
        let same = |open: &Open, place: &Place| (open.device, open.inode) == (place.device, place.inode);
        let copied = |open: &Open| {
            let mut places = places.iter().filter(|place| !same(open, place));
            places.any(|place| open.begins_like(place).unwrap_or(false))
        };
        self.current.as_ref().is_some_and(copied)
    }

    /// Goes forward to the last of these places that is in the file, or in one that it is a copy of.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn recognise(&mut self, places: &[Place]) -> io::Result<()> {
        let Some(open) = &mut self.current else {
            return Ok(());
        };
        for place in places {
            if open.is_known(place)? {
                open.skip_past(place.offset)?;
            }
        }
        Ok(())
    }

    /// Where it was read up to; none before there was a file.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let current = self.current.as_ref().map(Open::place);
        // No file or an empty one does not say how far those before it were read: the one that was let go last does.
        let is_telling = current.as_ref().is_some_and(|place| !place.head.is_empty());
        let gone = self.gone.back().filter(|_| !is_telling).cloned();
        let earlier = self.earlier.iter().map(|earlier| earlier.open.place());
        let mut earlier: Vec<Place> = gone.into_iter().chain(earlier).chain(current).collect();
        let at = earlier.pop()?;
        Some(Position::File { at, earlier })
    }

    /// Hands every whole line of what is there to `each`, up to a few chunks at a time.
    ///
    /// # Errors
    ///
    /// When a file cannot be read. The next call tries again.
    pub(super) fn read(&mut self, now: Instant, each: Each<'_>) -> io::Result<Progress> {
        let mut progress = Progress::default();
        if self.read_earlier(now, each, &mut progress)? {
            return Ok(progress);
        }
        if let Some(open) = &mut self.current {
            match open.read(each)? {
                Reading::Read { .. } => {
                    progress.more = true;
                    return Ok(progress);
                }
                Reading::End => {}
                Reading::Truncated => {
                    self.truncated(now)?;
                    progress.more = true;
                    progress.rotated = true;
                    return Ok(progress);
                }
            }
        }
        // Only at the end of the file is it time to ask whether it is still the one at the path.
        if self.follow(now)? {
            progress.rotated = true;
            progress.more = true;
        }
        Ok(progress)
    }

    /// Reads a chunk of each file that was at the path before, and says whether there is more of them that comes before the rest.
    fn read_earlier(&mut self, now: Instant, each: Each<'_>, progress: &mut Progress) -> io::Result<bool> {
        let mut n = 0;
        while let Some(earlier) = self.earlier.get_mut(n) {
            match earlier.open.read(each)? {
                Reading::Read { more } => {
                    earlier.grown = now;
                    progress.more = true;
                    if more || earlier.is_over == IsOver::Yes {
                        return Ok(true);
                    }
                    n += 1;
                }
                Reading::End | Reading::Truncated => {
                    let is_quiet = now.duration_since(earlier.grown) >= GRACE;
                    if is_quiet || earlier.is_over == IsOver::Yes || self.earlier.len() > MAX_EARLIER {
                        self.let_go(n, each);
                    } else {
                        n += 1;
                    }
                }
            }
        }
        Ok(false)
    }

    fn let_go(&mut self, n: usize, each: Each<'_>) {
        if let Some(mut earlier) = self.earlier.remove(n) {
            earlier.open.finish(each);
            self.remember(earlier.open.place());
        }
    }

    /// Whether the file at the path was truncated since it was looked at last.
    fn was_truncated(&self) -> io::Result<bool> {
        self.current.as_ref().map_or(Ok(false), Open::was_truncated)
    }

    fn remember(&mut self, place: Place) {
        self.gone.push_back(place);
        if self.gone.len() > MAX_GONE {
            self.gone.pop_front();
        }
    }

    /// Reads a file that was truncated from its beginning, and before that the rest of what it held from the copy.
    fn truncated(&mut self, now: Instant) -> io::Result<()> {
        let Some(open) = &mut self.current else {
            return Ok(());
        };
        let (here, place) = (open.here(), open.place());
        let mut copy = beside::find(&self.path, &place)?;
        if let Some(copy) = copy.as_mut().filter(|_| here < place.offset) {
            // What a former agent has read, and this one not yet again, is in the copy too.
            copy.go_to(here)?;
            copy.was_read(place.offset);
        }
        open.begin_again()?;
        self.remember(place);
        let before = self.earlier.len();
        if let Some(copy) = copy {
            self.push(copy, now, IsOver::Yes);
        }
        // What has taken its place meanwhile is younger than what it holds itself, and is looked for when it is followed.
        if self.there()? == self.held_at_path() {
            self.push_unseen(now)?;
            let written = |earlier: &Earlier| earlier.open.metadata().and_then(|file| file.modified()).ok();
            self.earlier.make_contiguous()[before..].sort_by_key(written);
        }
        Ok(())
    }

    /// Opens the file that has taken the path's place, if one has.
    fn follow(&mut self, now: Instant) -> io::Result<bool> {
        if self.others == Others::Leave {
            return Ok(false);
        }
        let there = self.there()?;
        // A path without a file: the writer may still hold the one we hold.
        if there.is_none() || there == self.held_at_path() {
            return Ok(false);
        }
        if self.was_truncated()? {
            // Before it was renamed.
            self.truncated(now)?;
            return Ok(true);
        }
        let Some(next) = opened(&self.path)? else {
            return Ok(false);
        };
        if self.current.as_ref().is_some_and(|open| open.is_same(&next)) {
            return Ok(false);
        }
        let next = self.recognised(next)?;
        if let Some(open) = self.current.replace(next) {
            // What was written since it was read to its end, and what its writer still will write, comes first.
            self.push(open, now, IsOver::No);
        }
        self.push_unseen(now)?;
        Ok(true)
    }

    /// A file that comes to the path, past what was read of it: somebody may have brought it back, or written it anew with what it held.
    fn recognised(&mut self, mut next: Open) -> io::Result<Open> {
        let held = self.earlier.iter().position(|earlier| earlier.open.is_same(&next));
        if let Some(earlier) = held.and_then(|n| self.earlier.remove(n)) {
            return Ok(earlier.open);
        }
        let earlier = self.earlier.iter().map(|earlier| &earlier.open);
        for open in self.current.iter().chain(earlier) {
            if next.has_all_of(open)? {
                next.skip_past(open.place().offset)?;
            }
        }
        Ok(next)
    }

    /// The file that is at the path now.
    fn there(&self) -> io::Result<Option<FileId>> {
        match self.path.metadata() {
            Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The file that it takes to be at the path.
    fn held_at_path(&self) -> Option<FileId> {
        self.current.as_ref().map(|open| (open.device, open.inode))
    }

    fn push(&mut self, open: Open, grown: Instant, is_over: IsOver) {
        self.earlier.push_back(Earlier { open, grown, is_over });
    }

    /// The files that it reads.
    pub(super) fn held(&self) -> BTreeSet<FileId> {
        let earlier = self.earlier.iter().map(|earlier| &earlier.open);
        let all = self.current.iter().chain(earlier);
        all.map(|open| (open.device, open.inode)).collect()
    }
}

/// Opens the file at the path, if there is one.
fn opened(path: &Path) -> io::Result<Option<Open>> {
    match Open::new(path) {
        Ok(open) => Ok(Some(open)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
