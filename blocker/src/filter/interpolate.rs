//! `%(x)s`: the value of another key, as Python's `configparser` and fail2ban's additions to it put it in.
//!
//! A name stands for the value of that key in the same section, else in `[DEFAULT]`; `%(section/x)s` for one of another section,
//! `%(default/x)s` for one of `[DEFAULT]`, `%(known/x)s` for what the key was before the latest file changed it, and
//! `%(__name__)s` for the section's name. `%%` is a percent sign.

use super::layers::{DEFAULT, Keys, Layers};
use super::value::{Builder, Value};
use crate::problem::{Place, Problem, did_you_mean};

/// No value grows beyond this: names that stand for names that multiply must come to an end.
pub(super) const MAX_LEN: usize = 1024 * 1024;
/// So many names stand for one another in a row at the most. Python's configparser has 10.
const MAX_DEPTH: usize = 100;
/// So many values are put into one at the most: values that are empty make nothing longer, and multiply all the same.
const MAX_INSERTIONS: usize = 10_000;

/// What is being put together.
#[derive(Debug, Default)]
struct Work {
    /// The names whose values are being put together, each in the one before.
    names: Vec<String>,
    /// Values that were put in so far.
    insertions: usize,
}

/// What names mean in one section.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    layers: &'a Layers,
    section: &'a str,
    /// Values that count before those of the section.
    given: &'a Keys,
}

impl<'a> Scope<'a> {
    /// The names of a section, with `given` values before them.
    #[must_use]
    pub const fn new(layers: &'a Layers, section: &'a str, given: &'a Keys) -> Self {
        Self { layers, section, given }
    }

    /// The value of a key with everything put in; `None` where nothing sets it.
    ///
    /// # Errors
    ///
    /// When a name in it stands for nothing or for itself, or a percent sign stands alone.
    pub fn get(&self, key: &str) -> Result<Option<Value>, Problem> {
        let key = key.to_lowercase();
        match self.raw(&key) {
            Some(value) => {
                let mut work = Work {
                    names: vec![key],
                    ..Work::default()
                };
                self.fill(&value, &mut work).map(Some)
            }
            None => Ok(None),
        }
    }

    /// What a name stands for, as it is written.
    fn raw(&self, name: &str) -> Option<Value> {
        let own = self.layers.section(self.section);
        let plain = |key: &str| {
            let section = own.and_then(|section| section.keys.get(key));
            self.given
                .get(key)
                .or(section)
                .or_else(|| self.layers.defaults.get(key))
                .cloned()
        };
        if let Some(value) = plain(name) {
            return Some(value);
        }
        if name == "__name__" {
            let place = own.map_or_else(
                || Place::file(std::path::Path::new("")),
                |section| section.place.clone(),
            );
            return Some(Value::given(&place, self.section));
        }
        let (section, key) = name.split_once('/')?;
        let default = || self.layers.defaults.get(key).cloned();
        match section {
            "known" => own.and_then(|section| section.known.get(key).cloned()).or_else(default),
            section if section.eq_ignore_ascii_case(DEFAULT) => default(),
            section => {
                let known = &self.layers.sections;
                let found = known.iter().find(|known| known.name.eq_ignore_ascii_case(section))?;
                found.keys.get(key).cloned().or_else(default)
            }
        }
    }

    /// Puts everything into a value.
    fn fill(&self, value: &Value, work: &mut Work) -> Result<Value, Problem> {
        if !value.lines.iter().any(|line| line.text.contains('%')) {
            return Ok(value.clone());
        }
        let mut builder = Builder::new(&value.place());
        for (n, line) in value.lines.iter().enumerate() {
            if n > 0 {
                builder.break_line(line.place.clone());
            }
            let mut rest = line.text.as_str();
            while let Some((before, after)) = rest.split_once('%') {
                builder.push(before);
                if let Some(after) = after.strip_prefix('%') {
                    builder.push("%");
                    rest = after;
                    continue;
                }
                let (name, after) = name(after).ok_or_else(|| Problem {
                    place: line.place.clone(),
                    what: format!("a percent sign stands alone in `{}`", line.text),
                    hint: "write `%%` for a percent sign, `%(name)s` for another key's value".to_owned(),
                })?;
                builder.insert(&self.named(name, &line.place, work)?);
                work.insertions += 1;
                if builder.len() > MAX_LEN || work.insertions > MAX_INSERTIONS {
                    return Err(too_long(name, &line.place));
                }
                rest = after;
            }
            builder.push(rest);
        }
        Ok(builder.finish())
    }

    fn named(&self, name: &str, place: &Place, work: &mut Work) -> Result<Value, Problem> {
        let name = name.to_lowercase();
        let names = &mut work.names;
        if names.contains(&name) {
            names.push(name);
            return Err(Problem {
                place: place.clone(),
                what: format!("`%({})s` stands for itself: {}", names[0], names.join(" → ")),
                hint: "break the circle; `%(known/name)s` is the value from before this file".to_owned(),
            });
        }
        let Some(value) = self.raw(&name) else {
            return Err(Problem {
                place: place.clone(),
                what: format!("`%({name})s` stands for nothing"),
                hint: self.hint(&name),
            });
        };
        if names.len() > MAX_DEPTH {
            return Err(Problem {
                place: place.clone(),
                what: format!("`%({})s` stands for more than {MAX_DEPTH} others in a row", names[0]),
                hint: "put the last of them in its place".to_owned(),
            });
        }
        names.push(name);
        let filled = self.fill(&value, work)?;
        work.names.pop();
        Ok(filled)
    }

