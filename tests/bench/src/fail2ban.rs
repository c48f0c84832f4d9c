//! fail2ban, from Debian's package, on a host of its own: with its own configuration, socket and database below the lab's folder.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use blocker_lab::Lab;
use blocker_lab::command::output;
use jiff::Timestamp;

use crate::bench::Ground;
use crate::peers::Peer;
use crate::said::Said;

/// For its start and its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
pub(crate) const POLL: Duration = Duration::from_millis(20);
/// The address before the first host of [`failures`].
pub(crate) const HOSTS: u32 = 0x0a00_0000;
const PYTHON: &str = "/usr/bin/python3";
/// The jail that [`Fail2ban::start`] gives it.
pub(crate) const JAIL: &str = "spam";
const DATABASE: &str = "fail2ban.sqlite3";
const MODULES: &str = "usr/lib/python3/dist-packages";

/// A running fail2ban over one log.
pub(crate) struct Fail2ban {
    peer: Peer,
    child: Child,
    said: Said,
    // Ends what is left when it goes.
    lab: Arc<Lab>,
}

/// A line of a failure for each of these hosts, as Postfix logs it.
pub(crate) fn failures(hosts: Range<u32>) -> String {
    let now = Timestamp::now();
    let mut lines = String::new();
    for host in hosts {
        let host = Ipv4Addr::from_bits(HOSTS + host);
        let _ = writeln!(
            lines,
            "{now:.6} relay postfix/smtpd[6908]: NOQUEUE: reject: RCPT from unknown[{host}]: 554 5.7.1 <a@domain1.com>: Relay \
             access denied; from=<x@y.example> to=<a@domain1.com> proto=ESMTP helo=<spam.example>"
        );
    }
    lines
}

impl Fail2ban {
    /// With one jail that bans by nftables.
    pub(crate) fn start(ground: &Ground) -> Result<Self> {
        Self::with(ground, |config, log| {
            fs::write(config.join("filter.d/spam.local"), blocker_tests::relay::SPAM_FILTER)?;
            Ok(format!(
                "[{JAIL}]\nenabled = true\nfilter = spam\nbackend = polling\nlogpath = {}\nmaxretry = 1\n\
                 bantime = 1d\nbanaction = nftables\naction = nftables[type=multiport, name=spam, port=\"25,465,587\"]\n",
                log.display()
            ))
        })
    }

    /// In a lab of its own, with the jails that `configure` says, which may add to the folder of its configuration; over a log that is
    /// empty. Waits until it answers.
    pub(crate) fn with(ground: &Ground, configure: impl FnOnce(&Path, &Path) -> Result<String>) -> Result<Self> {
        let lab = Arc::new(Lab::new()?);
        let log = lab.folder().join("mail.log");
        fs::write(&log, "")?;
        Self::on(ground, &lab, |config| configure(config, &log))
    }

    /// The same on the relay of a lab that there is, over the logs that the jails name.
    pub(crate) fn on(ground: &Ground, lab: &Arc<Lab>, configure: impl FnOnce(&Path) -> Result<String>) -> Result<Self> {
        let peer = unpack(ground)?;
        let config = lab.folder().join("fail2ban");
        configuration(&peer, &config)?;
        let folder = lab.folder().display().to_string();
        fs::write(
            config.join("fail2ban.local"),
            format!("[Definition]\nlogtarget = {folder}/fail2ban.log\ndbfile = {folder}/{DATABASE}\n"),
        )?;
        let jails = configure(&config)?;
        fs::write(config.join("jail.local"), jails)?;
        let child = spawn(&peer, lab)?;
        let mut fail2ban = Self {
            peer,
            child,
            lab: Arc::clone(lab),
            said: Said::new(lab.folder().join("fail2ban.log")),
        };
        fail2ban.wait_until_it_answers()?;
        Ok(fail2ban)
    }

