//! Several things measured in turn.

use anyhow::{Context as _, Result};

use crate::statistics::Samples;

/// Something that is measured: its name, and what measures it once.
pub(crate) type Measured<'a> = (&'a str, &'a mut dyn FnMut() -> Result<f64>);

/// As [`Measured`], in a list that is made as one goes.
pub(crate) type Owned<'a> = (String, Box<dyn FnMut() -> Result<f64> + 'a>);

/// As [`alternate`].
pub(crate) fn alternate_all(rounds: usize, mut all: Vec<Owned<'_>>) -> Result<Vec<(String, Samples)>> {
    let mut borrowed: Vec<Measured<'_>> = all
        .iter_mut()
        .map(|(name, measure)| (name.as_str(), &mut **measure as &mut dyn FnMut() -> Result<f64>))
        .collect();
    alternate(rounds, &mut borrowed)
}

/// Measures each once in every round, after one round that does not count. The order turns round with each, so that what one leaves
/// in the machine's caches does not always fall on the same other.
pub(crate) fn alternate(rounds: usize, all: &mut [Measured<'_>]) -> Result<Vec<(String, Samples)>> {
    let mut samples = vec![Vec::with_capacity(rounds); all.len()];
    for round in 0..=rounds {
        let mut order: Vec<usize> = (0..all.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for n in order {
            let (name, measure) = &mut all[n];
            let value = measure().with_context(|| format!("measuring {name}"))?;
            if round > 0 {
                samples[n].push(value);
            }
        }
    }
    let named = all.iter().zip(samples).map(|((name, _), samples)| {
        let samples = Samples::new(samples).context("there was no round")?;
        Ok(((*name).to_owned(), samples))
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn each_is_measured_in_every_round_and_the_first_does_not_count() {
        let order = RefCell::new(String::new());
        let mut n = 0.0;
        let mut a = || {
            order.borrow_mut().push('a');
            n += 1.0;
            Ok(n)
        };
        let mut b = || {
            order.borrow_mut().push('b');
            Ok(7.0)
        };
        let measured = alternate(2, &mut [("a", &mut a), ("b", &mut b)]).unwrap();
        let expected = [("a", [2.0, 3.0]), ("b", [7.0, 7.0])]
            .map(|(name, values)| (name.to_owned(), Samples::new(values.to_vec()).unwrap()));
        assert_eq!(measured, expected);
        assert_eq!(*order.borrow(), "abbaab");
    }

    #[test]
    fn what_cannot_be_measured_is_named() {
        let mut broken = || anyhow::bail!("no such file");
        let error = alternate(1, &mut [("theirs", &mut broken)]).unwrap_err();
        assert_eq!(format!("{error:#}"), "measuring theirs: no such file");
    }
}
