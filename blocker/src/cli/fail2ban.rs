//! What to type here for a command of fail2ban's, for hands that are used to it.
//!
//! The table has every command of `fail2ban-client`, 1.0 and 1.1; a test holds it against what that program says of itself. It is
//! consulted only for what is no command of ours.

mod table;

use self::table::{Answer, OPTIONS, ROWS};

/// An option of `unbanip` that may stand before its addresses.
const REPORT_ABSENT: &str = "--report-absent";

/// Says what takes the place of what was typed after `blocker`, where that is fail2ban's.
pub(super) fn answer(typed: &[String]) -> Option<String> {
    let typed = match typed {
        [program, rest @ ..] if program == "fail2ban-client" && !rest.is_empty() => rest,
        _ => typed,
    };
    let words: Vec<&str> = typed.iter().map(String::as_str).collect();
    let first = words.first()?;
    if let Some((_, answer)) = OPTIONS.iter().find(|(names, _)| names.contains(first)) {
        return Some(said(first, &filled(answer, &Operands::default())));
    }
    ROWS.iter().find_map(|(usage, answer)| {
        let operands = operands(usage, &words)?;
        let literal = usage.split(' ').filter(|word| is_literal(word));
        let name: Vec<&str> = literal.filter(|word| *word != "*").collect();
        Some(said(&name.join(" "), &filled(answer, &operands)))
    })
}

fn said(name: &str, answer: &str) -> String {
    format!("fail2ban's `{name}` {answer}")
}

/// What stands in the place of the words in capitals.
#[derive(Debug, Default)]
struct Operands<'a> {
    named: Vec<(&'static str, &'a str)>,
    /// Those of a word that may be repeated.
    several: Option<(&'static str, Vec<&'a str>)>,
}

