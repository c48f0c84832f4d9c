//! `bantime.increment` and its relatives, which make bans longer for who comes back.

use super::{Reader, boolean, duration};
use crate::jail::{Growth, Increment};

/// The formulas that fail2ban's own files name, without blanks. They are Python there; here they are told by how they look.
const DOUBLING: &str = "ban.Time*(1<<(ban.Countifban.Count<20else20))*banFactor";
const EXPONENTIAL: &str = "ban.Time*math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)";

/// What the keys are called.
pub(super) const KEYS: [&str; 8] = [
    "bantime.increment",
    "bantime.factor",
    "bantime.formula",
    "bantime.multipliers",
    "bantime.maxtime",
    "bantime.rndtime",
    "bantime.overalljails",
    "bantime.renew",
];

/// How long after its last failure a ban is renewed at the most, where `bantime.maxtime` says nothing.
const LONGEST_RENEWED: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

impl Reader<'_> {
    /// How long after its last failure a ban is renewed while its host knocks; `None` where it is not.
    pub(super) fn renew(&mut self) -> Option<jiff::SignedDuration> {
        let is_on = self.read("bantime.renew", boolean, false);
        let longest = self.read("bantime.maxtime", duration::parse, LONGEST_RENEWED);
        is_on.then_some(longest)
    }

    /// How bans grow; `None` where they do not. All keys are read, so that what is wrong in them shows before they are wanted.
    pub(super) fn increment(&mut self) -> Option<Increment> {
        let is_on = self.read("bantime.increment", boolean, false);
        let formula = self.read("bantime.formula", formula, Growth::Doubling);
        let multipliers = self.read("bantime.multipliers", multipliers, Vec::new());
        let growth = if multipliers.is_empty() {
            formula
        } else {
            Growth::Multipliers(multipliers)
        };
        let increment = Increment {
            growth,
            factor: self.read("bantime.factor", factor, 1.0),
            max_time: self.read("bantime.maxtime", |text| duration::parse(text).map(Some), None),
            random_time: self.read("bantime.rndtime", duration::parse, jiff::SignedDuration::ZERO),
            overall_jails: self.read("bantime.overalljails", boolean, false),
        };
        is_on.then_some(increment)
    }
}

fn formula(text: &str) -> Result<Growth, String> {
    let tight: String = text.chars().filter(|char| !char.is_whitespace()).collect();
    match tight.as_str() {
        DOUBLING => Ok(Growth::Doubling),
        EXPONENTIAL => Ok(Growth::Exponential),
        _ => Err(format!(
            "`{text}` is a program for Python, which blocker does not run; it knows fail2ban's default, `ban.Time * (1<<(ban.Count if \
             ban.Count<20 else 20)) * banFactor`, and `ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)`; any other growth can be \
             written as `bantime.multipliers`"
        )),
    }
}

/// A number, or one divided by another.
fn factor(text: &str) -> Result<f64, String> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let value = match text.split_once('/') {
        Some((number_of, by)) => number(number_of).zip(number(by)).map(|(number, by)| number / by),
        None => number(text),
    };
    let value = value.filter(|value| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| format!("`{text}` is no number above 0, nor one divided by another"))
}

fn multipliers(text: &str) -> Result<Vec<u32>, String> {
    text.split_whitespace()
        .map(|word| {
            word.parse()
                .map_err(|_| format!("`{word}` is no whole number; write as in `1 2 4 8 16`"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_formulas_of_fail2bans_files_are_known_however_they_are_spaced() {
        let doubling = "ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor";
        assert_eq!(formula(doubling), Ok(Growth::Doubling));
        let exponential = "ban.Time*math.exp(float(ban.Count + 1) * banFactor) / math.exp(1 * banFactor)";
        assert_eq!(formula(exponential), Ok(Growth::Exponential));
    }

    #[test]
    fn any_other_program_is_refused_with_what_to_write() {
        let said = formula("ban.Time * 3 ** ban.Count").unwrap_err();
        assert!(
            said.contains("Python") && said.contains("bantime.multipliers"),
            "{said}"
        );
    }

    #[test]
    fn a_factor_is_a_number_or_a_quotient_above_nothing() {
        assert_eq!(factor("2.5"), Ok(2.5));
        assert_eq!(factor("2.0 / 4"), Ok(0.5));
        for text in ["0", "-1", "1/0", "two", "1/2/3", "inf", "nan"] {
            assert!(factor(text).is_err(), "{text}");
        }
    }

    #[test]
    fn multipliers_are_whole_numbers() {
        assert_eq!(multipliers("1 5 30"), Ok(vec![1, 5, 30]));
        assert!(multipliers("1, 5").is_err());
    }
}
