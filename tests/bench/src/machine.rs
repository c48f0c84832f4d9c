//! The machine that the figures come from.

use std::fs;
use std::process::Command;

use blocker_lab::command::output;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::bench::workspace;

/// What a reader has to know of the machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    /// The day.
    pub(crate) date: String,
    /// What was measured: the commit, and whether it was changed.
    pub(crate) commit: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    /// Of the vulnerabilities of the processor that are not absent, what is done about them.
    pub(crate) mitigations: Vec<String>,
    pub(crate) rustc: String,
    /// What else ran at the beginning: the load of the last minute.
    pub(crate) load: String,
}

/// Looks at the machine. What it does not tell is left empty.
pub(crate) fn describe() -> Machine {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let is_virtual = field(&cpuinfo, "flags")
        .split_whitespace()
        .any(|flag| flag == "hypervisor");
    let cpu = field(&cpuinfo, "model name");
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: f64 = field(&meminfo, "MemTotal")
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    Machine {
        date: Timestamp::now().strftime("%Y-%m-%d").to_string(),
        commit: commit(),
        cpu: if is_virtual { format!("{cpu}, virtual") } else { cpu },
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory: format!("{:.0} GiB", kib / f64::from(1 << 20)),
        kernel: said(Command::new("uname").arg("-r")),
        mitigations: mitigations(),
        rustc: said(Command::new("rustc").arg("--version").current_dir(workspace())),
        load: load.split_whitespace().next().unwrap_or_default().to_owned(),
    }
}

impl Machine {
    pub(crate) fn json(&self) -> Value {
        json!({
            "date": self.date,
            "commit": self.commit,
            "cpu": self.cpu,
            "cores": self.cores,
            "memory": self.memory,
            "kernel": self.kernel,
            "mitigations": self.mitigations,
            "rustc": self.rustc,
            "load": self.load,
        })
    }

    /// In one line.
    pub(crate) fn short(&self) -> String {
        let Self { cpu, cores, kernel, .. } = self;
        format!("{cpu}, {cores} cores, Linux {kernel}")
    }
}

fn commit() -> String {
    let git = |words: &[&str]| said(Command::new("git").arg("-C").arg(workspace()).args(words));
    let commit = git(&["rev-parse", "--short", "HEAD"]);
    // The document that is written here is not what is measured.
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs"]);
    if changed.is_empty() {
        commit
    } else {
        format!("{commit}, changed")
    }
}

fn mitigations() -> Vec<String> {
    let folder = fs::read_dir("/sys/devices/system/cpu/vulnerabilities");
    let files = folder.into_iter().flatten().flatten();
    let mut all: Vec<String> = files
        .filter_map(|file| {
            let state = fs::read_to_string(file.path()).ok()?;
            let state = state.trim();
            (state != "Not affected").then(|| format!("{}: {state}", file.file_name().to_string_lossy()))
        })
        .collect();
    all.sort();
    all
}

/// A field of one of the kernel's lists of names and values.
fn field(text: &str, name: &str) -> String {
    let of = |line: &str| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    };
    text.lines().find_map(of).unwrap_or_default()
}

fn said(command: &mut Command) -> String {
    let output = output(command).map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    output.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "model\t\t: 1\nmodel name\t: AMD EPYC\nmodel name\t: another\n";
        assert_eq!(field(text, "model name"), "AMD EPYC");
        assert_eq!(field(text, "flags"), "");
    }
}
