//! The machine that the guide speaks of: the lab's relay with `/etc`, `/var` and `/usr/local` of its own, mail in its log, fail2ban's
//! configuration and bans, and a DNS.
//!
//! Its folders are overlays over the machine's, in a mount namespace that one process keeps alive; nothing of what a command
//! writes is there afterwards. Packets and bans are in the lab's network namespace.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use blocker_filter_tests::package;
use blocker_lab::Lab;
use blocker_lab::dns::NameServer;
use blocker_lab::network::{SMTP, SPAMMERS};
use blocker_lab::smtp::probe;
use blocker_tests::agent::program;
use blocker_tests::require_root;
use jiff::{Timestamp, ToSpan as _};

use super::stand_ins::STAND_INS;
use super::workspace;
use super::xtask::xtask;

/// Furnishes the mount namespace, and lives in it until its standard input ends.
const FURNISH: &str = include_str!("furnish.sh");
/// Has fail2ban's own code write a database with a ban.
const FAIL2BANS_BANS: &str = include_str!("fail2ban_bans.py");
/// How long the host that knocks waits for an answer, and then before it knocks again.
const KNOCK: Duration = Duration::from_millis(100);
/// How long a script may take, in seconds.
const PATIENCE: &str = "120";

/// A jail of fail2ban's.
const FAIL2BANS_JAIL: &str = "[spam]\nenabled = true\nfilter = spam\nport = smtp\nlogpath = /var/log/mail.log\n\
                         maxretry = 2\nbantime = 1h\n";
/// An operator's own filter for fail2ban.
const SPAM_FILTER: &str = "[Definition]\nfailregex = ^ \\S+ postfix/smtpd\\[\\d+\\]: NOQUEUE: reject: RCPT from \
                           [-._\\w]+\\[<HOST>\\]: 554 5\\.7\\.1 Service unavailable;\nignoreregex =\n";
const HOSTS: &str = "127.0.0.1 localhost\n203.0.113.5 monitor.example.net\n203.0.113.6 friend.example\n";
const RESOLV_CONF: &str = "nameserver 127.0.0.53\noptions timeout:1 attempts:1\n";
/// Senders whose SPF records the pages name.
const SENDERS: [&str; 2] = ["_spf.google.com", "spf.protection.outlook.com"];

/// The machine; all of it goes with this value.
pub struct Machine {
    holder: Child,
    _lab: Lab,
    _name_server: NameServer,
    spammer: Option<JoinHandle<anyhow::Result<()>>>,
    stop: Arc<AtomicBool>,
}

impl Machine {
    /// Makes it. No agent runs yet.
    pub fn new() -> Self {
        require_root();
        let lab = Lab::new().expect("the lab can be made");
        let socket = || UdpSocket::bind("127.0.0.53:53").expect("the port is free");
        let socket = lab.relay().enter(socket).expect("the relay can be entered");
        let name_server = NameServer::start(socket).expect("it can be read with a limit of time");
        for sender in SENDERS {
            let record = ["v=spf1 ip4:198.51.100.128/25 ~all"];
            name_server.set(sender, 60, "TXT", &record).expect("a record");
        }
        // Where the mount namespace has a file system of its own.
        std::fs::create_dir_all("/run/blocker").expect("a folder can be made");
        let mut command = lab.relay().command("unshare");
        command.args(["--mount", "sh", "-eu", "-c", FURNISH, "sh"]);
        command.arg(lab.folder()).arg(workspace());
        let mut holder = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let said = holder.stdout.take().expect("it is a pipe");
        let mut furnished = String::new();
        BufReader::new(said).read_line(&mut furnished).expect("it can be read");
        assert_eq!(furnished, "furnished\n", "the mount namespace cannot be furnished");
        let stop = Arc::new(AtomicBool::new(false));
        let machine = Self {
            holder,
            spammer: Some(lab.spam().spawn(knocking(Arc::clone(&stop)))),
            _lab: lab,
            _name_server: name_server,
            stop,
        };
        machine.furnish();
        machine
    }

