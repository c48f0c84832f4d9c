//! One file that is being read, wherever its path may lead by now.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use jiff::Timestamp;
use nix::fcntl::OFlag;

use super::super::lines::{Lines, MAX_LINE, RawLine, TooLong};
use super::super::position::Place;

/// Bytes by which a file's beginning is known: more than a date and a host's name.
const HEAD: usize = 128;
/// Bytes read at a time.
pub(super) const CHUNK: usize = 64 * 1024;
/// Below so many bytes it is not worth looking for the first line that is young enough.
const WORTH_SEARCHING: u64 = 4 * CHUNK as u64;

/// Tells when a line was written, if it says so.
pub type DateOf<'a> = &'a mut dyn FnMut(&[u8]) -> Option<Timestamp>;

/// Takes a line, and whether a former agent has read it before.
pub(in crate::source) type Each<'a> = &'a mut dyn FnMut(RawLine<'_>, bool);

/// A file that is being read.
#[derive(Debug)]
pub(super) struct Open {
    file: File,
    pub(super) device: u64,
    pub(super) inode: u64,
    position: u64,
    /// What stands before was read by a former agent.
    again_until: u64,
    /// How the file begins, as far as that was there when it was last looked at.
    head: Vec<u8>,
    lines: Lines,
}

/// What one reading came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// At least one byte. Whether there may be more at once.
    Read {
        /// Whether there may be more at once.
        more: bool,
    },
    /// The end of the file.
    End,
    /// The file was truncated since the last reading.
    Truncated,
}