    fn hint(&self, name: &str) -> String {
        let own = self.layers.section(self.section).map(|section| section.keys.keys());
        let keys = own
            .into_iter()
            .flatten()
            .chain(self.layers.defaults.keys())
            .chain(self.given.keys());
        match did_you_mean(name, keys.map(String::as_str)) {
            hint if hint.is_empty() => {
                format!("set `{name}` in this section or in [DEFAULT], or write `%%` for a percent sign")
            }
            hint => hint,
        }
    }
}

/// The name at the beginning of `(name)s…`, and what follows.
fn name(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('(')?.split_once(')')?;
    Some((name, after.strip_prefix('s')?)).filter(|(name, _)| !name.is_empty())
}

/// The problem of a value that outgrows every bound.
pub(super) fn too_long(name: &str, place: &Place) -> Problem {
    Problem {
        place: place.clone(),
        what: format!("with `{name}` put in, the value grows beyond all bounds"),
        hint: format!(
            "do not let names stand for names that multiply; a value has room for {} KiB",
            MAX_LEN / 1024
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::layers::Files;
    use super::*;

    struct One(&'static str);

    impl Files for One {
        fn read(&self, path: &Path) -> std::io::Result<Option<String>> {
            Ok((path == Path::new("x.conf")).then(|| self.0.to_owned()))
        }
    }

    fn get(text: &'static str, key: &str) -> Result<String, String> {
        let (layers, _) = Layers::read(&One(text), &[PathBuf::from("x.conf")]);
        let given = Keys::from([("given".to_owned(), Value::given(&Place::file(Path::new("")), "g%(b)s"))]);
        let value = Scope::new(&layers, "a", &given).get(key);
        value
            .map(|value| value.unwrap().text())
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn names_stand_for_values_of_the_section_of_the_default_and_of_others() {
        let text = "[DEFAULT]\nb = 1\nc = %(b)s\n[a]\nb = 2\nx = %(b)s %(c)s %(other/b)s %(default/b)s %(__name__)s %(given)s 5%%\n[other]\nb = 3\n";
        assert_eq!(get(text, "x").unwrap(), "2 2 3 1 a g2 5%");
    }

    #[test]
    fn a_value_of_several_lines_stays_one() {
        let text = "[a]\nr = ^one\n    ^two\nx = ^zero\n    %(r)s end\n";
        assert_eq!(get(text, "x").unwrap(), "^zero\n^one\n^two end");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let cases = [
            ("[a]\nx = 1\n  %(nme)s\nname = 1\n", "x.conf:3:", "did you mean `name`?"),
            ("[a]\nx = %(y)s\ny = %(z)s\nz = %(y)s\n", "x.conf:4:", "x → y → z → y"),
            ("[a]\nx = 5% off\n", "x.conf:2:", "write `%%`"),
            ("[a]\nx = %(y)d\ny = 1\n", "x.conf:2:", "write `%%`"),
        ];
        for (text, place, part) in cases {
            let problem = get(text, "x").unwrap_err();
            assert!(problem.starts_with(place) && problem.contains(part), "{problem}");
        }
    }

    /// `k0` stands for `k1`, so often, and so on.
    fn chain(len: usize, often: usize) -> String {
        let mut text = "[a]\n".to_owned();
        for n in 0..len {
            text += &format!("k{n} = {}\n", format!("%(k{})s", n + 1).repeat(often));
        }
        text + &format!("k{len} =\n")
    }

    #[test]
    fn a_long_chain_of_names_and_one_that_multiplies_nothing_come_to_an_end() {
        let get = |text: String| get(Box::leak(text.into_boxed_str()), "k0");
        assert_eq!(get(chain(50, 1)), Ok(String::new()));
        assert!(get(chain(20_000, 1)).unwrap_err().contains("in a row"));
        assert!(get(chain(40, 2)).unwrap_err().contains("beyond all bounds"));
    }

    #[test]
    fn names_that_multiply_come_to_an_end() {
        let text = "[a]\na = xxxxxxxxxx\nb = %(a)s%(a)s%(a)s%(a)s%(a)s%(a)s%(a)s%(a)s\nc = %(b)s%(b)s%(b)s%(b)s%(b)s%(b)s%(b)s%(b)s\n\
                    d = %(c)s%(c)s%(c)s%(c)s%(c)s%(c)s%(c)s%(c)s\ne = %(d)s%(d)s%(d)s%(d)s%(d)s%(d)s%(d)s%(d)s\n\
                    f = %(e)s%(e)s%(e)s%(e)s%(e)s%(e)s%(e)s%(e)s\nx = %(f)s%(f)s%(f)s%(f)s%(f)s%(f)s%(f)s%(f)s\n";
        assert!(get(text, "x").unwrap_err().contains("KiB"));
    }
}
