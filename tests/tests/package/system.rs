//! A clean Debian on the lab's relay, and how packages come into it and go.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use blocker_lab::Lab;
use blocker_lab::debian::{Debian, Recipe};
use blocker_lab::network::{HONEST, SMTP, smtp_for};
use blocker_lab::smtp::{Reach, probe};
use blocker_tests::agent::Agent;
use blocker_tests::require_root;

/// What the package needs, and a fail2ban to come from: apt finds them in the system.
pub(super) const CLEAN: Recipe<'static> = Recipe {
    name: "clean",
    installed: &[],
    at_hand: &["libmnl0", "libnftnl11", "fail2ban"],
};

/// A system that starts services.
pub(super) const WITH_SYSTEMD: Recipe<'static> = Recipe {
    name: "systemd",
    installed: &["systemd", "libmnl0", "libnftnl11"],
    at_hand: &[],
};

/// A system that looks at packages.
pub(super) const WITH_TOOLS: Recipe<'static> = Recipe {
    name: "tools",
    installed: &[
        "libmnl0",
        "libnftnl11",
        "systemd",
        "lintian",
        "man-db",
        "mandoc",
        "bash-completion",
        "zsh",
        "fish",
    ],
    at_hand: &[],
};

/// A SYN that is dropped is repeated after a second; one answer or none within this is enough to tell.
const PATIENCE: Duration = Duration::from_millis(700);

/// A clean Debian whose network is the relay's, with a server on port 25 beside it.
pub(super) struct System {
    // Dropped in this order: what lives in the system ends with the lab's network.
    pub(super) debian: Debian,
    pub(super) lab: Lab,
    _server: std::net::TcpListener,
}

impl System {
    pub(super) fn new(recipe: Recipe<'_>) -> Self {
        require_root();
        let lab = Lab::new().expect("the lab can be made");
        let listen = || std::net::TcpListener::bind(("::", SMTP.port())).expect("the port is free");
        let server = lab.relay().enter(listen).expect("the relay can be entered");
        // Only interfaces with a default route are watched unless somebody says otherwise.
        let route = [
            "-n",
            lab.relay().name(),
            "route",
            "add",
            "default",
            "via",
            "192.0.2.254",
        ];
        let routed = std::process::Command::new("ip")
            .args(route)
            .status()
            .expect("ip starts");
        assert!(routed.success());
        let debian = Debian::new(&lab, lab.relay(), recipe).unwrap_or_else(|error| panic!("{error:#}"));
        let system = Self {
            debian,
            lab,
            _server: server,
        };
        // As the system's own logging makes it at the first mail.
        system.write("/var/log/mail.log", "");
        system
    }

    /// Runs a command in the system, whatever comes of it.
    pub(super) fn try_run(&self, line: &str) -> Output {
        let mut command = Debian::command("sh");
        command.args(["-c", line]);
        self.debian.output(command).expect("every Debian has a shell")
    }

    /// Runs a command in the system and gives what it printed.
    pub(super) fn run(&self, line: &str) -> String {
        let output = self.try_run(line);
        let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        assert!(output.status.success(), "`{line}`: {}\n{out}{err}", output.status);
        out
    }

    /// Writes a file in the system.
    pub(super) fn write(&self, path: &str, text: &str) {
        let (path, text) = (path.to_owned(), text.to_owned());
        let written = self.debian.run(move || fs::write(path, text));
        written.expect("the system lives").expect("the file can be written");
    }

    /// Brings a package of ours into the system, without installing it: by the name that it has there.
    pub(super) fn bring(&self, package: &Path) -> String {
        let bytes = fs::read(package).expect("the package was made");
        let name = format!("/root/{}", package.file_name().expect("it is a file").display());
        let path = name.clone();
        let written = self.debian.run(move || fs::write(path, bytes));
        written.expect("the system lives").expect("the file can be written");
        name
    }

    /// Installs a package of ours as an operator does, with what it needs; there is no network to get anything from.
    pub(super) fn install(&self, package: &Path) {
        let name = self.bring(package);
        let said = self.run(&format!("apt-get install --yes --no-install-recommends {name} 2>&1"));
        assert!(!said.contains("warning"), "{said}");
    }

    /// Starts the agent by hand, and waits until it is ready.
    pub(super) fn agent(&self, arguments: &[&str]) -> Agent {
        let mut command = Debian::command("blocker");
        command.arg("run").args(arguments);
        let mut agent = self
            .debian
            .run(move || Agent::start(command))
            .expect("the agent starts");
        agent.says(&[" ready "]);
        agent
    }

    /// What becomes of a connection to the relay's port 25.
    pub(super) fn reach(&self, source: IpAddr) -> Reach {
        let host = if source == IpAddr::from(HONEST) {
            self.lab.honest()
        } else {
            self.lab.spam()
        };
        host.enter(|| probe(source, smtp_for(source), PATIENCE))
            .expect("the host can be entered")
    }
}