    /// Appends to its log.
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        let path = self.lab.folder().join("mail.log");
        let mut log = OpenOptions::new().append(true).open(path)?;
        Ok(log.write_all(text.as_bytes())?)
    }

    /// How many lines of its own log hold this text.
    pub(crate) fn said(&mut self, part: &str) -> Result<usize> {
        Ok(self.said.count(part)?)
    }

    /// The lines of its own log.
    pub(crate) fn lines(&mut self) -> Result<impl Iterator<Item = &str>> {
        Ok(self.said.lines()?)
    }

    /// How many hosts are banned in the kernel.
    pub(crate) fn bans(&self) -> Result<usize> {
        let mut list = self.lab.relay().command("nft");
        // Before the first ban there is no table.
        let listed = list.args(["list", "table", "inet", "f2b-table"]).output()?;
        let text = String::from_utf8_lossy(&listed.stdout);
        let elements = text.split_once("elements = {").map_or("", |(_, rest)| rest);
        Ok(elements.split('}').next().unwrap_or_default().matches('.').count() / 3)
    }

    /// Waits until so many are, and says how many.
    pub(crate) fn wait_for_bans(&self, count: usize, patience: Duration) -> Result<usize> {
        let deadline = Instant::now() + patience;
        loop {
            let bans = self.bans()?;
            if bans >= count {
                return Ok(bans);
            }
            if Instant::now() > deadline {
                let said = fs::read_to_string(self.lab.folder().join("fail2ban.log")).unwrap_or_default();
                let said = blocker_lab::command::last_lines(&said, 12);
                bail!(
                    "fail2ban has banned {bans} of {count} hosts within {} s; it says:\n{said}",
                    patience.as_secs()
                );
            }
            // Each look is a process, which would take the time of what is looked at.
            thread::sleep(POLL * 5);
        }
    }

    /// The lab that it runs in.
    pub(crate) fn lab(&self) -> Arc<Lab> {
        Arc::clone(&self.lab)
    }

    /// The database that it takes bans back from; its own as long as it runs.
    pub(crate) fn database(&self) -> PathBuf {
        self.lab.folder().join(DATABASE)
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .context("the kernel does not tell its memory")
    }

    /// Ends it, as its service does.
    pub(crate) fn stop(&mut self) -> Result<()> {
        output(&mut client(&self.peer, &self.lab, &["stop"]))?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts it again, and waits until it answers.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        self.child = spawn(&self.peer, &self.lab)?;
        self.wait_until_it_answers()
    }

    fn wait_until_it_answers(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while output(&mut client(&self.peer, &self.lab, &["ping"])).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("fail2ban has ended: {status}");
            }
            if Instant::now() > deadline {
                bail!("fail2ban does not answer");
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Fail2ban {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its files. With pyinotify it is told of new lines, where it would look for them now and then.
fn unpack(ground: &Ground) -> Result<Peer> {
    ground.peers.unpack("fail2ban", &["python3-pyinotify"])
}

/// Its own configuration, in a folder where more can be added.
fn configuration(peer: &Peer, folder: &Path) -> Result<()> {
    output(Command::new("cp").arg("-r").arg(peer.path("etc/fail2ban")).arg(folder))?;
    // Debian's own jail is for sshd.
    let _ = fs::remove_file(folder.join("jail.d/defaults-debian.conf"));
    Ok(())
}

/// fail2ban's configuration for blocker, with these jails added, in place of what lies there.
pub(crate) fn configure(ground: &Ground, folder: &Path, jails: &str) -> Result<()> {
    // What an earlier run has left.
    let _ = fs::remove_dir_all(folder);
    configuration(&unpack(ground)?, folder)?;
    Ok(fs::write(folder.join("jail.local"), jails)?)
}

/// `fail2ban-regex` with the filters of its package, and the folder of these.
pub(crate) fn regex(ground: &Ground) -> Result<(Command, PathBuf)> {
    let peer = unpack(ground)?;
    let mut command = Command::new(PYTHON);
    command
        .env("PYTHONPATH", peer.path(MODULES))
        .arg(peer.path("usr/bin/fail2ban-regex"));
    let config = peer.path("etc/fail2ban");
    command.arg("--config").arg(&config);
    Ok((command, config))
}

fn spawn(peer: &Peer, lab: &Lab) -> Result<Child> {
    let mut server = program(peer, lab, "usr/bin/fail2ban-server");
    server.args(["-f", "start"]);
    let child = server
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.context("cannot start fail2ban: is python3 installed?")
}

fn client(peer: &Peer, lab: &Lab, words: &[&str]) -> Command {
    let mut client = program(peer, lab, "usr/bin/fail2ban-client");
    client.args(words);
    client
}

/// One of its programs, on the relay.
fn program(peer: &Peer, lab: &Lab, path: &str) -> Command {
    let in_lab = |name: &str| -> PathBuf { lab.folder().join(name) };
    let mut command = lab.relay().command(PYTHON);
    command.env("PYTHONPATH", peer.path(MODULES)).arg(peer.path(path));
    command.arg("-c").arg(in_lab("fail2ban"));
    command.arg("-s").arg(in_lab("fail2ban.sock"));
    command.arg("-p").arg(in_lab("fail2ban.pid"));
    command
}
