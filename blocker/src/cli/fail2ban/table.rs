//! fail2ban's commands, and what takes their place.

/// What takes the place of a command. Words in braces are those of the usage.
#[derive(Debug)]
pub(super) enum Answer {
    /// The command to type.
    Type(&'static str),
    /// The key to set to the usage's `VALUE`, in the jail's section.
    Set(&'static str),
    /// What to do, where no command does it.
    Do(&'static str),
}

use Answer::{Do, Set, Type};

const JAIL_LOCAL: &str = "write it under `[{JAIL}]` in /etc/blocker/jail.local, then type `blocker reload`";
const LOOK: &str = "settings are in the configuration, under `[{JAIL}]`; `blocker check` says what they come to";
const ENABLE: &str = "write `enabled = true` under `[{JAIL}]` in /etc/blocker/jail.local, then type `blocker reload`";
const DISABLE: &str = "write `enabled = false` under `[{JAIL}]` in /etc/blocker/jail.local, then type `blocker reload`";
const REGEX: &str =
    "write it into the filter's `.local` file, try it with `blocker test LOG FILTER`, then type `blocker reload`";
const LIST: &str = "blocker test --list-regexes FILTER";
const ACTIONS: &str =
    "actions are not executed, the kernel drops; `action` in jail.conf only says which ports a ban covers";
const LOG: &str =
    "the agent logs to standard error, which its supervisor keeps; there is no file of its own to name or to flush";
const LEVEL: &str = "start the agent with `BLOCKER_LOG=debug` in its environment, or `error`, `warn`, `info`, `trace`";
const STATE: &str = "write `folder = \"DIR\"` under `[state]` in blocker.toml, or type `blocker run --state DIR`";
const HISTORY: &str =
    "write `history = \"30d\"` under `[state]` in blocker.toml, which says how long earlier bans count";
const LINES: &str = "the last ten lines that led to a ban are kept with it, and `blocker why IP` shows them";

/// Options of `fail2ban-client` itself, which stand before its command.
pub(super) const OPTIONS: &[(&[&str], Answer)] = &[
    (&["-t", "--test", "-d", "--dp", "--dump-pretty"], Type("blocker check")),
    (&["-c", "--conf"], Type("blocker run --config DIR")),
    (&["-s", "--socket"], Type("blocker status --socket FILE")),
    (&["-x", "-b", "-f"], Type("blocker run")),
    (&["--loglevel"], Do(LEVEL)),
    (&["--logtarget", "--syslogsocket"], Do(LOG)),
    (&["-i"], Do("there is no prompt; `blocker --help` shows all commands")),
];

/// Usages with their answers; the first that fits counts.
pub(super) const ROWS: &[(&str, Answer)] = &[
    ("fail2ban-regex LOG FILTER", Type("blocker test {LOG} {FILTER}")),
    ("fail2ban-regex *", Type("blocker test LOG FILTER")),
    ("fail2ban-server *", Type("blocker run")),
    ("start", Type("blocker run")),
    ("start JAIL", Do(ENABLE)),
    ("add JAIL *", Do(ENABLE)),
    ("stop JAIL", Do(DISABLE)),
    ("restart", Type("blocker stop && blocker run")),
    ("restart *", Type("blocker reload")),
    ("reload", Type("blocker reload")),
    ("reload JAIL", Type("blocker reload")),
    ("reload --all *", Type("blocker reload")),
    ("reload --restart *", Type("blocker reload")),
    ("reload --if-exists *", Type("blocker reload")),
    (
        "reload --unban JAIL",
        Type("blocker unban --jail {JAIL} && blocker reload"),
    ),
    (
        "reload --unban *",
        Type("blocker unban 0.0.0.0/0 && blocker unban ::/0 && blocker reload"),
    ),
    ("stop", Type("blocker stop")),
    ("unban --all", Type("blocker unban 0.0.0.0/0 && blocker unban ::/0")),
    ("unban IP...", Type("blocker unban {IP}")),
    ("banned", Type("blocker bans")),
    ("banned IP...", Type("blocker bans {IP}")),
    ("status", Type("blocker status")),
    ("status --all *", Type("blocker status")),
    ("status JAIL", Type("blocker status {JAIL}")),
    ("status JAIL FLAVOR", Type("blocker status {JAIL}")),
    ("stats *", Type("blocker status")),
    ("statistics *", Type("blocker status")),
    ("ping", Type("blocker status")),
    (
        "echo *",
        Do("there is nothing to echo to; `blocker status` tells whether the agent answers"),
    ),
    ("help *", Type("blocker --help")),
    ("version", Type("blocker --version")),
    ("flushlogs", Do(LOG)),
    ("set loglevel *", Do(LEVEL)),
    ("get loglevel", Do(LEVEL)),
    ("set logtarget *", Do(LOG)),
    ("get logtarget", Do(LOG)),
    ("set syslogsocket *", Do(LOG)),
    ("get syslogsocket", Do(LOG)),
    ("set dbfile *", Do(STATE)),
    ("get dbfile", Do(STATE)),
    ("set dbmaxmatches *", Do(LINES)),
    ("get dbmaxmatches", Do(LINES)),
    ("set dbpurgeage *", Do(HISTORY)),
    ("get dbpurgeage", Do(HISTORY)),
    ("set JAIL banip IP...", Type("blocker ban {IP} --jail {JAIL}")),
    ("set JAIL unbanip IP...", Type("blocker unban {IP} --jail {JAIL}")),
    ("set JAIL banip *", Type("blocker ban IP --jail {JAIL}")),
    ("set JAIL unbanip *", Type("blocker unban IP --jail {JAIL}")),
    ("set JAIL attempt IP *", Type("blocker ban {IP} --jail {JAIL}")),
    ("set JAIL idle *", Do(DISABLE)),
    (
        "set JAIL ignoreself *",
        Do("the machine's own addresses are never banned, whatever a jail says"),
    ),
    (
        "set JAIL addignoreip IP",
        Do("add {IP} to `ignoreip` under `[{JAIL}]` in /etc/blocker/jail.local, then type `blocker reload`"),
    ),
    (
        "set JAIL delignoreip IP",
        Do("take {IP} out of `ignoreip` under `[{JAIL}]` in /etc/blocker/jail.local, then type `blocker reload`"),
    ),
    (
        "set JAIL addlogpath FILE *",
        Do("add {FILE} to `logpath` under `[{JAIL}]` in /etc/blocker/jail.local, then type `blocker reload`"),
    ),
    (
        "set JAIL dellogpath FILE",
        Do("take {FILE} out of `logpath` under `[{JAIL}]` in /etc/blocker/jail.local, then type `blocker reload`"),
    ),
    (
        "set JAIL addjournalmatch *",
        Do("it is `journalmatch` of the filter: write it into its `.local` file, then type `blocker reload`"),
    ),
    (
        "set JAIL deljournalmatch *",
        Do("it is `journalmatch` of the filter: write it into its `.local` file, then type `blocker reload`"),
    ),
    ("set JAIL addfailregex *", Do(REGEX)),
    ("set JAIL delfailregex *", Do(REGEX)),
    ("set JAIL addignoreregex *", Do(REGEX)),
    ("set JAIL delignoreregex *", Do(REGEX)),
    ("set JAIL datepattern *", Do(REGEX)),
    ("set JAIL maxlines *", Do(REGEX)),
    ("set JAIL ignorecommand VALUE", Set("ignorecommand")),
    ("set JAIL ignorecache VALUE", Set("ignorecache")),
    ("set JAIL logencoding VALUE", Set("logencoding")),
    ("set JAIL findtime VALUE", Set("findtime")),
    ("set JAIL bantime VALUE", Set("bantime")),
    ("set JAIL usedns VALUE", Set("usedns")),
    ("set JAIL maxretry VALUE", Set("maxretry")),
    ("set JAIL maxmatches *", Do(LINES)),
    ("set JAIL addaction *", Do(ACTIONS)),
    ("set JAIL delaction *", Do(ACTIONS)),
    ("set JAIL action *", Do(ACTIONS)),
    ("get JAIL banned", Type("blocker bans --jail {JAIL}")),
    ("get JAIL banned IP...", Type("blocker bans {IP} --jail {JAIL}")),
    ("get JAIL banip *", Type("blocker bans --jail {JAIL}")),
    ("get JAIL logpath", Type("blocker status {JAIL}")),
    ("get JAIL journalmatch", Type("blocker status {JAIL}")),
    ("get JAIL failregex", Type(LIST)),
    ("get JAIL ignoreregex", Type(LIST)),
    ("get JAIL datepattern", Type(LIST)),
    ("get JAIL maxmatches", Do(LINES)),
    ("get JAIL actions", Do(ACTIONS)),
    ("get JAIL action *", Do(ACTIONS)),
    ("get JAIL actionproperties *", Do(ACTIONS)),
    ("get JAIL actionmethods *", Do(ACTIONS)),
    ("set JAIL *", Do(JAIL_LOCAL)),
    ("get JAIL *", Do(LOOK)),
    (
        "set",
        Do("settings are in the configuration; `blocker reload` has the agent read it anew"),
    ),
    (
        "get",
        Do(
            "settings are in the configuration; `blocker check` says what it comes to, and `blocker status` how the agent is",
        ),
    ),
];
