//! What does not run as it stands in the guide, and why. Everything else runs as it is typed.

/// A script that runs in the place of programs.
pub struct StandIn {
    /// The programs.
    pub names: &'static [&'static str],
    /// What runs in their place.
    pub script: &'static str,
    /// Why they do not run themselves.
    #[allow(
        dead_code,
        reason = "the table is for who reads it: each program has its reason beside it"
    )]
    pub why: &'static str,
}

/// All of them.
pub const STAND_INS: &[StandIn] = &[
    StandIn {
        names: &["blocker"],
        script: include_str!("stand_ins/blocker.sh"),
        why: "it is the program itself; only `run` goes on for ever and is left behind, and `top` is given a terminal",
    },
    StandIn {
        names: &["systemctl"],
        script: include_str!("stand_ins/systemctl.sh"),
        why: "no systemd rules the network namespace; the unit's commands are run as it would run them",
    },
    StandIn {
        names: &["journalctl"],
        script: include_str!("stand_ins/journalctl.sh"),
        why: "the agent's own words are in a file here, since no systemd has started it",
    },
    StandIn {
        names: &["apt", "apt-get", "dpkg"],
        script: include_str!("stand_ins/not_run.sh"),
        why: "installing would change the machine, and a test of the package's own does it in a root of its own",
    },
    StandIn {
        names: &["fail2ban-client"],
        script: include_str!("stand_ins/not_run.sh"),
        why: "fail2ban's server is not started; its configuration and its database are real",
    },
    StandIn {
        names: &["git"],
        script: include_str!("stand_ins/not_run.sh"),
        why: "what would be cloned is what the test is of",
    },
    StandIn {
        names: &["cargo"],
        script: include_str!("stand_ins/cargo.sh"),
        why: "builds, benches and sandboxes take minutes, and tests of their own run them; commands and options are looked up",
    },
    StandIn {
        names: &["ssh"],
        script: include_str!("stand_ins/not_run.sh"),
        why: "there is no other host to log in to",
    },
    StandIn {
        names: &["sudo"],
        script: include_str!("stand_ins/sudo.sh"),
        why: "the test is root already, and sudo would put back its own path",
    },
];
