//! A bar that shows how far logs are read, on a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// Bytes below which reading shows no progress: it is over at once.
const LONG: u64 = 16 * 1024 * 1024;

/// A bar for so many bytes, hidden where they are few.
pub(super) fn bar(bytes: u64) -> ProgressBar {
    if bytes < LONG {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {eta} left");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
