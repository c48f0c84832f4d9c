//! A relay in the lab: servers on a few ports, a mail log that the test writes, a configuration.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use blocker::firewall::xdp::{Sizes, Xdp};
use blocker_lab::network::{HONEST, RELAY, RELAY_V6};
use blocker_lab::smtp::{Reach, probe};
use blocker_lab::{Lab, Namespace};
use jiff::Timestamp;

use crate::agent::{Agent, program};
use crate::{eventually, interface, require_root};

/// Where somebody else's program is pinned, in the relay's own BPF file system.
const SOMEBODY_ELSE: &str = "/sys/fs/bpf/somebody-else";

/// Ports on which something listens.
pub const PORTS: [u16; 4] = [22, 25, 26, 587];

/// An operator's filter, as written for fail2ban.
pub const SPAM_FILTER: &str = r"[Definition]
failregex = : NOQUEUE: reject: RCPT from [-._\w]+\[<HOST>\]: 554 5.7.1 Service unavailable; Client host .* blocked using (zen.spamhaus.org|combined.njabl.org);
            : NOQUEUE: reject: RCPT from [-._\w]+\[<HOST>\]: 554 5.7.1 .*(domain1|domain2|domain3|domain4).com>: Relay access denied;
ignoreregex =
";

/// The relay and its neighbours.
pub struct Relay {
    /// The hosts.
    pub lab: Lab,
    servers: [TcpListener; PORTS.len()],
}

impl Relay {
    /// Makes the hosts; servers listen, the mail log is empty, the configuration is an operator's with this ban time.
    ///
    /// # Panics
    ///
    /// When not root, or when the machine refuses anything.
    #[must_use]
    pub fn new(ban_time: &str) -> Self {
        require_root();
        let lab = Lab::new().expect("the lab can be made");
        let listen = || PORTS.map(|port| TcpListener::bind(("::", port)).expect("the port is free"));
        let servers = lab.relay().enter(listen).expect("the relay can be entered");
        let relay = Self { lab, servers };
        fs::create_dir_all(relay.config().join("filter.d")).expect("a folder can be made");
        fs::write(relay.config().join("filter.d/spam.conf"), SPAM_FILTER).expect("a file can be written");
        let log = relay.log();
        relay.configure(&format!(
            "# jail.conf\n[spam]\nenabled  = true\nfilter   = spam\n\
             action   = iptables[name=SPAM, port=smtp, protocol=tcp]\nlogpath  = {}\nbantime  = {ban_time}\n\
             ignoreip = 192.0.2.10 198.51.100.0/24\nmaxretry = 2\n",
            log.display()
        ));
        fs::write(&log, "").expect("a file can be written");
        relay
    }

