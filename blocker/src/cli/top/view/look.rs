//! Colours: the sixteen that a terminal's owner has chosen, so that they fit a dark one and a light one, or none.

use ratatui::style::{Color, Modifier, Style};

/// Which colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Look {
    coloured: bool,
}

impl Look {
    /// With colours, unless `NO_COLOR` is set.
    pub(in super::super) fn of_environment() -> Self {
        Self {
            coloured: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }

    /// With colours, or without.
    #[cfg(test)]
    pub(super) const fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    fn with(self, colour: Color) -> Style {
        if self.coloured {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// What is wrong.
    pub(super) fn bad(self) -> Style {
        self.with(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Packets dropped.
    pub(super) fn drops(self) -> Style {
        self.with(Color::Green)
    }

    /// Bans made.
    pub(super) fn bans(self) -> Style {
        self.with(Color::Magenta)
    }

    /// The heading of a table.
    pub(super) fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What is to be seen first.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }
}
