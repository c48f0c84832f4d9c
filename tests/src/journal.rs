//! A systemd journal in the lab: a real systemd-journald, by itself, that writes into a folder of the lab.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::eventually;
use crate::relay::Relay;

/// Where Debian has it.
const JOURNALD: &str = "/lib/systemd/systemd-journald";

/// A journal that is being written; its daemon ends with this value.
pub struct Journal {
    folder: PathBuf,
    daemon: Child,
}

impl Journal {
    /// Starts the daemon.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start(relay: &Relay) -> Self {
        let folder = relay.lab.folder().join("journal");
        for name in ["log/journal", "systemd/journal"] {
            fs::create_dir_all(folder.join(name)).expect("a folder can be made");
        }
        // In a mount namespace of its own it finds the lab's folders where it looks for the system's. Not among the relay's mounts:
        // it needs to see the control groups. The kernel ends it with the thread that started it.
        let script = "mkdir -p /run/log /run/systemd && mount --bind \"$1/log\" /run/log && mount --bind \"$1/systemd\" /run/systemd && \
                      exec setpriv --pdeathsig KILL \"$0\"";
        let mut command = Command::new("unshare");
        command
            .args(["--net", "--mount", "sh", "-c", script, JOURNALD])
            .arg(&folder);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = command.spawn().expect("journald starts");
        let journal = Self { folder, daemon };
        eventually("journald listens", || journal.socket().exists());
        journal
    }

    /// The folder of the journal's files.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.folder.join("log/journal")
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("systemd/journal/socket")
    }

    /// Logs a message as mail, as a program of this name would.
    ///
    /// # Panics
    ///
    /// When journald does not take it.
    pub fn write(&self, identifier: &str, message: &[u8]) {
        // The protocol is systemd's JOURNAL_NATIVE_PROTOCOL: a field with its length may hold any byte.
        let mut entry = String::new();
        write!(entry, "SYSLOG_IDENTIFIER={identifier}\nSYSLOG_FACILITY=2\nMESSAGE\n").expect("a string takes it");
        let mut entry = entry.into_bytes();
        entry.extend((message.len() as u64).to_le_bytes());
        entry.extend(message);
        entry.push(b'\n');
        let socket = UnixDatagram::unbound().expect("a socket can be made");
        let sent = socket.send_to(&entry, self.socket()).expect("journald listens");
        assert_eq!(sent, entry.len());
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