impl Open {
    /// Opens a file at its beginning.
    pub(super) fn new(path: &Path) -> io::Result<Self> {
        // A pipe at the path must not keep the reader waiting.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "is neither a file nor a link to one",
            ));
        }
        let mut open = Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            file,
            position: 0,
            again_until: 0,
            head: Vec::new(),
            lines: Lines::new(MAX_LINE, TooLong::Cut),
        };
        open.head = open.beginning(HEAD as u64)?;
        Ok(open)
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Where it was read up to by this agent: the beginning of a line.
    pub(super) fn here(&self) -> u64 {
        self.position - self.lines.pending() as u64
    }

    /// Where it was read up to, by whatever agent.
    pub(super) fn place(&self) -> Place {
        Place {
            device: self.device,
            inode: self.inode,
            offset: self.here().max(self.again_until),
            head: self.head.clone(),
        }
    }

    /// Whether this is the file of the place, and not another that has its number by now.
    pub(super) fn is(&self, place: &Place) -> io::Result<bool> {
        Ok((self.device, self.inode) == (place.device, place.inode) && self.holds(place)?)
    }

    /// Whether what was read before the place stands here too: in the same file, or in a copy of it.
    pub(super) fn holds(&self, place: &Place) -> io::Result<bool> {
        let long_enough = self.metadata()?.len() >= place.offset;
        Ok(long_enough && self.beginning(place.head.len() as u64)? == place.head)
    }

    /// Whether this begins with all that is known of the place's file, as copies of it do.
    pub(super) fn begins_as(&self, place: &Place) -> io::Result<bool> {
        Ok(place.is_telling() && self.beginning(place.head.len() as u64)? == place.head)
    }

    /// Whether this holds what was read of another, as far as its first and its last bytes show.
    pub(super) fn has_all_of(&self, other: &Self) -> io::Result<bool> {
        let place = other.place();
        let last = |open: &Self| open.bytes(place.offset.saturating_sub(HEAD as u64), place.offset);
        Ok(self.begins_as(&place)? && last(self)? == last(other)?)
    }

    /// Whether this may be a copy of the place's file: one that need not be whole yet, and that has nothing in it at first.
    pub(super) fn begins_like(&self, place: &Place) -> io::Result<bool> {
        Ok(place.is_telling() && place.head.starts_with(&self.beginning(place.head.len() as u64)?))
    }

    /// Whether both are one file.
    pub(super) const fn is_same(&self, other: &Self) -> bool {
        self.device == other.device && self.inode == other.inode
    }

    /// Whether this is the file of the place, or a copy of it.
    pub(super) fn is_known(&self, place: &Place) -> io::Result<bool> {
        Ok(self.is(place)? || place.is_telling() && self.holds(place)?)
    }

    /// Takes note that a former agent has read what stands before `offset`.
    pub(super) fn was_read(&mut self, offset: u64) {
        self.again_until = self.again_until.max(offset);
    }

    /// Goes to a place, or where that is in the middle of a line to the next one.
    pub(super) fn go_to(&mut self, offset: u64) -> io::Result<()> {
        self.lines.forget();
        self.position = offset;
        let mut before = [0];
        if let Some(last) = offset.checked_sub(1)
            && (self.file.read_at(&mut before, last)? == 0 || before != *b"\n")
        {
            self.lines.skip();
        }
        self.look()
    }

    /// Looks again how the file begins, where not all of that was there.
    pub(super) fn look(&mut self) -> io::Result<()> {
        if self.head.len() < HEAD {
            let head = self.beginning(HEAD as u64)?;
            // Else it was truncated, which is found when it is read.
            if head.starts_with(&self.head) {
                self.head = head;
            }
        }
        Ok(())
    }

    /// Goes forward to `bytes` before the end, at the beginning of a line, if it is not there yet.
    pub(super) fn skip_to(&mut self, bytes: u64) -> io::Result<()> {
        self.skip_past(self.metadata()?.len().saturating_sub(bytes))
    }

    /// Goes forward to `bytes` before what no agent has read, at the beginning of a line, if it is not there yet.
    pub(super) fn skip_read(&mut self, bytes: u64) -> io::Result<()> {
        self.skip_past(self.again_until.saturating_sub(bytes))
    }

    /// Goes forward to `offset`, or to the next line after it, if it is not there yet.
    pub(super) fn skip_past(&mut self, offset: u64) -> io::Result<()> {
        if offset > self.position {
            self.go_to(offset)?;
        }
        Ok(())
    }

    /// Goes forward past lines that were written before `since`, as far as that is found with a few looks: lines stand in the order
    /// in which they were written.
    pub(super) fn skip_before(&mut self, since: Timestamp, date_of: DateOf<'_>) -> io::Result<()> {
        let (mut old, mut young) = (self.position, self.metadata()?.len());
        while young.saturating_sub(old) > WORTH_SEARCHING {
            let middle = old + (young - old) / 2;
            match self.date_at(middle, date_of)? {
                Some(date) if date < since => old = middle,
                Some(_) => young = middle,
                None => break,
            }
        }
        self.skip_past(old)
    }

    /// When the first dated line after `offset` was written.
    fn date_at(&self, offset: u64, date_of: DateOf<'_>) -> io::Result<Option<Timestamp>> {
        let mut chunk = [0; CHUNK];
        let read = self.file.read_at(&mut chunk, offset)?;
        let mut lines = chunk[..read].split(|byte| *byte == b'\n');
        // The first begins before the chunk.
        lines.next();
        Ok(lines.find_map(date_of))
    }

    /// The file's first bytes now, [`HEAD`] or `len` of them at the most.
    fn beginning(&self, len: u64) -> io::Result<Vec<u8>> {
        self.bytes(0, len)
    }

    /// What stands there now, at most [`HEAD`] bytes.
    fn bytes(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; HEAD.min(usize::try_from(to - from).unwrap_or(HEAD))];
        let read = self.file.read_at(&mut bytes, from)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    pub(super) fn was_truncated(&self) -> io::Result<bool> {
        let shorter = self.metadata()?.len() < self.position;
        Ok(shorter || self.beginning(self.head.len() as u64)? != self.head)
    }

    /// Reads one chunk.
    pub(super) fn read(&mut self, each: Each<'_>) -> io::Result<Reading> {
        let mut chunk = [0; CHUNK];
        let again = self.again_until.saturating_sub(self.position);
        let most = usize::try_from(again).map_or(CHUNK, |again| if again == 0 { CHUNK } else { again.min(CHUNK) });
        let read = self.file.read_at(&mut chunk[..most], self.position)?;
        // Asked after reading: what was read of a file that was truncated just before is the middle of something else.
        if self.was_truncated()? {
            return Ok(Reading::Truncated);
        }
        if read == 0 {
            return Ok(Reading::End);
        }
        self.take(&chunk[..read], again > 0, each);
        Ok(Reading::Read { more: read == most })
    }

    /// Takes in what was read. How the file begins comes from that as well: the file itself may have been truncated since.
    fn take(&mut self, chunk: &[u8], again: bool, each: Each<'_>) {
        if let Some(known) = (self.head.len() as u64).checked_sub(self.position) {
            let room = HEAD - self.head.len();
            self.head.extend(chunk.iter().skip(known as usize).take(room));
        }
        self.position += chunk.len() as u64;
        self.lines.feed(chunk, &mut |line| each(line, again));
    }

    /// Goes back to the beginning of a file that was truncated.
    pub(super) fn begin_again(&mut self) -> io::Result<()> {
        self.head = self.beginning(HEAD as u64)?;
        self.again_until = 0;
        self.go_to(0)
    }

    /// Hands on a last line that was never ended.
    pub(super) fn finish(&mut self, each: Each<'_>) {
        let again = self.position <= self.again_until;
        self.lines.finish(&mut |line| each(line, again));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_what_was_read_of_it_though_it_is_truncated_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mail.log");
        std::fs::write(&path, "").unwrap();
        let mut open = Open::new(&path).unwrap();
        open.take(b"a line ", false, &mut |_, _| {});
        open.take(b"long enough\n", false, &mut |_, _| {});
        assert_eq!(open.place().head, b"a line long enough\n");
        open.take(&[b'x'; 2 * HEAD], false, &mut |_, _| {});
        assert_eq!(open.place().head.len(), HEAD);
    }
}
