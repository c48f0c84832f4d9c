//! A real Postfix on the lab's relay, in a root of its own.
//!
//! It rejects mail for foreign domains (`554 5.7.1 … Relay access denied`) and for unknown mailboxes (`550 5.1.1`), and delivers
//! what is for `postmaster@relay.example`. A Postfix that the machine itself may run is neither used nor touched, only its
//! programs are.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::command::{last_lines, output};
use crate::root::{Beneath, Plan, Root};
use crate::{Lab, base};

/// The domain that the relay takes mail for.
pub const DOMAIN: &str = "relay.example";
/// The one mailbox there.
pub const POSTMASTER: &str = "postmaster@relay.example";

const START_DEADLINE: Duration = Duration::from_secs(15);
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// What a Postfix has beside the lab's own settings.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Lines of `main.cf`; they count where they say something else than the lab's.
    pub main_cf: String,
    /// The name server that it asks, on port 53; without one it asks whom the machine asks, and gets no answer in the lab.
    pub name_server: Option<IpAddr>,
}

/// A Postfix that runs as long as this value exists.
///
/// When this process is killed Postfix goes on, as it gives up the kernel's promise of a signal together with root's rights;
/// the next lab ends it with the namespace it lives in.
#[derive(Debug)]
pub struct Postfix {
    master: Child,
    _root: Root,
    log: PathBuf,
}

impl Postfix {
    /// Starts Postfix on the lab's relay and returns once it listens. Where the machine has none, it is installed for the lab
    /// first, once.
    ///
    /// # Errors
    ///
    /// When there is no Postfix to be had, or when it does not start.
    pub fn start(lab: &Lab) -> Result<Self> {
        Self::start_with(lab, &Settings::default())
    }

    /// As [`Postfix::start`], with more settings than the lab's own.
    ///
    /// # Errors
    ///
    /// When there is no Postfix to be had, or when it does not start.
    pub fn start_with(lab: &Lab, settings: &Settings) -> Result<Self> {
        let staging = lab.folder().join("root");
        fs::create_dir(&staging).context("the lab has a Postfix already")?;
        let base = base::for_postfix(&staging)?;
        let log = lab.folder().join("log");
        DirBuilder::new().mode(0o755).create(&log)?;
        let root = Root::new(Plan {
            beneath: Beneath::Machine,
            staging,
            net: Some(lab.relay().net()),
            base,
            log: Some(log.clone()),
        })?;
        let errors = log.join("postfix.err");
        let settings = settings.clone();
        let master = root.run(move || configure(&settings).and_then(|()| launch()))??;
        let mut postfix = Self {
            master,
            _root: root,
            log: log.join("mail.log"),
        };
        postfix.wait_until_it_listens(&errors)?;
        Ok(postfix)
    }

    /// The id of its first process, from which all others come.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.master.id()
    }

    /// Its mail log, as the machine sees it.
    #[must_use]
    pub fn mail_log(&self) -> &Path {
        &self.log
    }

    /// Stops it, at once: what is still on its way into the log may be lost.
    pub fn stop(&mut self) {
        let Ok(pid) = i32::try_from(self.master.id()) else {
            return;
        };
        if self.ended() {
            return;
        }
        // What `postfix stop` does: the master passes it on to its own.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let deadline = Instant::now() + STOP_DEADLINE;
        while !self.ended() {
            if Instant::now() > deadline {
                // The master leads a process group, and all of its processes are in it.
                let _gone = kill(Pid::from_raw(-pid), Signal::SIGKILL);
                let _reaped = self.master.wait();
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn ended(&mut self) -> bool {
        !matches!(self.master.try_wait(), Ok(None))
    }

    fn wait_until_it_listens(&mut self, errors: &Path) -> Result<()> {
        let deadline = Instant::now() + START_DEADLINE;
        loop {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            // The master opens its sockets before it says this.
            if log.contains("daemon started") {
                return Ok(());
            }
            let ended = self.ended();
            if ended || Instant::now() > deadline {
                let said = fs::read_to_string(errors).unwrap_or_default() + &log;
                let what = if ended { "ended at once" } else { "does not come up" };
                bail!("Postfix {what}:\n{}", last_lines(&said, 12));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Writes the configuration; on the root's thread.
fn configure(settings: &Settings) -> Result<()> {
    fs::create_dir_all("/etc/postfix")?;
    let main_cf = format!("{}\n{}", include_str!("postfix/main.cf"), settings.main_cf);
    fs::write("/etc/postfix/main.cf", main_cf)?;
    if let Some(address) = settings.name_server {
        fs::write("/etc/resolv.conf", format!("nameserver {address}\n"))?;
    }
    fs::write("/etc/postfix/master.cf", include_str!("postfix/master.cf"))?;
    // Postfix makes what belongs below these two by itself.
    fs::create_dir_all("/var/lib/blocker-lab/queue")?;
    let mail = "/var/lib/blocker-lab/mail";
    fs::create_dir_all(mail)?;
    fs::set_permissions(mail, Permissions::from_mode(0o1777))?;
    Ok(())
}

/// Starts the master, as `postfix start-fg` does in the end; on the root's thread.
///
/// Not by `postfix start-fg` itself: that stays between us and the master, and the signal to stop would end it alone.
fn launch() -> Result<Child> {
    // Makes the queue's folders.
    output(&mut clean("/usr/sbin/postfix", &["check"])).context("Postfix does not like the lab's configuration")?;
    let daemons = output(&mut clean("/usr/sbin/postconf", &["-h", "daemon_directory"]))?.stdout;
    let master = Path::new(String::from_utf8_lossy(&daemons).trim_end()).join("master");

    let errors = File::create("/var/log/postfix.err")?;
    let mut command = clean(master, &["-s"]);
    command.stdin(Stdio::null()).stdout(errors.try_clone()?).stderr(errors);
    command.spawn().context("cannot start Postfix")
}

/// A command of Postfix that takes its settings from the lab's main.cf alone.
fn clean(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_remove("MAIL_CONFIG")
        .env_remove("MAIL_LOGTAG");
    command
}
