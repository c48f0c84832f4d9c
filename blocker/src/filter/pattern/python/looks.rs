//! Where look-around stands in an expression, so that it can be told what the expression is without.

use std::ops::Range;

use super::super::relaxed::{LookAhead, Relaxation, marker};

/// The look-around of an expression.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// In the order in which they open.
    all: Vec<Look>,
    /// Those that have not closed, by their index.
    open: Vec<usize>,
    /// Whether look-around is not all that no linear-time engine can do, or says something else than it seems to where it stands.
    needs_backtracking: bool,
}

#[derive(Debug)]
struct Look {
    /// Where it lies in the translated expression, with its brackets.
    range: Range<usize>,
    /// Where what it looks for begins.
    content: usize,
    is_negative: bool,
    is_behind: bool,
}

impl Looks {
    /// Look-around opens here; `is_flagged` says whether it lies in a group with flags of its own.
    pub(super) fn open(&mut self, at: usize, sign: &str, is_flagged: bool) {
        self.needs_backtracking |= is_flagged || !self.open.is_empty();
        self.open.push(self.all.len());
        self.all.push(Look {
            range: at..at,
            content: at + "(?:(?".len() + sign.len(),
            is_negative: sign.ends_with('!'),
            is_behind: sign.starts_with('<'),
        });
    }

    /// The latest that is open ends here.
    pub(super) fn close(&mut self, at: usize) {
        if let Some(look) = self.open.pop().and_then(|latest| self.all.get_mut(latest)) {
            look.range.end = at;
        }
    }

    /// The expression cannot do without backtracking.
    pub(super) const fn only_backtracking(&mut self) {
        self.needs_backtracking = true;
    }

    /// The expression without its look-aheads. `None` where there is more to it than these.
    pub(super) fn relaxation(&self, expression: &str, flags: &str) -> Option<Relaxation> {
        if self.needs_backtracking || self.all.iter().any(|look| look.is_behind) {
            return None;
        }
        let look_ahead = |look: &Look| LookAhead {
            expression: format!("{flags}(?:{})", look.content(expression)),
            is_negative: look.is_negative,
        };
        Some(Relaxation {
            expression: self.replaced(expression, flags, |n, _| format!("(?P<{}>)", marker(n))),
            looks: self.all.iter().map(look_ahead).collect(),
        })
    }

    /// What every text that matches holds; see [`super::Translated::implied`].
    ///
    /// What look-around must find lies over what stands beside it, and is not followed by it: hence whatever there may be between the two.
    pub(super) fn implied(&self, expression: &str, flags: &str) -> Option<String> {
        if self.needs_backtracking {
            return None;
        }
        Some(self.replaced(expression, flags, |_, look| {
            if look.is_negative {
                "(?:)".to_owned()
            } else {
                format!("(?s:.)*(?:{})(?s:.)*", look.content(expression))
            }
        }))
    }

    fn replaced(&self, expression: &str, flags: &str, by: impl Fn(usize, &Look) -> String) -> String {
        let mut text = flags.to_owned();
        let mut from = 0;
        for (n, look) in self.all.iter().enumerate() {
            text.push_str(&expression[from..look.range.start]);
            text.push_str(&by(n, look));
            from = look.range.end;
        }
        text + &expression[from..]
    }
}

impl Look {
    fn content<'a>(&self, expression: &'a str) -> &'a str {
        &expression[self.content..self.range.end - super::group::LOOK_CLOSE.len()]
    }
}