/// Fits typed words to a usage: small words must be there, one in capitals stands for any, one with `...` for one or more, and `*`
/// for whatever follows, which matters to nobody.
fn operands<'a>(usage: &'static str, typed: &[&'a str]) -> Option<Operands<'a>> {
    let mut operands = Operands::default();
    let mut typed = typed.iter();
    for word in usage.split(' ') {
        if word == "*" {
            return Some(operands);
        }
        if let Some(name) = word.strip_suffix("...") {
            let rest: Vec<&str> = typed.by_ref().copied().filter(|word| *word != REPORT_ABSENT).collect();
            if rest.is_empty() || rest.iter().any(|word| is_option(word)) {
                return None;
            }
            operands.several = Some((name, rest));
            continue;
        }
        let next = typed.next()?;
        if is_literal(word) {
            if word != *next {
                return None;
            }
        } else if is_option(next) {
            return None;
        } else {
            operands.named.push((word, next));
        }
    }
    typed.next().is_none().then_some(operands)
}

fn is_literal(word: &str) -> bool {
    !word.starts_with(|first: char| first.is_ascii_uppercase())
}

fn is_option(word: &str) -> bool {
    word.starts_with('-')
}

/// The answer with what was typed in it. Where there is nothing for a word in capitals, it stays for the reader to fill in.
fn filled(answer: &Answer, operands: &Operands<'_>) -> String {
    match answer {
        Answer::Type(command) => {
            let none = Vec::new();
            let (name, all) = operands
                .several
                .as_ref()
                .map_or(("", &none), |(name, all)| (*name, all));
            let mut commands: Vec<String> = Vec::new();
            for one in all {
                let of_one = [&operands.named[..], &[(name, *one)]].concat();
                commands.push(with(command, &of_one));
            }
            if commands.is_empty() {
                commands.push(with(command, &operands.named));
            }
            format!("is `{}` here", commands.join(" && "))
        }
        Answer::Set(key) => {
            let text = format!(
                "write `{key} = {{VALUE}}` under `[{{JAIL}}]` in /etc/blocker/jail.local, then type `blocker reload`"
            );
            format!("is no command here: {}", with(&text, &operands.named))
        }
        Answer::Do(text) => format!("is no command here: {}", with(text, &operands.named)),
    }
}

/// A text whose `{WORDS}` are replaced by what was typed for them.
fn with(text: &str, operands: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (n, part) in text.split(['{', '}']).enumerate() {
        // Every other part stood in braces.
        let typed = operands.iter().find(|(name, _)| n % 2 == 1 && *name == part);
        match typed {
            Some((_, typed)) => out.push_str(&quoted(typed)),
            None => out.push_str(part),
        }
    }
    out
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "._:/@%+=,-".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(typed: &str) -> Option<String> {
        let words: Vec<String> = typed.split(' ').map(str::to_owned).collect();
        answer(&words)
    }

    #[test]
    fn a_command_of_fail2bans_is_answered_by_the_one_to_type() {
        for (typed, told_is) in [
            ("start", "fail2ban's `start` is `blocker run` here"),
            (
                "set sshd banip 192.0.2.7",
                "fail2ban's `set banip` is `blocker ban 192.0.2.7 --jail sshd` here",
            ),
            (
                "set sshd unbanip --report-absent 192.0.2.7 2001:db8::1",
                "fail2ban's `set unbanip` is `blocker unban 192.0.2.7 --jail sshd && blocker unban 2001:db8::1 --jail sshd` here",
            ),
            (
                "set sshd banip",
                "fail2ban's `set banip` is `blocker ban IP --jail sshd` here",
            ),
            (
                "unban --all",
                "fail2ban's `unban --all` is `blocker unban 0.0.0.0/0 && blocker unban ::/0` here",
            ),
            ("banned", "fail2ban's `banned` is `blocker bans` here"),
            (
                "fail2ban-client status sshd",
                "fail2ban's `status` is `blocker status sshd` here",
            ),
            (
                "fail2ban-regex log filter",
                "fail2ban's `fail2ban-regex` is `blocker test log filter` here",
            ),
            ("-t", "fail2ban's `-t` is `blocker check` here"),
        ] {
            assert_eq!(told(typed).as_deref(), Some(told_is), "{typed}");
        }
    }

    #[test]
    fn what_has_no_command_says_what_to_do_in_two_lines_at_most() {
        let told = told("set sshd findtime 600").unwrap();
        assert_eq!(
            told,
            "fail2ban's `set findtime` is no command here: write `findtime = 600` under `[sshd]` in /etc/blocker/jail.local, then \
             type `blocker reload`"
        );
        for (usage, answer) in ROWS {
            let text = filled(answer, &Operands::default());
            assert!(text.len() < 200, "{usage}: {text}");
            assert!(!text.contains(['{', '}', '\n']), "{usage}: {text}");
        }
    }

    #[test]
    fn what_is_typed_is_safe_to_paste() {
        let told = answer(&["set", "a;b", "banip", "$(x)'{JAIL}"].map(str::to_owned)).unwrap();
        assert!(told.contains(r"`blocker ban '$(x)'\''{JAIL}' --jail 'a;b'`"), "{told}");
    }

    #[test]
    fn what_is_nobodys_has_no_answer() {
        for typed in [
            "frobnicate",
            "",
            "statsu",
            "reload --frobnicate",
            "unban",
            "ban",
            "test x",
            "--json",
            "unban 192.0.2.7 --jsn",
        ] {
            assert_eq!(told(typed), None, "{typed}");
        }
        assert_eq!(answer(&[]), None);
    }

    #[test]
    fn each_row_of_the_table_is_reached() {
        for (n, (usage, _)) in ROWS.iter().enumerate() {
            // An option stands for what matters to nobody, since it is no operand.
            let typed: Vec<String> = usage
                .split(' ')
                .map(|word| word.to_lowercase().replace("...", "").replace('*', "--any"))
                .collect();
            let words: Vec<&str> = typed.iter().map(String::as_str).collect();
            let first = ROWS.iter().position(|(usage, _)| operands(usage, &words).is_some());
            assert_eq!(first, Some(n), "`{usage}` is hidden by another row");
        }
    }
}
