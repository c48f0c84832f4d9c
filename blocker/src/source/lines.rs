//! From bytes as they come to lines, of which none takes more memory than is meant for it.

use std::borrow::Cow;

use memchr::memchr_iter;

/// Longest line that is taken in; what goes beyond is cut off.
pub const MAX_LINE: usize = 64 * 1024;

/// What becomes of a line that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooLong {
    /// Its beginning is handed on.
    Cut,
    /// Nothing of it is; an empty line stands for it.
    Skip,
}

/// Puts lines together.
#[derive(Debug)]
pub(super) struct Lines {
    max: usize,
    too_long: TooLong,
    /// The beginning of a line whose end is still to come.
    partial: Vec<u8>,
    /// The rest of a line is being passed over.
    skipping: bool,
}

/// A line's text, without the return that some programs put before its break.
#[must_use]
pub fn text(line: &[u8]) -> Cow<'_, str> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // Nearly every line is in order, which is seen faster than what is not is mended.
    str::from_utf8(line).map_or_else(|_| String::from_utf8_lossy(line), Cow::Borrowed)
}

/// A line without its line break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RawLine<'a> {
    pub(super) bytes: &'a [u8],
    /// Whether it was longer than may be.
    pub(super) cut: bool,
}

impl Lines {
    pub(super) const fn new(max: usize, too_long: TooLong) -> Self {
        Self {
            max,
            too_long,
            partial: Vec::new(),
            skipping: false,
        }
    }

    /// Takes in the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8], each: &mut dyn FnMut(RawLine<'_>)) {
        let mut begin = 0;
        for at in memchr_iter(b'\n', bytes) {
            self.piece(&bytes[begin..=at], each);
            begin = at + 1;
        }
        if begin < bytes.len() {
            self.piece(&bytes[begin..], each);
        }
    }

    /// Takes in a line's next piece; it ends the line if it ends with a line break.
    fn piece(&mut self, piece: &[u8], each: &mut dyn FnMut(RawLine<'_>)) {
        let (text, ends) = match piece.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (piece, false),
        };
        if self.skipping {
            self.skipping = !ends;
            return;
        }
        if self.partial.is_empty() && ends && text.len() <= self.max {
            each(RawLine {
                bytes: text,
                cut: false,
            });
            return;
        }
        let room = self.max - self.partial.len();
        let cut = text.len() > room;
        self.partial.extend_from_slice(&text[..text.len().min(room)]);
        if cut && self.too_long == TooLong::Skip {
            self.partial.clear();
        }
        if ends || cut {
            each(RawLine {
                bytes: &self.partial,
                cut,
            });
            self.partial.clear();
        }
        self.skipping = cut && !ends;
    }

    /// Hands on a last line that was never ended.
    pub(super) fn finish(&mut self, each: &mut dyn FnMut(RawLine<'_>)) {
        if !self.partial.is_empty() {
            each(RawLine {
                bytes: &self.partial,
                cut: false,
            });
        }
        self.forget();
    }

    /// Goes on as if nothing had been taken in.
    pub(super) fn forget(&mut self) {
        self.partial.clear();
        self.skipping = false;
    }

    /// Passes over what is left of the line in whose middle the next bytes are.
    pub(super) fn skip(&mut self) {
        self.partial.clear();
        self.skipping = true;
    }

    /// Bytes taken in of a line that was not handed on yet.
    pub(super) const fn pending(&self) -> usize {
        self.partial.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fed(too_long: TooLong, chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut lines = Lines::new(8, too_long);
        let mut all = Vec::new();
        for chunk in chunks {
            lines.feed(chunk, &mut |line| all.push((line.bytes.to_vec(), line.cut)));
        }
        all
    }

    #[test]
    fn a_line_too_long_is_cut_or_skipped_and_said_to_be() {
        let chunks: [&[u8]; 3] = [b"123456", b"789 and more", b" and more\nnext\n"];
        let next = (b"next".to_vec(), false);
        assert_eq!(fed(TooLong::Cut, &chunks), [(b"12345678".to_vec(), true), next.clone()]);
        assert_eq!(fed(TooLong::Skip, &chunks), [(vec![], true), next]);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_in_which_pieces_bytes_come(bytes in "[ab\n\0]{0,80}", at in 0..80_usize) {
            let bytes = bytes.as_bytes();
            let (first, second) = bytes.split_at(at.min(bytes.len()));
            for too_long in [TooLong::Cut, TooLong::Skip] {
                prop_assert_eq!(fed(too_long, &[first, second]), fed(too_long, &[bytes]));
            }
        }
    }
}
