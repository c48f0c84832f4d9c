//! What a person sees of the show: one line an event, with the time since it began.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// What a line is about; its first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// What the sandbox does.
    Lab,
    /// Postfix rejects a host.
    Reject,
    /// The agent bans a host.
    Ban,
    /// The agent gives a host free again.
    Unban,
    /// The kernel drops packets.
    Drop,
    /// Honest mail.
    Mail,
    /// What the reader may type.
    Try,
    /// Something that should not be.
    Alarm,
}

impl Topic {
    const fn word(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Reject => "reject",
            Self::Ban => "ban",
            Self::Unban => "unban",
            Self::Drop => "drop",
            Self::Mail => "mail",
            Self::Try => "try",
            Self::Alarm => "alarm",
        }
    }

    /// The number of the colour in the terminal's palette.
    const fn colour(self) -> u8 {
        match self {
            Self::Lab | Self::Try => 34,
            Self::Reject => 33,
            Self::Ban => 35,
            Self::Unban | Self::Drop => 36,
            Self::Mail => 32,
            Self::Alarm => 31,
        }
    }
}

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Screen {
    begun: Instant,
    to_stderr: bool,
    colour: bool,
}

impl Screen {
    /// Lines go to standard output, or to standard error when the former is for a machine.
    pub(crate) fn new(to_stderr: bool) -> Self {
        let terminal = if to_stderr {
            io::stderr().is_terminal()
        } else {
            io::stdout().is_terminal()
        };
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            begun: Instant::now(),
            to_stderr,
            colour: terminal && !refused,
        }
    }

    /// Whether a person watches, who can end the show.
    pub(crate) fn is_watched(&self) -> bool {
        !self.to_stderr && io::stdout().is_terminal()
    }

    /// The time that the next line will carry.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Shows a line about something; `who` may be empty.
    pub(crate) fn line(&self, topic: Topic, who: &str, text: &str) {
        self.put(&line(self.elapsed(), self.colour, topic, who, text));
    }

    /// Shows a text as it is.
    pub(crate) fn put(&self, text: &str) {
        // Whoever reads this may go away; the show goes on and cleans up.
        let _closed = if self.to_stderr {
            writeln!(io::stderr(), "{text}")
        } else {
            writeln!(io::stdout(), "{text}")
        };
    }
}

fn line(elapsed: Duration, colour: bool, topic: Topic, who: &str, text: &str) -> String {
    let (on, off) = if colour {
        (format!("\x1b[{}m", topic.colour()), "\x1b[0m")
    } else {
        (String::new(), "")
    };
    let seconds = elapsed.as_secs_f32();
    let line = format!("{seconds:6.1} s  {on}{:<6}{off}  {who:<17}  {text}", topic.word());
    line.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_with_colour_and_without() {
        let elapsed = Duration::from_millis(1_250);
        let plain = line(elapsed, false, Topic::Ban, "192.0.2.7", "after 2 failures");
        assert_eq!(plain, "   1.2 s  ban     192.0.2.7          after 2 failures");
        let colour = line(elapsed, true, Topic::Ban, "192.0.2.7", "after 2 failures");
        assert_eq!(colour.replace("\x1b[35m", "").replace("\x1b[0m", ""), plain);
    }
}
