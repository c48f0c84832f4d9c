//! Where a source was read up to, in a form that outlives the agent.
//!
//! A position says that every line before it was handed on and judged, so that the next agent reads what was written meanwhile
//! and no line twice. How positions are stored may not enter: they become text and come from it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Positions that are kept at the most: more than there may be sources, since some are of files that have gone.
const MAX_KEPT: usize = 4096;

/// Bytes at the beginning of a file that no other file begins with: a date to the second.
const TELLING: usize = 15;

/// Names a source by what it reads: `file /var/log/mail.log`, `journal SYSLOG_FACILITY=2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(String);

impl SourceId {
    /// The file at a path.
    #[must_use]
    pub fn file(path: &Path) -> Self {
        Self(format!("file {}", path.display()))
    }

    /// The journal, as its name in metrics tells which part of it.
    #[must_use]
    pub fn journal(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// A name that was kept.
    #[must_use]
    pub const fn from_text(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a source was read up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Position {
    /// In files.
    File {
        /// The file at the path, or where there was none the last that was.
        at: Place,
        /// Files that were at the path before and of which there was more to come, oldest first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        earlier: Vec<Place>,
    },
    /// In the systemd journal.
    Journal {
        /// The journal's own name for the last entry.
        cursor: String,
        /// When that entry was written.
        #[serde(with = "microseconds")]
        time: Timestamp,
    },
}

/// A place in a file, and what the file is known by after it was renamed or copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file system.
    pub device: u64,
    /// The file's number in it.
    pub inode: u64,
    /// Bytes before the place: whole lines, or the part of a line that is read no further.
    pub offset: u64,
    /// The file's first bytes, 128 or as many as there were.
    pub head: Vec<u8>,
}

impl Place {
    /// Whether a copy of the file can be told from other files: it begins with as much as a date.
    #[must_use]
    pub const fn is_telling(&self) -> bool {
        self.head.len() >= TELLING
    }
}

impl Position {
    /// The position as one line of text.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Strings, numbers and lists of them can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The places in files, that of the file at the path the last.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        match self {
            Self::File { at, earlier } => earlier.iter().chain([at]).cloned().collect(),
            Self::Journal { .. } => Vec::new(),
        }
    }

    /// Reads what [`Position::to_text`] wrote; `None` for anything else, as a later version may have written.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// The latest position of each source.
#[derive(Clone, Debug, Default)]
pub struct Positions(BTreeMap<SourceId, Position>);

impl Positions {
    /// Of one source.
    #[must_use]
    pub fn get(&self, source: &SourceId) -> Option<&Position> {
        self.0.get(source)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&SourceId, &Position)> {
        self.0.iter()
    }

    /// Takes note of a position, in the place of the source's last. Where there is no room left, another source is forgotten.
    pub fn set(&mut self, source: SourceId, position: Position) {
        if self.0.len() >= MAX_KEPT && !self.0.contains_key(&source) {
            self.0.pop_first();
        }
        self.0.insert(source, position);
    }
}

impl FromIterator<(SourceId, Position)> for Positions {
    fn from_iter<T: IntoIterator<Item = (SourceId, Position)>>(all: T) -> Self {
        let mut positions = Self::default();
        for (source, position) in all {
            positions.set(source, position);
        }
        positions
    }
}

/// A time as the journal tells it: microseconds since 1970.
mod microseconds {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.as_microsecond())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::from_microsecond(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_from_its_text() {
        let place = Place {
            device: u64::MAX,
            inode: 7,
            offset: 1 << 40,
            head: vec![0, 255, b'"'],
        };
        let cursor = "s=3aa6;i=1;b=7e82".to_owned();
        let time = Timestamp::from_microsecond(1_795_543_220_973_903).unwrap();
        for position in [
            Position::File {
                at: place.clone(),
                earlier: vec![],
            },
            Position::File {
                at: Place::default(),
                earlier: vec![place],
            },
            Position::Journal { cursor, time },
        ] {
            let text = position.to_text();
            assert!(!text.contains('\n'));
            assert_eq!(Position::from_text(&text), Some(position));
        }
    }

    #[test]
    fn what_is_no_position_is_none() {
        for text in ["", "{}", "{\"file\":{}}", "{\"tape\":{\"reel\":3}}", "\0"] {
            assert_eq!(Position::from_text(text), None);
        }
    }

    #[test]
    fn no_more_positions_are_kept_than_there_is_room_for() {
        let position = || Position::File {
            at: Place::default(),
            earlier: vec![],
        };
        let ids = (0..MAX_KEPT + 9).map(|n| SourceId::from_text(n.to_string()));
        let positions: Positions = ids.map(|id| (id, position())).collect();
        assert_eq!(positions.iter().count(), MAX_KEPT);
    }
}