    /// Puts in place what a page takes for granted.
    fn furnish(&self) {
        for stand_in in STAND_INS {
            let script = stand_in.script.replace("@PROGRAM@", &program().display().to_string());
            let script = script.replace("@WORKSPACE@", &workspace().display().to_string());
            let script = script.replace("@XTASK@", &xtask().display().to_string());
            for name in stand_in.names {
                self.write_executable(&format!("/usr/local/stand-ins/{name}"), &script);
            }
        }
        self.write("/etc/hosts", HOSTS);
        self.write("/etc/resolv.conf", RESOLV_CONF);
        self.write_executable("/usr/local/bin/is-a-customer", "#!/bin/sh\nexit 1\n");
        let now = Timestamp::now();
        let mail = |ago: jiff::Span| {
            let at = now.checked_sub(ago).expect("it is not 1970");
            format!(
                "{at:.6} relay postfix/smtpd[6908]: NOQUEUE: reject: RCPT from unknown[192.0.2.7]: 554 5.7.1 Service unavailable; \
                 Client host [192.0.2.7] blocked using zen.spamhaus.org; from=<x@y.example> to=<a@relay.example> proto=ESMTP \
                 helo=<spam.example>\n"
            )
        };
        self.write("/var/log/mail.log", &(mail(2.minutes()) + &mail(1.minute())));
        self.write("/var/log/mail.log.1", &(mail(26.hours()) + &mail(25.hours())));
        self.write("/var/log/auth.log", "");
        self.write("/var/log/mail.log.2", &(mail(50.hours()) + &mail(49.hours())));
        self.must("gzip /var/log/mail.log.2");
        self.fail2ban();
    }

    /// fail2ban as it is after it was installed and has banned somebody.
    fn fail2ban(&self) {
        let package = package::fail2ban().expect("apt-get has fail2ban");
        let configuration = package.configuration();
        self.must(&format!(
            "rm -rf /etc/fail2ban && cp -r '{}' /etc/fail2ban",
            configuration.display()
        ));
        self.write("/etc/fail2ban/filter.d/spam.conf", SPAM_FILTER);
        self.write("/etc/fail2ban/jail.local", FAIL2BANS_JAIL);
        let modules = package.modules();
        self.write("/var/lib/fail2ban/bans.py", FAIL2BANS_BANS);
        self.must(&format!(
            "cd /var/lib/fail2ban && python3 bans.py '{}' fail2ban.sqlite3",
            modules.display()
        ));
    }

    /// Runs a script by bash, which ends at the first command that fails. An end that does not come is a failure too.
    pub fn script(&self, script: &str) -> Output {
        let mut command = self.command("timeout");
        command.args([PATIENCE, "bash", "-eu", "-o", "pipefail", "-c", script]);
        // What is started in the background must not keep us waiting for the end of its output.
        command.stdin(Stdio::null()).output().expect("nsenter starts")
    }

    /// Writes a file, and the folder that it is in.
    pub fn write(&self, path: &str, text: &str) {
        let mut command = self.command("sh");
        let script = "mkdir -p \"${1%/*}\" && rm -f \"$1\" && cat >\"$1\"";
        command.args(["-eu", "-c", script, "sh", path]).stdin(Stdio::piped());
        let mut child = command.spawn().expect("nsenter starts");
        let mut stdin = child.stdin.take().expect("it is a pipe");
        stdin.write_all(text.as_bytes()).expect("it is read");
        drop(stdin);
        assert!(child.wait().expect("it ends").success(), "{path}: cannot be written");
    }

    fn write_executable(&self, path: &str, text: &str) {
        self.write(path, text);
        self.must(&format!("chmod 755 '{path}'"));
    }

    fn must(&self, script: &str) {
        let output = self.script(script);
        assert!(output.status.success(), "`{script}`: {output:?}");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.holder.id()));
        command.args(["--mount", "--net", "--wdns=/var/tmp/home", program]);
        command
            .env(
                "PATH",
                "/usr/local/stand-ins:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env_remove("BLOCKER_LOG");
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(spammer) = self.spammer.take() {
            // What it may have failed with shows in what the kernel has not counted.
            let _ = spammer.join();
        }
        // With its standard input it loses the reason to live; whoever else is in the namespace is ended with the lab.
        drop(self.holder.stdin.take());
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The host that the log speaks of goes on knocking, whether anybody answers or not.
fn knocking(stop: Arc<AtomicBool>) -> impl FnOnce() + Send + 'static {
    move || {
        while !stop.load(Ordering::Relaxed) {
            // What becomes of it is the kernel's to count.
            let _ = probe(SPAMMERS[0].into(), SMTP, KNOCK);
            std::thread::park_timeout(KNOCK);
        }
    }
}

/// Whether a file is below a folder that the machine has of its own, so that a page may have it written.
pub fn has_of_its_own(path: &Path) -> bool {
    ["/etc", "/var", "/usr/local"]
        .iter()
        .any(|folder| path.starts_with(folder))
}
