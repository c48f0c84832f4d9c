//! What the keys do.

use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// To end.
    Quit,
    /// Away from what is shown: from the keys, else to end.
    Back,
    /// To scroll the hosts.
    Up,
    /// See [`Action::Up`].
    Down,
    /// By as many as are shown.
    PageUp,
    /// See [`Action::PageUp`].
    PageDown,
    /// To the first of them.
    First,
    /// To the last.
    Last,
    /// Another order of hosts.
    Order,
    /// To stand still, or to go on.
    Pause,
    /// To show the keys, or not any more.
    Help,
    /// To draw, since the terminal has another size.
    Draw,
}

/// The keys as they are told; README and docs/top.md have them too.
pub(super) const KEYS: [(&str, &str); 7] = [
    ("q, Esc, Ctrl-C", "quit"),
    ("↑ ↓, k j", "scroll the hosts"),
    ("PgUp PgDn", "by a page"),
    ("Home End, g G", "to the first, to the last"),
    ("s", "hosts: loudest, latest, soonest to end"),
    ("p, Space", "pause; the agent is asked nothing"),
    ("?, h", "show the keys, or not"),
];

/// What an event of the terminal asks for, if anything.
pub(super) fn action(event: &Event) -> Option<Action> {
    let key = match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        Event::Resize(..) => return Some(Action::Draw),
        _ => return None,
    };
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return (key.code == KeyCode::Char('c')).then_some(Action::Quit);
    }
    match key.code {
        KeyCode::Char('q') => Some(Action::Quit),
        KeyCode::Esc => Some(Action::Back),
        KeyCode::Up | KeyCode::Char('k') => Some(Action::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Action::Down),
        KeyCode::PageUp => Some(Action::PageUp),
        KeyCode::PageDown => Some(Action::PageDown),
        KeyCode::Home | KeyCode::Char('g') => Some(Action::First),
        KeyCode::End | KeyCode::Char('G') => Some(Action::Last),
        KeyCode::Char('s') => Some(Action::Order),
        KeyCode::Char('p' | ' ') => Some(Action::Pause),
        KeyCode::Char('?' | 'h') => Some(Action::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    fn of(code: KeyCode, modifiers: KeyModifiers) -> Option<Action> {
        action(&Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn each_key_does_what_is_told_of_it() {
        let plain = KeyModifiers::NONE;
        assert_eq!(of(KeyCode::Char('q'), plain), Some(Action::Quit));
        assert_eq!(of(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Quit));
        assert_eq!(of(KeyCode::Char('c'), plain), None);
        assert_eq!(of(KeyCode::Char('p'), KeyModifiers::CONTROL), None);
        assert_eq!(of(KeyCode::Esc, plain), Some(Action::Back));
        assert_eq!(of(KeyCode::Char('?'), KeyModifiers::SHIFT), Some(Action::Help));
        assert_eq!(of(KeyCode::Char('j'), plain), of(KeyCode::Down, plain));
        assert_eq!(of(KeyCode::F(1), plain), None);
        assert_eq!(action(&Event::Resize(0, 0)), Some(Action::Draw));
    }
}
