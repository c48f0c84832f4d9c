//! The templates that are tried where a filter names no date pattern: how programs write dates into logs.
//!
//! They are fail2ban's, in its order, since the first that matches decides what `01/02/03` means. Where it writes one template for
//! several separators, there is one for each here, so that no back reference is needed.

use std::sync::{Arc, LazyLock};

use super::template::{self, Template};

/// All templates, compiled once: most filters share them.
static ALL: LazyLock<Vec<Arc<Template>>> = LazyLock::new(|| {
    let free = patterns().filter(|pattern| !is_anchored(pattern));
    let anchored = free.filter_map(|pattern| compiled(&format!("{LINE_BEGIN}{pattern}")));
    anchored.chain(patterns().filter_map(compiled)).collect()
});

/// Year, month and day with a separator, then the clock: ISO 8601 and RFC 3339, rsyslog's default; `/` and `.` for others.
const YEAR_FIRST: [&str; 3] = [
    r"%ExY-%m-%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?",
    r"%ExY/%m/%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?",
    r"%ExY\.%m\.%d(?:T|  ?)%H:%M:%S(?:[.,]%f)?(?:\s*%z)?",
];
/// RFC 3164's date, with the additions of `asctime`: week day before, year behind.
const MONTH_NAME: &str = r"(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?";
/// The same with the year between day and clock.
const MONTH_NAME_YEAR: &str = r"(?:%a )?%b %d %ExY %k:%M:%S(?:\.%f)?";
const DAY_FIRST: [&str; 2] = ["%d-%m-(?:%ExY|%Exy) %k:%M:%S", "%d/%m/(?:%ExY|%Exy) %k:%M:%S"];
/// The common log format of web servers, BIND, Roundcube.
const DAY_MONTH_NAME: [&str; 2] = [
    r"%d-%b-%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?",
    r"%d/%b/%ExY[ :]?%H:%M:%S(?:\.%f)?(?: %z)?",
];
const OTHERS: [&str; 11] = [
    "%m/%d/%ExY:%H:%M:%S",
    r"%m-%d-%ExY %k:%M:%S(?:\.%f)?",
    "EPOCH",
    "{^LN-BEG}%H:%M:%S",
    "^<%m/%d/%Exy@%H:%M:%S>",
    "%Exy%Exm%Exd  ?%H:%M:%S",
    "%b %d, %ExY %I:%M:%S %p",
    "^%b-%d-%Exy %k:%M:%S",
    r"%ExY%Exm%Exd(?:T|  ?)%ExH%ExM%ExS(?:[.,]%f)?(?:\s*%z)?",
    r"(?:%Z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
    r"(?:%z )?(?:%a )?%b %d %k:%M:%S(?:\.%f)?(?: %ExY)?",
];
const TAI64N: &str = "TAI64N";

/// The beginning of a line, behind at most two signs such as a bracket.
pub(super) const LINE_BEGIN: &str = "{^LN-BEG}";

/// The patterns, in order.
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    YEAR_FIRST
        .into_iter()
        .chain([MONTH_NAME, MONTH_NAME_YEAR])
        .chain(DAY_FIRST)
        .chain(DAY_MONTH_NAME)
        .chain(OTHERS)
        .chain([TAI64N])
}

/// All templates: each held to the line's beginning, then each as it is.
pub(super) fn all() -> Vec<Arc<Template>> {
    ALL.clone()
}

/// The templates that hold the line's beginning.
pub(super) fn at_line_begin() -> Vec<Arc<Template>> {
    ALL.iter()
        .filter(|template| is_anchored(&template.name))
        .cloned()
        .collect()
}

fn is_anchored(pattern: &str) -> bool {
    pattern.starts_with('^') || pattern.starts_with(LINE_BEGIN)
}

/// A default pattern compiles; the test below holds every one to that.
fn compiled(pattern: &str) -> Option<Arc<Template>> {
    template::one(pattern).ok().map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_pattern_compiles_for_the_linear_engine() {
        for pattern in patterns() {
            let template = template::one(pattern).unwrap();
            assert_eq!(template.pattern.engine(), "regex", "{pattern}");
        }
        let anchored = patterns().filter(|pattern| is_anchored(pattern)).count();
        assert_eq!(all().len(), 2 * patterns().count() - anchored);
        assert_eq!(at_line_begin().len(), patterns().count());
    }
}
