//! A page's blocks, run in order on one machine.

use std::path::Path;
use std::process::Output;
use std::time::Instant;

use blocker_tests::DEADLINE;

use super::machine::{Machine, has_of_its_own};
use super::nginx::check_server;
use super::output::compare;
use super::page::{Block, Page};
use super::promtool::check_configuration;

/// Where a block without a path of its own goes.
const TOML: &str = "/etc/blocker/blocker.toml";
const JAILS: &str = "/etc/blocker/jail.local";
/// What begins a command in a block that shows what is said.
const PROMPT: &str = "$ ";
/// Commands that are typed, and so have no place in a block that is not run.
const TYPED: [&str; 13] = [
    "blocker",
    "cargo",
    "sudo",
    "apt",
    "apt-get",
    "systemctl",
    "journalctl",
    "curl",
    "zcat",
    "nft",
    "fail2ban-client",
    "git",
    "ssh",
];
/// Commands that talk to a running agent.
const TALK: [&str; 8] = ["status", "top", "bans", "why", "ban", "unban", "reload", "stop"];

/// Runs all blocks; says what is wrong.
pub fn problems(page: &Page) -> Vec<String> {
    let is_run =
        |block: &Block| ["sh", "console", "toml", "ini"].contains(&block.language.as_deref().unwrap_or_default());
    let machine = page.blocks.iter().any(is_run).then(Machine::new);
    let mut problems = Vec::new();
    for block in &page.blocks {
        if let Err(what) = run(block, machine.as_ref()) {
            problems.push(page.problem(block.line, what));
        }
    }
    problems
}

fn run(block: &Block, machine: Option<&Machine>) -> Result<(), String> {
    let language = block.language.as_deref();
    match (language, machine) {
        (Some("sh"), Some(machine)) => script(machine, &block.text).map(drop),
        (Some("console"), Some(machine)) => console(machine, &block.text),
        (Some("toml"), Some(machine)) => configuration(machine, &block.text, TOML),
        (Some("ini"), Some(machine)) => configuration(machine, &block.text, JAILS),
        (Some("json"), _) => json(&block.text),
        (Some("yaml"), _) => check_configuration(&block.text),
        (Some("nginx"), _) => check_server(&block.text),
        (Some("text"), _) => text(&block.text),
        (None, _) => Err("is indented only: write it between fences, with its language".to_owned()),
        (Some(other), _) => Err(format!(
            "`{other}` is no language of the guide's: nothing is known to be run or checked"
        )),
    }
}

/// Commands, run as they stand.
fn script(machine: &Machine, text: &str) -> Result<Output, String> {
    if talks_to_an_agent(text) {
        let asked = machine.script("blocker status");
        if asked.status.code() == Some(3) {
            succeeded("blocker run", machine.script("blocker run"))?;
        }
    }
    succeeded(text, machine.script(text))
}

fn talks_to_an_agent(text: &str) -> bool {
    let commands = text
        .lines()
        .filter_map(|line| line.trim_start_matches("sudo ").strip_prefix("blocker "));
    let mut words = commands.filter_map(|rest| rest.split_whitespace().next());
    words.any(|word| TALK.contains(&word)) || text.contains("--unix-socket")
}

fn succeeded(what: &str, output: Output) -> Result<Output, String> {
    if output.status.success() {
        return Ok(output);
    }
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    Err(format!("`{}`: {}\n{stdout}{stderr}", what.trim(), output.status))
}

/// Commands behind a prompt, and what each says.
fn console(machine: &Machine, text: &str) -> Result<(), String> {
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix(PROMPT), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            (None, Some((_, shown))) => {
                shown.push_str(line);
                shown.push('\n');
            }
            (None, None) => return Err(format!("begins with no command behind `{PROMPT}`")),
        }
    }
    for (command, shown) in commands {
        says(machine, &command, &shown)?;
    }
    Ok(())
}

/// Runs a command until it says what is shown: the agent may just be about to ban, and a host to knock.
fn says(machine: &Machine, command: &str, shown: &str) -> Result<(), String> {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let output = script(machine, command)?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        match compare(shown, &said) {
            Ok(()) => return Ok(()),
            Err(line) if Instant::now() > deadline => {
                return Err(format!("`{command}` does not say `{line}`, but:\n{said}"));
            }
            Err(_) => {}
        }
    }
}

/// Files of the configuration, each behind a comment with its path; checked as a start does.
fn configuration(machine: &Machine, text: &str, usual: &str) -> Result<(), String> {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let path = line.strip_prefix("# /").map(|path| format!("/{path}"));
        if files.is_empty() || path.is_some() {
            files.push((path.unwrap_or_else(|| usual.to_owned()), String::new()));
        }
        let (_, text) = files.last_mut().expect("one was put there");
        text.push_str(line);
        text.push('\n');
    }
    for (path, text) in &files {
        if !has_of_its_own(Path::new(path)) {
            return Err(format!("{path}: is not the machine's own to write"));
        }
        machine.write(path, text);
    }
    // Without jails of its own, those that are compiled in.
    let check = if files.iter().any(|(path, _)| path.starts_with("/etc/fail2ban/")) {
        "blocker check --config /etc/fail2ban"
    } else {
        "blocker check"
    };
    succeeded(check, machine.script(check)).map(drop)
}

fn json(text: &str) -> Result<(), String> {
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).map_err(|error| format!("no JSON: {error}: {line}"))?;
    }
    Ok(())
}

/// What is neither typed nor configured: pictures, and what the agent says.
fn text(text: &str) -> Result<(), String> {
    let typed = text.lines().find(|line| {
        let first = line.split_whitespace().next().unwrap_or_default();
        TYPED.contains(&first) || line.starts_with(PROMPT)
    });
    match typed {
        Some(line) => Err(format!(
            "`{}` is typed: write it as `sh` or `console`, so that it is run",
            line.trim()
        )),
        None => Ok(()),
    }
}
