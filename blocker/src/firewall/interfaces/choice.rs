//! Which of the machine's interfaces are meant.

use super::{Interface, Pattern, with_default_route};

/// What the operator chose, or the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// Those whose name one of these matches, at each look: after a rename the new name counts.
    Named(Vec<Pattern>),
    /// Those that have had a default route since the agent started. Taking a link down takes its routes too, and a lease may run
    /// out: so a route that is gone is no reason to uncover the interface.
    WithDefaultRoute,
}

impl Chosen {
    /// What these patterns mean: none at all means the default.
    #[must_use]
    pub fn new(patterns: &[Pattern]) -> Self {
        match patterns {
            [] => Self::WithDefaultRoute,
            patterns => Self::Named(patterns.to_vec()),
        }
    }

    /// Those of the present interfaces that are meant; `was_covered` says of one whether it was until now.
    #[must_use]
    pub fn among<'a>(&self, present: &'a [Interface], was_covered: impl Fn(&Interface) -> bool) -> Vec<&'a Interface> {
        let is_meant: Box<dyn Fn(&Interface) -> bool + '_> = match self {
            Self::Named(patterns) => {
                Box::new(|interface| patterns.iter().any(|pattern| pattern.matches(&interface.name)))
            }
            Self::WithDefaultRoute => {
                let routed = with_default_route();
                Box::new(move |interface| was_covered(interface) || routed.contains(&interface.name))
            }
        };
        present.iter().filter(|interface| is_meant(interface)).collect()
    }
}
