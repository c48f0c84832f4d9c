//! What a jail's `action` says about the scope of its bans: `iptables[name=SPAM, port=smtp, protocol=tcp]`.
//!
//! The action itself is not executed: the firewall is blocker's own.

use super::tree::Setting;

/// An action's parameters, by name, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) parameters: Vec<(String, String)>,
}

impl Action {
    /// The parameter of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads a jail's actions, one a line.
pub(super) fn parse(setting: &Setting) -> Result<Vec<Action>, String> {
    let lines = setting.value.lines.iter().map(|line| line.text.trim());
    lines.filter(|line| !line.is_empty()).map(action).collect()
}

fn action(text: &str) -> Result<Action, String> {
    let Some((_, parameters)) = text.split_once('[') else {
        return Ok(Action { parameters: Vec::new() });
    };
    let parameters = parameters
        .strip_suffix(']')
        .ok_or_else(|| format!("the action `{text}` lacks its closing `]`"))?;
    let parameters = split(parameters)
        .into_iter()
        .map(|parameter| {
            let (key, value) = parameter
                .split_once('=')
                .ok_or_else(|| format!("the action's parameter `{parameter}` has no value"))?;
            let value = value.trim().trim_matches(['"', '\'']);
            Ok((key.trim().to_lowercase(), value.to_owned()))
        })
        .collect::<Result<_, String>>()?;
    Ok(Action { parameters })
}

/// Splits at commas outside quotes.
fn split(parameters: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quote) = (0, None);
    for (at, char) in parameters.char_indices() {
        match (char, quote) {
            (',', None) => {
                parts.push(&parameters[start..at]);
                start = at + 1;
            }
            ('"' | '\'', None) => quote = Some(char),
            (char, Some(open)) if char == open => quote = None,
            _ => {}
        }
    }
    parts.push(&parameters[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_parameters_of_an_action() {
        let action = action(r#"iptables-multiport[name=SPAM, port="smtp,465", protocol=tcp]"#).unwrap();
        assert_eq!(action.get("port"), Some("smtp,465"));
        assert_eq!(action.get("protocol"), Some("tcp"));
        assert_eq!(action.get("chain"), None);
    }

    #[test]
    fn an_action_without_parameters_says_nothing() {
        assert_eq!(action("sendmail-whois").unwrap().parameters, []);
    }

    #[test]
    fn an_action_cut_short_is_refused() {
        assert!(action("iptables[name=SPAM").is_err());
        assert!(action("iptables[name]").is_err());
    }
}
