//! Waits until a log may have grown.
//!
//! inotify says so at once; a look every [`PATROL`] makes up for what inotify cannot see (a file system that does not report,
//! a folder that was moved away).

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inotify::{Inotify, WatchMask};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Longest wait between two looks.
pub const PATROL: Duration = Duration::from_secs(1);

/// Tells any number of waiters to stop; clones share one signal.
#[derive(Clone, Debug)]
pub struct Stop(Arc<Signal>);

#[derive(Debug)]
struct Signal {
    given: AtomicBool,
    event: EventFd,
}

impl Stop {
    /// A signal that has not been given.
    ///
    /// # Errors
    ///
    /// When the process may open no more files.
    pub fn new() -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let given = AtomicBool::new(false);
        Ok(Self(Arc::new(Signal { given, event })))
    }

    /// Gives the signal, for good.
    pub fn stop(&self) {
        self.0.given.store(true, Ordering::Relaxed);
        // It can only fail when the counter is full, and then the signal has been given.
        let _ = self.0.event.write(1);
    }

    /// Whether the signal has been given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.0.given.load(Ordering::Relaxed)
    }
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// There may be more to read.
    Look,
    /// The signal to stop was given.
    Stop,
}

/// Watches one path.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    path: PathBuf,
    stop: Stop,
}

impl Watch {
    /// Watches `path` and its folder; neither need exist.
    ///
    /// # Errors
    ///
    /// When the kernel grants no more inotify instances (`fs.inotify.max_user_instances`).
    pub fn new(path: &Path, stop: Stop) -> io::Result<Self> {
        let watch = Self {
            inotify: Inotify::init()?,
            path: path.to_owned(),
            stop,
        };
        watch.renew();
        Ok(watch)
    }

    /// Watches the file that is at the path now. To be called after a rotation; what cannot be watched is looked at every
    /// [`PATROL`] instead.
    pub fn renew(&self) {
        let mut watches = self.inotify.watches();
        if let Some(folder) = self.path.parent() {
            let _ = watches.add(folder, WatchMask::CREATE | WatchMask::MOVED_TO);
        }
        let _ = watches.add(&self.path, WatchMask::MODIFY);
    }

    /// Waits until there may be more to read, for [`PATROL`] at most.
    ///
    /// # Errors
    ///
    /// When the kernel fails to wait.
    pub fn wait(&mut self) -> io::Result<Woken> {
        let patrol = PollTimeout::try_from(PATROL).unwrap_or(PollTimeout::MAX);
        let mut waits = [readable(self.inotify.as_fd()), readable(self.stop.0.event.as_fd())];
        match poll(&mut waits, patrol) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [more, stopped] = waits.map(|wait| wait.any().unwrap_or(false));
        if stopped {
            return Ok(Woken::Stop);
        }
        if more {
            // What happened does not matter: the reader looks for itself.
            let mut events = [0; 4096];
            self.inotify.read_events(&mut events)?;
        }
        Ok(Woken::Look)
    }
}

fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(fd, PollFlags::POLLIN)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;

    fn woken_after(change: impl FnOnce(&Path)) -> Woken {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mail.log");
        fs::write(&path, "").unwrap();
        let mut watch = Watch::new(&path, Stop::new().unwrap()).unwrap();
        change(&path);
        let start = Instant::now();
        let woken = watch.wait().unwrap();
        assert!(start.elapsed() < PATROL / 2, "inotify did not tell");
        woken
    }

    #[test]
    fn a_written_line_wakes_at_once() {
        assert_eq!(woken_after(|path| fs::write(path, "line\n").unwrap()), Woken::Look);
    }

    #[test]
    fn a_rotation_wakes_at_once() {
        let rotate = |path: &Path| {
            fs::rename(path, path.with_extension("log.1")).unwrap();
            fs::write(path, "").unwrap();
        };
        assert_eq!(woken_after(rotate), Woken::Look);
    }

    #[test]
    fn every_waiter_is_stopped() {
        let stop = Stop::new().unwrap();
        let mut watches = [0, 1].map(|_| Watch::new(Path::new("/nonexistent/mail.log"), stop.clone()).unwrap());
        stop.stop();
        for watch in &mut watches {
            assert_eq!(watch.wait().unwrap(), Woken::Stop);
            assert_eq!(watch.wait().unwrap(), Woken::Stop, "the signal stays");
        }
    }
}
