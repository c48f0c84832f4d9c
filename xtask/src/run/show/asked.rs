//! The show with somebody who asks the agent: what he can type, that it works, and time for it.

use std::net::IpAddr;
use std::sync::mpsc::RecvTimeoutError;

use anyhow::Result;

use super::super::commands::Tried;
use super::super::hosts::spammers;
use super::super::screen::Topic;
use super::{LONGEST, LOOK, Show};

impl Show {
    /// The host that commands are shown with.
    fn example(&self) -> Option<IpAddr> {
        self.tally
            .banned_hosts()
            .next()
            .or_else(|| spammers(&self.lab).first().copied())
    }

    /// Says what can be typed while the agent runs.
    pub(super) fn point(&self) {
        if let Some(host) = self.example() {
            self.screen
                .line(Topic::Try, "", "in another terminal, as long as this runs:");
            self.screen.put(&self.commands.to_type(host));
        }
    }

    /// Runs each of these commands, and shows how its answer begins.
    pub(super) fn try_commands(&self) -> Vec<Tried> {
        let Some(host) = self.example() else {
            return Vec::new();
        };
        let tried = self.commands.try_all(host);
        self.screen
            .line(Topic::Try, "", "what the agent says when it is asked:");
        for one in &tried {
            self.screen.put(&one.text());
        }
        tried
    }

    /// Goes on with the show until somebody ends it, or it has lasted long enough.
    pub(super) fn go_on(&mut self) -> Result<()> {
        if !self.is_over() {
            self.screen.put("");
            self.screen.line(Topic::Lab, "", "all of this goes on until Ctrl-C");
        }
        self.end = self.end.max(self.begun + LONGEST);
        self.watch()
    }

    /// Keeps the agent, without hosts that spam, until somebody ends it.
    pub(super) fn keep_agent(&mut self) -> Result<()> {
        if self.is_over() {
            return Ok(());
        }
        self.screen
            .line(Topic::Lab, "", "the hosts have stopped; the agent goes on until Ctrl-C");
        self.point();
        while !self.is_over() {
            match self.events.recv_timeout(LOOK) {
                Ok(event) => self.event(event)?,
                // Without hosts the agent's log is all there is.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => std::thread::sleep(LOOK),
            }
        }
        Ok(())
    }
}
