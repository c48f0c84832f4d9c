//! What came to the log's path and was rotated away between two looks.

use std::io;
use std::time::Instant;

use super::open::Open;
use super::{IsOver, Others, Tail, beside};
use crate::source::position::Place;

impl Tail {
    /// Takes up the files that were at the path and were rotated away between two looks.
    pub(super) fn push_unseen(&mut self, now: Instant) -> io::Result<()> {
        if self.others == Others::Leave {
            return Ok(());
        }
        let rotated = beside::rotated(&self.path)?;
        let known = self.known.union(&self.held()).copied().collect();
        let unseen = beside::unknown(&self.path, &known, |_| true)?;
        // After they were opened: what came into the file since may have been copied since.
        if let Some(open) = &mut self.current {
            open.look()?;
        }
        self.known = rotated;
        let current = self.current.as_ref().map(Open::place);
        let earlier = self.earlier.iter().map(|earlier| earlier.open.place());
        let read: Vec<Place> = earlier.chain(self.gone.iter().cloned()).collect();
        for open in unseen {
            if read.iter().any(|place| open.begins_as(place).unwrap_or(true)) {
                continue;
            }
            // A copy of what is still to be read, or one that is not whole yet: what it is shows at the next rotation.
            if read
                .iter()
                .chain(&current)
                .any(|place| open.begins_like(place).unwrap_or(true))
            {
                self.known.remove(&(open.device, open.inode));
                continue;
            }
            self.known.insert((open.device, open.inode));
            self.push(open, now, IsOver::Yes);
        }
        Ok(())
    }
}
