//! A name with parameters, as jails name filters and actions: `postfix[mode=aggressive]`, `iptables[name=SPAM, port="25,465"]`.

/// A name and what stands between its brackets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Parameters with their values, in order; of several of one name the last counts.
    pub parameters: Vec<(String, String)>,
}

impl Named {
    /// Reads one name with its parameters.
    ///
    /// # Errors
    ///
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let Some((name, mut rest)) = text.split_once('[') else {
            return Ok(Self {
                name: text.to_owned(),
                parameters: Vec::new(),
            });
        };
        let mut parameters = Vec::new();
        loop {
            rest = rest.trim_start_matches(|char: char| char == ',' || char.is_whitespace());
            if let Some(after) = rest.strip_prefix(']') {
                match after.trim_start().strip_prefix('[') {
                    Some(more) => rest = more,
                    None if after.trim().is_empty() => break,
                    None => return Err(format!("`{}` stands behind the closing `]` of `{text}`", after.trim())),
                }
                continue;
            }
            if rest.is_empty() {
                return Err(format!("`{text}` lacks its closing `]`"));
            }
            let (parameter, after) = parameter(rest).map_err(|what| format!("`{text}`: {what}"))?;
            parameters.push(parameter);
            rest = after;
        }
        Ok(Self {
            name: name.trim().to_owned(),
            parameters,
        })
    }

    /// Reads several, separated by blanks or line breaks outside of brackets.
    ///
    /// # Errors
    ///
    /// As [`Named::parse`].
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        split(text).into_iter().map(Self::parse).collect()
    }

    /// The parameter of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().rev().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Reads `key=value` off the front; the value may be quoted, and ends otherwise at a comma or the bracket.
fn parameter(text: &str) -> Result<((String, String), &str), String> {
    let key_len = text
        .find(|char: char| !(char.is_alphanumeric() || "-_.".contains(char)))
        .unwrap_or(text.len());
    let (key, after) = text.split_at(key_len);
    let Some(after) = after.trim_start().strip_prefix('=').filter(|_| !key.is_empty()) else {
        let what = text.split([',', ']']).next().unwrap_or_default().trim();
        return Err(format!("the parameter `{what}` has no value; write `name=value`"));
    };
    let after = after.trim_start();
    let quote = after.chars().next().filter(|char| "\"'".contains(*char));
    let (value, after) = match quote {
        Some(quote) => {
            let end = after[1..]
                .find(quote)
                .ok_or_else(|| format!("the value of `{key}` lacks its closing {quote}"))?;
            (&after[1..=end], &after[end + 2..])
        }
        None => after.split_at(after.find([',', ']']).unwrap_or(after.len())),
    };
    Ok(((key.to_owned(), value.trim().to_owned()), after))
}

/// Splits at blanks outside of brackets and quotes.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut depth, mut quote) = (0, 0_usize, None);
    for (at, char) in text.char_indices() {
        match (char, quote) {
            (char, Some(open)) if char == open => quote = None,
            (_, Some(_)) => {}
            ('"' | '\'', None) if depth > 0 => quote = Some(char),
            ('[', None) => depth += 1,
            (']', None) => depth = depth.saturating_sub(1),
            // `name [a=b]` is one, so the next word's beginning decides.
            (char, None) if char.is_whitespace() && depth == 0 && !text[at..].trim_start().starts_with('[') => {
                parts.push(&text[start..at]);
                start = at;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
        .into_iter()
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_a_name_with_parameters() {
        let action = Named::parse(r#"iptables-multiport[name=SPAM, port="smtp,465", protocol=tcp]"#).unwrap();
        assert_eq!(action.name, "iptables-multiport");
        assert_eq!(action.get("port"), Some("smtp,465"));
        assert_eq!(action.get("protocol"), Some("tcp"));
        assert_eq!(action.get("chain"), None);
    }

    #[test]
    fn brackets_may_come_one_after_the_other() {
        let filter = Named::parse("x[a=1][b='2 ]']").unwrap();
        assert_eq!((filter.get("a"), filter.get("b")), (Some("1"), Some("2 ]")));
        assert_eq!(Named::parse("x[]").unwrap().parameters, []);
    }

    #[test]
    fn several_are_told_apart() {
        let all = Named::parse_all("a[x=1, y=\"2 3\"]\n\n  b\n  c[z=1]").unwrap();
        let names: Vec<&str> = all.iter().map(|named| named.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        for text in ["iptables[name=SPAM", "iptables[name]", "x[a=\"1]", "x[a=1]y", "x[=1]"] {
            assert!(Named::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z\\[\\]=,\"' é\n-]*") {
            let _ = Named::parse_all(&text);
        }
    }
}
