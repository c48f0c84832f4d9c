//! Medians, ratios, and when neither is to be believed.
//!
//! A figure is made of several rounds. It is believed when the rounds agree: when the middle half of them lies within
//! [`MOST_SCATTER`] of their median. Of a ratio these are the ratios within each round, so that a machine which was slow for a while, for
//! ours and theirs alike, spoils nothing.

/// How far the middle half of the rounds may be spread, as a part of their median.
pub(crate) const MOST_SCATTER: f64 = 0.25;

/// What several rounds have measured of one thing; never empty.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Samples(Vec<f64>);

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// It is this.
    Is(f64),
    /// The rounds scatter too much to say.
    Scatters,
}

impl Figure {
    /// The number, where there is one.
    pub(crate) const fn value(self) -> Option<f64> {
        match self {
            Self::Is(value) => Some(value),
            Self::Scatters => None,
        }
    }

    /// The number with something done to it.
    #[must_use]
    pub(crate) fn map(self, change: impl FnOnce(f64) -> f64) -> Self {
        match self {
            Self::Is(value) => Self::Is(change(value)),
            Self::Scatters => Self::Scatters,
        }
    }
}

impl Samples {
    /// In the order of the rounds; none where there was no round.
    pub(crate) fn new(samples: Vec<f64>) -> Option<Self> {
        (!samples.is_empty()).then_some(Self(samples))
    }

    /// Something that is measured once, since it does not scatter: memory, say.
    pub(crate) fn once(value: f64) -> Self {
        Self(vec![value])
    }

    /// How many rounds there were.
    pub(crate) fn rounds(&self) -> usize {
        self.0.len()
    }

    /// The value in the middle.
    pub(crate) fn median(&self) -> f64 {
        quantile(&self.sorted(), 0.5)
    }

    /// The least.
    pub(crate) fn min(&self) -> f64 {
        quantile(&self.sorted(), 0.0)
    }

    /// The greatest.
    pub(crate) fn max(&self) -> f64 {
        quantile(&self.sorted(), 1.0)
    }

    /// The median, if the rounds agree.
    pub(crate) fn figure(&self) -> Figure {
        let sorted = self.sorted();
        let median = quantile(&sorted, 0.5);
        let spread = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
        if spread <= MOST_SCATTER * median.abs() {
            Figure::Is(median)
        } else {
            Figure::Scatters
        }
    }

    /// The median, if the rounds agree: these are differences, and small ones need only agree as well as what they are reckoned from.
    pub(crate) fn figure_or(&self, from: &Self) -> Figure {
        let sorted = self.sorted();
        let spread = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
        if spread <= MOST_SCATTER * from.median().abs() {
            Figure::Is(self.median())
        } else {
            self.figure()
        }
    }

    /// How many times these are the others, by the medians, if the rounds agree about it.
    pub(crate) fn ratio(&self, others: &Self) -> Figure {
        self.each(others, |ours, theirs| ours / theirs)
            .figure()
            .map(|_| self.median() / others.median())
    }

    /// By how much these are more than the others, round by round.
    pub(crate) fn less(&self, others: &Self) -> Self {
        self.each(others, |ours, theirs| ours - theirs)
    }

    fn each(&self, others: &Self, of: impl Fn(f64, f64) -> f64) -> Self {
        Self(
            self.0
                .iter()
                .zip(&others.0)
                .map(|(ours, theirs)| of(*ours, *theirs))
                .collect(),
        )
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// What this share of the values does not exceed: one of them, and the least such. Of a hundred, 0.99 is the last but one.
pub(crate) fn within(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Between two values that lie around the place, in proportion.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len().saturating_sub(1)) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    match (sorted.get(below), sorted.get(above)) {
        (Some(low), Some(high)) => low + (high - low) * (place - place.floor()),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(values: &[f64]) -> Samples {
        Samples::new(values.to_vec()).unwrap()
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        let odd = samples(&[9.0, 1.0, 4.0]);
        assert_eq!((odd.median(), odd.min(), odd.max(), odd.rounds()), (4.0, 1.0, 9.0, 3));
        assert_eq!(samples(&[4.0, 1.0, 9.0, 2.0]).median(), 3.0);
        assert_eq!(Samples::once(7.0).median(), 7.0);
        assert_eq!(Samples::new(Vec::new()), None);
    }

    #[test]
    fn a_share_of_the_values_is_counted_out_over_all_of_them() {
        let values: Vec<f64> = (1..=1000).rev().map(f64::from).collect();
        let all = [0.5, 0.99, 1.0].map(|share| within(&values, share));
        assert_eq!(all, [Some(500.0), Some(990.0), Some(1000.0)]);
        assert_eq!(within(&[3.0, 1.0], 0.99), Some(3.0));
        assert_eq!(within(&[], 0.5), None);
    }

    #[test]
    fn a_few_rounds_that_were_disturbed_spoil_nothing() {
        let disturbed = samples(&[10.0, 10.1, 9.9, 10.0, 80.0, 10.0, 10.2, 9.8, 40.0]);
        assert_eq!(disturbed.figure(), Figure::Is(10.0));
    }

    #[test]
    fn rounds_that_do_not_agree_give_no_figure() {
        let scattered = samples(&[10.0, 14.0, 8.0, 19.0, 12.0, 6.0, 16.0]);
        assert_eq!(scattered.figure(), Figure::Scatters);
        assert_eq!(scattered.figure().value(), None);
        assert_eq!(scattered.figure().map(|value| value * 2.0), Figure::Scatters);
    }

    #[test]
    fn a_ratio_is_believed_where_the_machine_was_slow_for_both() {
        let ours = samples(&[5.0, 10.0, 20.0, 5.0, 15.0]);
        let theirs = samples(&[10.0, 20.0, 40.0, 10.0, 30.0]);
        assert_eq!(ours.figure(), Figure::Scatters);
        assert_eq!(ours.ratio(&theirs), Figure::Is(0.5));
    }

    #[test]
    fn a_ratio_is_not_believed_where_it_was_slow_for_one() {
        let ours = samples(&[10.0, 10.0, 10.0, 10.0, 10.0]);
        let theirs = samples(&[10.0, 20.0, 40.0, 10.0, 30.0]);
        assert_eq!(ours.ratio(&theirs), Figure::Scatters);
    }

    #[test]
    fn differences_are_taken_within_each_round() {
        let ours = samples(&[5.0, 10.0, 20.0]);
        let theirs = samples(&[4.0, 8.0, 19.0]);
        assert_eq!(ours.less(&theirs), samples(&[1.0, 2.0, 1.0]));
        // Small ones need only agree as well as what they are reckoned from.
        assert_eq!(samples(&[0.1, 0.2, 0.4]).figure_or(&ours), Figure::Is(0.2));
        assert_eq!(samples(&[1.0, 20.0, 40.0]).figure_or(&ours), Figure::Scatters);
    }
}
