//! Follows one log file through its rotations.
//!
//! At a rotation by renaming, the writer goes on in the old file until it is told, often for seconds after the new one exists.
//! So the old file is kept open beside the new one until it has been quiet for [`GRACE`]. A file that became shorter than what
//! was read of it, or that begins differently now, was truncated (`copytruncate`) and is read from its beginning; the length alone
//! would not show a file that has grown again meanwhile.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest line that is taken in; what goes beyond is cut off.
pub const MAX_LINE: usize = 64 * 1024;
/// How long a rotated file must be quiet before it is let go.
pub const GRACE: Duration = Duration::from_secs(60);
/// Bytes by which a file's beginning is known: more than a date and a host's name.
const HEAD: usize = 128;
/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// Where to begin in a file that exists at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At most this many bytes before its end, at the beginning of a line.
    Before(u64),
    /// At its end.
    End,
}

/// What one reading brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether there may be more at once.
    pub more: bool,
    /// Lines that were longer than [`MAX_LINE`].
    pub cut: u64,
    /// Whether another file has taken the path's place, or the file was truncated.
    pub rotated: bool,
}

/// One log file, followed.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    current: Option<Open>,
    /// The file before the last rotation, and when it last grew.
    rotated: Option<(Open, Instant)>,
}

/// A file that is being read.
#[derive(Debug)]
struct Open {
    file: File,
    device: u64,
    inode: u64,
    position: u64,
    /// How the file begins, as far as that was read.
    head: Vec<u8>,
    /// The beginning of a line whose end is still to come.
    partial: Vec<u8>,
    /// The rest of a line that was cut is being passed over.
    skipping: bool,
}

impl Tail {
    /// Begins to follow `path`. The file need not exist yet.
    ///
    /// # Errors
    ///
    /// When the file exists and cannot be opened.
    pub fn new(path: &Path, begin: Begin) -> io::Result<Self> {
        let current = match Open::new(path) {
            Ok(mut open) => {
                open.begin(begin)?;
                Some(open)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self {
            path: path.to_owned(),
            current,
            rotated: None,
        })
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there is a file at the path.
    #[must_use]
    pub const fn exists(&self) -> bool {
        self.current.is_some()
    }

    /// Hands every whole line of what is there to `each`, without its line break, up to a few chunks at a time.
    ///
    /// # Errors
    ///
    /// When a file cannot be read. The next call tries again.
    pub fn read(&mut self, now: Instant, mut each: impl FnMut(&[u8])) -> io::Result<Progress> {
        let mut progress = Progress::default();
        if let Some((open, grown)) = &mut self.rotated {
            let read = open.read(&mut each, &mut progress)?;
            if read > 0 {
                *grown = now;
            } else if now.duration_since(*grown) >= GRACE {
                open.finish(&mut each);
                self.rotated = None;
            }
            progress.more |= read > 0;
        }
        if let Some(open) = &mut self.current {
            let read = open.read(&mut each, &mut progress)?;
            if read > 0 {
                progress.more = true;
                return Ok(progress);
            }
        }
        // Only at the end of the file is it time to ask whether it is still the one at the path.
        progress.rotated |= self.follow(now, &mut each)?;
        progress.more |= progress.rotated;
        Ok(progress)
    }

    /// Opens the file that has taken the path's place, if one has.
    fn follow(&mut self, now: Instant, each: &mut impl FnMut(&[u8])) -> io::Result<bool> {
        let there = match self.path.metadata() {
            Ok(metadata) => Some((metadata.dev(), metadata.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let held = self.current.as_ref().map(|open| (open.device, open.inode));
        // A path without a file: the writer may still hold the one we hold.
        if there.is_none() || there == held {
            return Ok(false);
        }
        let next = match Open::new(&self.path) {
            Ok(next) => next,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if let Some((mut oldest, _)) = self.rotated.take() {
            oldest.finish(each);
        }
        self.rotated = self.current.replace(next).map(|open| (open, now));
        Ok(true)
    }
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            file,
            position: 0,
            head: Vec::new(),
            partial: Vec::new(),
            skipping: false,
        })
    }

    fn begin(&mut self, begin: Begin) -> io::Result<()> {
        let len = self.file.metadata()?.len();
        match begin {
            Begin::End => self.position = len,
            Begin::Before(bytes) if bytes < len => {
                // One byte earlier: if that is a line break, the next line is whole.
                self.position = len - bytes - 1;
                self.skipping = true;
            }
            Begin::Before(_) => {}
        }
        self.head = self.beginning(self.position)?;
        Ok(())
    }

    /// The file's first bytes now, [`HEAD`] or `len` of them at the most.
    fn beginning(&self, len: u64) -> io::Result<Vec<u8>> {
        let mut head = vec![0; HEAD.min(usize::try_from(len).unwrap_or(HEAD))];
        let read = self.file.read_at(&mut head, 0)?;
        head.truncate(read);
        Ok(head)
    }

    fn was_truncated(&self) -> io::Result<bool> {
        let shorter = self.file.metadata()?.len() < self.position;
        Ok(shorter || self.beginning(self.head.len() as u64)? != self.head)
    }

    /// Reads one chunk and says how long it was.
    fn read(&mut self, each: &mut impl FnMut(&[u8]), progress: &mut Progress) -> io::Result<usize> {
        self.file.seek(SeekFrom::Start(self.position))?;
        let mut chunk = [0; CHUNK];
        let read = self.file.read(&mut chunk)?;
        // Asked after reading: what was read of a file that was truncated just before is the middle of something else.
        if self.was_truncated()? {
            self.position = 0;
            self.head.clear();
            self.partial.clear();
            self.skipping = false;
            progress.rotated = true;
            return Ok(0);
        }
        self.position += read as u64;
        if self.head.len() < HEAD && read > 0 {
            self.head = self.beginning(self.position)?;
        }
        for piece in chunk[..read].split_inclusive(|byte| *byte == b'\n') {
            self.piece(piece, each, progress);
        }
        Ok(read)
    }

    /// Takes in a line's next piece; it ends the line if it ends with a line break.
    fn piece(&mut self, piece: &[u8], each: &mut impl FnMut(&[u8]), progress: &mut Progress) {
        let (text, ends) = match piece.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (piece, false),
        };
        if self.skipping {
            self.skipping = !ends;
            return;
        }
        if self.partial.is_empty() && ends && text.len() <= MAX_LINE {
            each(text);
            return;
        }
        let room = MAX_LINE - self.partial.len();
        self.partial.extend_from_slice(&text[..text.len().min(room)]);
        let too_long = text.len() > room;
        if ends || too_long {
            each(&self.partial);
            self.partial.clear();
        }
        if too_long {
            progress.cut += 1;
            self.skipping = !ends;
        }
    }

    /// Hands on a last line that was never ended.
    fn finish(&mut self, each: &mut impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            each(&self.partial);
            self.partial.clear();
        }
    }
}

#[cfg(test)]
mod tests;
