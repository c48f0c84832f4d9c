//! Commands within sentences and tables: they have to be there, and to know the options that are named.

use std::collections::BTreeMap;
use std::process::Command;

use blocker_tests::agent::program;

use super::page::Page;
use super::xtask::xtask;

/// What the commands say of themselves, each asked once.
#[derive(Default)]
pub struct Helps(BTreeMap<String, Option<String>>);

impl Helps {
    /// What is wrong with commands on the page.
    pub fn problems(&mut self, page: &Page) -> Vec<String> {
        let mut problems = Vec::new();
        for (line, span) in &page.spans {
            if let Err(what) = self.check(span) {
                problems.push(page.problem(*line, format!("`{span}`: {what}")));
            }
        }
        problems
    }

    fn check(&mut self, span: &str) -> Result<(), String> {
        let words: Vec<&str> = span.split_whitespace().collect();
        let (command, rest) = match words.as_slice() {
            ["cargo", "xtask", chore, rest @ ..] => (format!("cargo xtask {chore}"), rest),
            ["blocker", option, ..] if option.starts_with('-') => ("blocker".to_owned(), &words[1..]),
            ["blocker", command, rest @ ..] => (format!("blocker {command}"), rest),
            _ => return Ok(()),
        };
        let help = self.0.entry(command.clone()).or_insert_with(|| help(&command));
        let help = help.as_ref().ok_or("there is no such command")?;
        for word in rest.iter().take_while(|word| **word != "--" && **word != "|") {
            let option = word.split('=').next().unwrap_or_default();
            let known = help.split(|char: char| char.is_whitespace() || ",=[]".contains(char));
            if option.starts_with("--") && !known.into_iter().any(|known| known == option) {
                return Err(format!("there is no option {option}"));
            }
        }
        Ok(())
    }
}

/// What a command says of itself; none where there is none.
fn help(command: &str) -> Option<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut asked = match words.as_slice() {
        ["cargo", "xtask", chore] => {
            let mut asked = Command::new(xtask());
            asked.arg(chore);
            asked
        }
        _ => {
            let mut asked = Command::new(program());
            asked.args(&words[1..]);
            asked
        }
    };
    let output = asked.arg("--help").output().expect("the program starts");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    output.status.success().then_some(said)
}
