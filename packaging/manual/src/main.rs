//! Writes man pages and completions for shells from blocker's own command line, into a folder laid out like `/usr/share`.
//!
//! A program of its own, so that the agent carries none of it. What the pages say stands with the commands, in `blocker/src/cli`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Command;
use clap_complete::Shell;

/// The program that all of it is about.
const NAME: &str = "blocker";

/// Where Debian's shells look for completions, and what they call ours.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/blocker"),
    (Shell::Zsh, "zsh/vendor-completions/_blocker"),
    (Shell::Fish, "fish/vendor_completions.d/blocker.fish"),
];

fn main() -> Result<()> {
    let share: PathBuf = std::env::args_os()
        .nth(1)
        .context("usage: blocker-manual FOLDER")?
        .into();
    let mut command = blocker::cli::command().name(NAME);
    command.build();
    pages(&command, NAME, &share.join("man/man1"))?;
    for (shell, file) in COMPLETIONS {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, NAME, &mut text);
        write(&share.join(file), &text)?;
    }
    Ok(())
}

/// Writes the page of a command, and those of the commands below it: `blocker-import-fail2ban.1` for `blocker import fail2ban`.
fn pages(command: &Command, name: &str, folder: &Path) -> Result<()> {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        pages(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    let page = clap_mangen::Man::new(command.clone().display_name(name.to_owned()));
    let page = page
        .source(concat!("blocker ", env!("CARGO_PKG_VERSION")))
        .manual("Mail relays");
    let mut text = Vec::new();
    page.render(&mut text)?;
    write(&folder.join(format!("{name}.1")), &text)
}

fn write(file: &Path, text: &[u8]) -> Result<()> {
    let folder = file.parent().context("every file lies in a folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(file, text).with_context(|| file.display().to_string())
}
