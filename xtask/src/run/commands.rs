//! The commands that whoever sees the show types next, and whether they work on the sandbox's agent.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use blocker_lab::Namespace;

/// Where `ip netns` keeps the namespaces.
const NAMESPACES: &str = "/run/netns";
/// Lines of an answer that are shown, and how long they may be.
const EXTRACT: (usize, usize) = (9, 130);

/// How the agent is asked in another terminal.
#[derive(Debug)]
pub(crate) struct Commands {
    program: PathBuf,
    socket: PathBuf,
}

/// A command, and what it takes.
#[derive(Debug)]
struct Asked {
    name: &'static str,
    /// What a person types behind it.
    typed: Vec<String>,
    /// What it takes beside that where nobody looks.
    unseen: &'static [&'static str],
    /// What its answer has to name.
    names: Option<IpAddr>,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it worked.
    pub(crate) worked: bool,
    /// What was typed.
    typed: String,
    /// The beginning of what it said.
    extract: String,
}

/// All of them, about this host.
fn asked(host: IpAddr) -> Vec<Asked> {
    let asked = |name, typed: &[String], names| Asked {
        name,
        typed: typed.to_vec(),
        unseen: &[],
        names,
    };
    let top = Asked {
        unseen: &["--json", "--count", "1"],
        ..asked("top", &[], None)
    };
    vec![
        asked("status", &[], None),
        asked("bans", &[], Some(host)),
        asked("why", &[host.to_string()], Some(host)),
        top,
    ]
}

impl Commands {
    /// For the agent that this program runs as, on the relay.
    ///
    /// They name its socket, so that a terminal stays outside of the relay and is not ended with it.
    pub(crate) fn new(program: &Path, relay: &Namespace) -> Result<Self> {
        let namespace = Path::new(NAMESPACES).join(relay.name());
        let inode = fs::metadata(&namespace)
            .with_context(|| namespace.display().to_string())?
            .ino();
        Ok(Self {
            program: program.to_owned(),
            socket: PathBuf::from(format!("/run/blocker/net-{inode}.sock")),
        })
    }

    /// What to type in another terminal, a line each.
    pub(crate) fn to_type(&self, host: IpAddr) -> String {
        let lines: Vec<String> = asked(host)
            .iter()
            .map(|asked| format!("    {}", self.line(asked)))
            .collect();
        lines.join("\n")
    }

    /// Runs each, as from another terminal.
    pub(crate) fn try_all(&self, host: IpAddr) -> Vec<Tried> {
        asked(host).iter().map(|asked| self.try_one(asked)).collect()
    }

    fn try_one(&self, asked: &Asked) -> Tried {
        let mut command = Command::new(&self.program);
        command.arg(asked.name).args(&asked.typed).args(asked.unseen);
        command.arg("--socket").arg(&self.socket);
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        let (worked, said) = match command.output() {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout).into_owned();
                let names = asked.names.is_none_or(|host| text.contains(&host.to_string()));
                let worked = output.status.success() && !text.trim().is_empty() && names;
                (worked, text + &String::from_utf8_lossy(&output.stderr))
            }
            Err(error) => (false, error.to_string()),
        };
        Tried {
            name: asked.name,
            worked,
            typed: self.line(asked),
            extract: extract(&said),
        }
    }

    /// A command as somebody types it where he has started the show.
    fn line(&self, asked: &Asked) -> String {
        let here = std::env::current_dir().unwrap_or_default();
        let program = self.program.strip_prefix(here).unwrap_or(&self.program).display();
        // Whoever needed it for the show needs it for this.
        let sudo = if std::env::var_os("SUDO_UID").is_some() {
            "sudo "
        } else {
            ""
        };
        let typed: String = asked.typed.iter().map(|word| format!(" {word}")).collect();
        format!(
            "{sudo}{program} {}{typed} --socket {}",
            asked.name,
            self.socket.display()
        )
    }
}

impl Tried {
    /// What a person sees of it.
    pub(crate) fn text(&self) -> String {
        let failed = if self.worked { "" } else { "\n    THIS DOES NOT WORK" };
        format!("\n  $ {}{failed}\n{}", self.typed, self.extract)
    }

    /// All of them, for machines: `{"status": true}`.
    pub(crate) fn json(all: &[Self]) -> String {
        let each: Vec<String> = all
            .iter()
            .map(|tried| format!("\"{}\": {}", tried.name, tried.worked))
            .collect();
        format!("{{{}}}", each.join(", "))
    }
}

/// The first lines of an answer.
fn extract(said: &str) -> String {
    let (most, width) = EXTRACT;
    let mut lines: Vec<String> = said
        .lines()
        .take(most)
        .map(|line| {
            format!("    {}", line.chars().take(width).collect::<String>())
                .trim_end()
                .to_owned()
        })
        .collect();
    if said.lines().count() > most {
        lines.push("    …".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_an_answer_is_short() {
        assert_eq!(extract("a\nb\n"), "    a\n    b");
        let long = extract(&"x".repeat(1000).repeat(2).replace("xx", "x\n"));
        assert_eq!(long.lines().count(), EXTRACT.0 + 1);
        assert_eq!(extract(&"y".repeat(1000)).trim().len(), EXTRACT.1);
    }

    #[test]
    fn a_command_that_cannot_be_run_has_not_worked() {
        let commands = Commands {
            program: "/nonexistent/blocker".into(),
            socket: "/run/blocker/net-1.sock".into(),
        };
        let host = IpAddr::from([192, 0, 2, 7]);
        let tried = commands.try_all(host);
        assert!(tried.iter().all(|tried| !tried.worked), "{tried:?}");
        assert!(Tried::json(&tried).starts_with("{\"status\": false, \"bans\": false"));
        assert!(tried[0].text().contains("DOES NOT WORK"));
        let typed = commands.to_type(host);
        assert!(
            typed.contains("/nonexistent/blocker status --socket /run/blocker/net-1.sock"),
            "{typed}"
        );
    }
}