    /// The configuration's folder.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.lab.folder().join("config")
    }

    /// The mail log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.lab.folder().join("mail.log")
    }

    /// Writes `jail.conf`.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn configure(&self, jail_conf: &str) {
        fs::write(self.config().join("jail.conf"), jail_conf).expect("a file can be written");
    }

    /// The command that runs the agent on the relay.
    #[must_use]
    pub fn command(&self, firewall: &str) -> Command {
        let mut command = self.lab.relay().command(program());
        command.arg("run").arg("--config").arg(self.config());
        command.args(["--interface", "eth0", "--firewall", firewall]);
        command.arg("--state").arg(self.state());
        command
    }

    /// The folder of the agent's ledger.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.lab.folder().join("state")
    }

    /// Starts the agent and waits until it is ready.
    #[must_use]
    pub fn start(&self, firewall: &str) -> Agent {
        let mut agent = Agent::start(self.command(firewall));
        agent.says(&[" ready "]);
        agent
    }

    /// Appends to the mail log.
    ///
    /// # Panics
    ///
    /// When it cannot be written.
    pub fn write(&self, text: &str) {
        let mut log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(self.log())
            .expect("the log can be opened");
        log.write_all(text.as_bytes()).expect("the log can be written");
    }

    /// Logs that Postfix rejected mail from this host, `times` times, now.
    pub fn reject(&self, host: IpAddr, times: usize) {
        self.reject_at(host, times, Timestamp::now());
    }

    /// As [`Relay::reject`], at this time.
    pub fn reject_at(&self, host: IpAddr, times: usize, at: Timestamp) {
        let line = format!(
            "{:.6} relay postfix/smtpd[6908]: NOQUEUE: reject: RCPT from unknown[{host}]: 554 5.7.1 <a@domain1.com>: Relay \
             access denied; from=<x@y.example> to=<a@domain1.com> proto=ESMTP helo=<spam.example>\n",
            at
        );
        self.write(&line.repeat(times));
    }

    /// The relay's end of the connection that came first to a port, of those that nobody has taken yet.
    ///
    /// # Panics
    ///
    /// When nothing listens on the port, or there is none in time.
    #[must_use]
    pub fn accept(&self, port: u16) -> TcpStream {
        let at = PORTS.iter().position(|listened| *listened == port);
        let server = &self.servers[at.expect("something listens there")];
        server.set_nonblocking(true).expect("a server need not wait");
        let mut accepted = None;
        eventually("somebody connects", || {
            accepted = server.accept().ok();
            accepted.is_some()
        });
        let (stream, _) = accepted.expect("it was waited for");
        stream.set_nonblocking(false).expect("a connection may wait");
        stream
    }

    /// What becomes of a connection from one of the spammers' addresses.
    ///
    /// # Panics
    ///
    /// When the spammers' host cannot be entered.
    #[must_use]
    pub fn reach(&self, source: IpAddr, port: u16) -> Reach {
        reach_from(self.lab.spam(), source, port)
    }

    /// What becomes of a connection from the honest host.
    ///
    /// # Panics
    ///
    /// When the honest host cannot be entered.
    #[must_use]
    pub fn honest_reach(&self, port: u16) -> Reach {
        reach_from(self.lab.honest(), HONEST.into(), port)
    }

    /// The value of a metric's sample, by its full name with labels.
    ///
    /// # Panics
    ///
    /// When metrics cannot be fetched or have no such sample.
    #[must_use]
    pub fn metric(&self, sample: &str) -> u64 {
        let text = self.metrics();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        let value = line.unwrap_or_else(|| panic!("no sample {sample} in:\n{text}"));
        value.trim().parse().unwrap_or_else(|_| panic!("{sample} is {value}"))
    }

    /// All metrics as Prometheus gets them.
    ///
    /// # Panics
    ///
    /// When they cannot be fetched.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.lab.relay().enter(scrape).expect("the relay can be entered")
    }

    /// What a command prints on the relay.
    ///
    /// # Panics
    ///
    /// When it fails.
    #[must_use]
    pub fn output(&self, program: &str, arguments: &[&str]) -> String {
        let output = self
            .lab
            .relay()
            .command(program)
            .args(arguments)
            .output()
            .expect("the command starts");
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Has an XDP program on one of the relay's interfaces that is not the agent's: a copy of ours, pinned where no agent looks.
    ///
    /// # Panics
    ///
    /// When the kernel does not take it.
    pub fn attach_somebody_elses_program(&self, to: &str) {
        let attach = || {
            let mut xdp =
                Xdp::open(&[], Sizes::default(), Path::new(SOMEBODY_ELSE)).expect("the program can be loaded");
            xdp.attach(&interface(to)).expect("the program can be attached");
            xdp.settle().expect("the program can be left");
        };
        self.lab.relay().enter(attach).expect("the relay can be entered");
    }

    /// Takes it off again.
    pub fn detach_somebody_elses_program(&self) {
        assert_eq!(self.output("rm", &["-r", SOMEBODY_ELSE]), "");
    }

    /// What blocker has in the relay's kernel: XDP programs on the interface, and nftables tables.
    #[must_use]
    pub fn in_kernel(&self) -> Vec<String> {
        let links = self.output("ip", &["-details", "link", "show", "eth0"]);
        let xdp = links.lines().filter(|line| line.contains("xdp")).map(str::to_owned);
        let tables = self.output("nft", &["list", "tables"]);
        xdp.chain(tables.lines().map(str::to_owned)).collect()
    }
}

/// All metrics, for a thread that is on the relay already.
///
/// # Panics
///
/// When they cannot be fetched.
#[must_use]
pub fn scrape() -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", 9919)).expect("metrics are served");
    let request = "GET /metrics HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("the server listens");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("the server answers");
    text
}

/// Bans outlive the agent: what is left in the kernel goes with the relay.
impl Drop for Relay {
    fn drop(&mut self) {
        let mut clear = self.lab.relay().command(program());
        clear.args(["stop", "--clear", "--state"]).arg(self.state());
        let cleared = clear.output();
        if !std::thread::panicking() {
            let cleared = cleared.expect("the command starts");
            assert!(cleared.status.success(), "{cleared:?}");
        }
    }
}

/// A SYN that is dropped is repeated after a second; one answer or none within this is enough to tell.
const PATIENCE: Duration = Duration::from_millis(700);

fn reach_from(host: &Namespace, source: IpAddr, port: u16) -> Reach {
    let relay = match source {
        IpAddr::V4(_) => SocketAddr::new(RELAY.into(), port),
        IpAddr::V6(_) => SocketAddr::new(RELAY_V6.into(), port),
    };
    host.enter(|| probe(source, relay, PATIENCE))
        .expect("the host can be entered")
}
