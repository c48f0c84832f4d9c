//! A log that is there already: read once, from its beginning to its end, as it is or out of gzip.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;

use super::MAX_LINE;

/// Bytes that are read at a time.
const CHUNK: usize = 256 * 1024;
/// What gzip's files begin with, and no line of a log. RFC 1952, 2.3.1.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// How standard input is named.
pub const STDIN: &str = "-";

/// Where a log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLog {
    path: PathBuf,
    /// Device and inode, where it is a file that can be opened again.
    file: Option<(u64, u64)>,
    /// Its length as it is stored, in bytes; 0 where that is not known.
    pub len: u64,
    /// When it was last written; now, where it is a stream.
    pub written: Timestamp,
}

/// The lines of a log.
pub struct Lines {
    input: Box<dyn BufRead>,
    /// Lines so far that were longer than [`MAX_LINE`].
    pub cut: u64,
}

impl StoredLog {
    /// Looks for the log of this name; `-` is standard input.
    ///
    /// # Errors
    ///
    /// When there is none, or it is a folder.
    pub fn new(name: &Path) -> io::Result<Self> {
        let stream = Self {
            path: name.to_owned(),
            file: None,
            len: 0,
            written: Timestamp::now(),
        };
        if name == Path::new(STDIN) {
            return Ok(stream);
        }
        let metadata = fs::metadata(name)?;
        if metadata.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                "is a folder; name a log file in it",
            ));
        }
        if !metadata.is_file() {
            return Ok(stream);
        }
        Ok(Self {
            file: Some((metadata.dev(), metadata.ino())),
            len: metadata.len(),
            written: timestamp(metadata.modified()?),
            ..stream
        })
    }

    /// The name.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it can be opened more than once.
    #[must_use]
    pub const fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// Whether the two are one log by two names.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.path == other.path || (self.file.is_some() && self.file == other.file)
    }

    /// Opens the log at its beginning. `wrap` may look on while its bytes are read, as they are stored.
    ///
    /// # Errors
    ///
    /// When it cannot be opened or read.
    pub fn open(&self, wrap: impl FnOnce(Box<dyn Read>) -> Box<dyn Read>) -> io::Result<Lines> {
        let input: Box<dyn Read> = if self.path == Path::new(STDIN) {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(&self.path)?)
        };
        Lines::new(wrap(input))
    }
}

impl Lines {
    /// Reads lines from here on.
    ///
    /// # Errors
    ///
    /// When not even the first bytes can be read.
    pub fn new(mut input: Box<dyn Read>) -> io::Result<Self> {
        let mut begin = Vec::with_capacity(GZIP.len());
        input.by_ref().take(GZIP.len() as u64).read_to_end(&mut begin)?;
        let is_gzip = begin == GZIP;
        let whole = BufReader::with_capacity(CHUNK, io::Cursor::new(begin).chain(input));
        let input: Box<dyn BufRead> = if is_gzip {
            // A file may be several put behind each other.
            Box::new(BufReader::with_capacity(CHUNK, MultiGzDecoder::new(whole)))
        } else {
            Box::new(whole)
        };
        Ok(Self { input, cut: 0 })
    }

    /// Puts the next line into `line`, without its break and up to [`MAX_LINE`]; `false` at the end.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn next(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let limit = MAX_LINE as u64 + 1;
        let read = self.input.by_ref().take(limit).read_until(b'\n', line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if line.len() > MAX_LINE {
            line.truncate(MAX_LINE);
            self.cut += 1;
            self.input.skip_until(b'\n')?;
        }
        Ok(read > 0)
    }
}

/// A file's time; what lies beyond all time is its end.
fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lines(bytes: &[u8]) -> io::Result<(Vec<String>, u64)> {
        let mut lines = Lines::new(Box::new(io::Cursor::new(bytes.to_vec())))?;
        let (mut line, mut all) = (Vec::new(), Vec::new());
        while lines.next(&mut line)? {
            all.push(String::from_utf8_lossy(&line).into_owned());
        }
        Ok((all, lines.cut))
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn lines_come_whole_and_the_last_need_not_end() {
        for (text, expected) in [
            ("", &[][..]),
            ("\n", &[""]),
            ("a", &["a"]),
            ("a\nb\r\n\nc", &["a", "b\r", "", "c"]),
        ] {
            assert_eq!(lines(text.as_bytes()).unwrap().0, expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_is_read_up_to_the_longest_length_and_the_next_one_whole() {
        let longest = "x".repeat(MAX_LINE);
        let (read, cut) = lines(format!("{longest}\n{longest}yz\nnext\n{longest}y").as_bytes()).unwrap();
        assert_eq!(read, [&longest, &longest, "next", &longest]);
        assert_eq!(cut, 2);
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes_and_may_be_several_files_in_one() {
        let two = [gzip("a\nb"), gzip("c\nd\n")].concat();
        assert_eq!(lines(&two).unwrap().0, ["a", "bc", "d"]);
    }

    #[test]
    fn gzip_that_is_broken_off_or_spoilt_is_an_error() {
        let whole = gzip("a line of a log\n");
        assert!(lines(&whole[..whole.len() - 9]).is_err());
        assert!(lines(&[&GZIP[..], b"no gzip at all"].concat()).is_err());
        assert!(lines(&GZIP).is_err());
    }

    #[test]
    fn one_file_by_two_names_is_one_log() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&first, "x").unwrap();
        std::os::unix::fs::symlink(&first, &second).unwrap();
        let log = |path: &Path| StoredLog::new(path).unwrap();
        assert!(log(&first).is_same(&log(&second)));
        fs::remove_file(&second).unwrap();
        fs::write(&second, "x").unwrap();
        assert!(!log(&first).is_same(&log(&second)));
        assert!(log(Path::new("-")).is_same(&log(Path::new("-"))));
        assert!(StoredLog::new(folder.path()).is_err());
    }
}
