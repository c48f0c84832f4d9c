//! Waits until a log may have grown.
//!
//! inotify says so at once; a look every [`PATROL`] makes up for what inotify cannot see (a file system that does not report,
//! a folder that was moved away).

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Longest wait between two looks.
pub const PATROL: Duration = Duration::from_secs(1);
/// Rounds in which events are taken from the kernel at a time: under a flood of them lines must be read too.
const ROUNDS: usize = 16;

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

    /// What becomes readable when the signal is given.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
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

/// What happened while waiting.
#[derive(Debug, Default)]
pub struct Seen {
    /// Files that were written to.
    pub files: HashSet<WatchDescriptor>,
    /// Whether something came into a folder.
    pub folders: bool,
    /// Whether the kernel had more to say than it kept.
    pub missed: bool,
}

/// Watches any number of files and folders.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    stop: Stop,
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    ///
    /// When the kernel grants no more inotify instances (`fs.inotify.max_user_instances`).
    pub fn new(stop: Stop) -> io::Result<Self> {
        let inotify = Inotify::init()?;
        Ok(Self { inotify, stop })
    }

    /// Watches the file that is at the path now, and tells by what it is known. What cannot be watched is looked at every
    /// [`PATROL`] instead.
    #[must_use]
    pub fn file(&self, path: &Path) -> Option<WatchDescriptor> {
        self.inotify.watches().add(path, WatchMask::MODIFY).ok()
    }

    /// Watches for what comes into a folder, or where there is none into the nearest folder above it.
    pub fn folder(&self, path: &Path) {
        let mask = WatchMask::CREATE | WatchMask::MOVED_TO | WatchMask::ONLYDIR;
        let _ = path
            .ancestors()
            .find(|path| self.inotify.watches().add(path, mask).is_ok());
    }

    /// Waits until there may be more to read, for [`PATROL`] at most; adds to `seen` what happened.
    ///
    /// # Errors
    ///
    /// When the kernel fails to wait.
    pub fn wait(&mut self, seen: &mut Seen) -> io::Result<Woken> {
        let [more, stopped] = wait_for([self.inotify.as_fd(), self.stop.as_fd()])?;
        if stopped {
            return Ok(Woken::Stop);
        }
        if more {
            self.take(seen)?;
        }
        Ok(Woken::Look)
    }

    fn take(&mut self, seen: &mut Seen) -> io::Result<()> {
        let mut buffer = [0; 4096];
        for _ in 0..ROUNDS {
            let events = match self.inotify.read_events(&mut buffer) {
                Ok(events) => events,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            for event in events {
                if event.mask.contains(EventMask::Q_OVERFLOW) {
                    seen.missed = true;
                } else if event.mask.contains(EventMask::MODIFY) {
                    seen.files.insert(event.wd);
                } else {
                    seen.folders = true;
                }
            }
        }
        Ok(())
    }
}

/// Waits until one of these can be read, for [`PATROL`] at most, and says which can.
///
/// # Errors
///
/// When the kernel fails to wait.
pub(crate) fn wait_for<const N: usize>(fds: [BorrowedFd<'_>; N]) -> io::Result<[bool; N]> {
    let patrol = PollTimeout::try_from(PATROL).unwrap_or(PollTimeout::MAX);
    let mut waits = fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    match poll(&mut waits, patrol) {
        Ok(_) => Ok(waits.map(|wait| wait.any().unwrap_or(false))),
        Err(nix::errno::Errno::EINTR) => Ok([false; N]),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Instant;

    use super::*;

    fn woken_after(change: impl FnOnce(&Path)) -> Seen {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mail.log");
        fs::write(&path, "").unwrap();
        let mut watch = Watch::new(Stop::new().unwrap()).unwrap();
        assert!(watch.file(&path).is_some());
        watch.folder(folder.path());
        change(&path);
        let start = Instant::now();
        let mut seen = Seen::default();
        assert_eq!(watch.wait(&mut seen).unwrap(), Woken::Look);
        assert!(start.elapsed() < PATROL / 2, "inotify did not tell");
        seen
    }

    #[test]
    fn a_written_line_wakes_at_once() {
        let seen = woken_after(|path| fs::write(path, "line\n").unwrap());
        assert!(seen.files.len() == 1 && !seen.folders);
    }

    #[test]
    fn a_rotation_wakes_at_once() {
        let rotate = |path: &Path| {
            fs::rename(path, path.with_extension("log.1")).unwrap();
            fs::write(path, "").unwrap();
        };
        assert!(woken_after(rotate).folders);
    }

    #[test]
    fn a_folder_that_does_not_exist_wakes_when_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let log: PathBuf = folder.path().join("mail/today");
        let mut watch = Watch::new(Stop::new().unwrap()).unwrap();
        watch.folder(&log);
        fs::create_dir_all(&log).unwrap();
        let start = Instant::now();
        let mut seen = Seen::default();
        assert_eq!(watch.wait(&mut seen).unwrap(), Woken::Look);
        assert!(seen.folders && start.elapsed() < PATROL / 2);
    }

    #[test]
    fn every_waiter_is_stopped() {
        let stop = Stop::new().unwrap();
        let mut watches = [0, 1].map(|_| Watch::new(stop.clone()).unwrap());
        stop.stop();
        for watch in &mut watches {
            assert_eq!(watch.wait(&mut Seen::default()).unwrap(), Woken::Stop);
            assert_eq!(
                watch.wait(&mut Seen::default()).unwrap(),
                Woken::Stop,
                "the signal stays"
            );
        }
    }
}
