//! How much longer a ban lasts for who comes back: fail2ban's `bantime.increment` and its relatives.

use jiff::{SignedDuration, Timestamp};

/// The default formula doubles up to so many times.
const DOUBLINGS: u32 = 20;
/// Longer than anybody means, and short enough to reckon with.
const LONGEST: f64 = 1000.0 * 365.25 * 86400.0;

/// How bans grow.
#[derive(Clone, Debug, PartialEq)]
pub struct Increment {
    /// What the ban time becomes with the number of earlier bans.
    pub growth: Growth,
    /// `bantime.factor`.
    pub factor: f64,
    /// `bantime.maxtime`: a grown ban is no longer than this, before the random part.
    pub max_time: Option<SignedDuration>,
    /// `bantime.rndtime`: a grown ban is longer by up to this, so that nobody can reckon its end.
    pub random_time: SignedDuration,
    /// `bantime.overalljails`: whether the bans of every jail count.
    pub overall_jails: bool,
}

/// The formulas that fail2ban's own files name.
#[derive(Clone, Debug, PartialEq)]
pub enum Growth {
    /// `ban.Time * (1<<(ban.Count if ban.Count<20 else 20)) * banFactor`, the default.
    Doubling,
    /// `ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)`.
    Exponential,
    /// `bantime.multipliers`, by the number of earlier bans; the last one goes on.
    Multipliers(Vec<u32>),
}

impl Increment {
    /// How long a ban lasts that would last `ban_time`, after so many earlier bans; `random` is from 0 to 1.
    #[must_use]
    pub fn lengthen(&self, ban_time: SignedDuration, earlier: u32, random: f64) -> SignedDuration {
        if earlier == 0 {
            return ban_time;
        }
        let base = ban_time.as_secs_f64();
        let grown = match &self.growth {
            Growth::Doubling => {
                let times = f64::from(1_u32 << earlier.min(DOUBLINGS));
                base.max(base * times * self.factor)
            }
            // The two powers of e in one: alone, each of them can be beyond what a number holds.
            Growth::Exponential => base.max(base * (f64::from(earlier) * self.factor).exp()),
            Growth::Multipliers(multipliers) => {
                let at = (earlier as usize).min(multipliers.len().saturating_sub(1));
                base * self.factor * multipliers.get(at).map_or(1.0, |times| f64::from(*times))
            }
        };
        let most = self.max_time.map_or(LONGEST, |most| most.as_secs_f64());
        let seconds = grown.min(most) + random * self.random_time.as_secs_f64();
        SignedDuration::try_from_secs_f64(seconds.clamp(0.0, LONGEST)).unwrap_or(ban_time)
    }
}

/// A number from 0 to 1 that nobody can foresee who does not know the process's memory.
#[must_use]
pub(super) fn random(of: &impl std::hash::BuildHasher, ban: impl std::hash::Hash, now: Timestamp) -> f64 {
    let bits = of.hash_one((ban, now)) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn increment(growth: Growth) -> Increment {
        Increment {
            growth,
            factor: 1.0,
            max_time: None,
            random_time: SignedDuration::ZERO,
            overall_jails: false,
        }
    }

    fn seconds(increment: &Increment, earlier: u32) -> i64 {
        increment
            .lengthen(SignedDuration::from_secs(60), earlier, 0.5)
            .as_secs()
    }

    #[test]
    fn a_first_ban_lasts_as_the_jail_says_whatever_the_growth() {
        let mut increment = increment(Growth::Multipliers(vec![5, 10]));
        increment.random_time = SignedDuration::from_secs(1000);
        assert_eq!(seconds(&increment, 0), 60);
    }

    #[test]
    fn each_ban_doubles_the_time_up_to_twenty_times() {
        let increment = increment(Growth::Doubling);
        let grown: Vec<i64> = (0..5).map(|earlier| seconds(&increment, earlier)).collect();
        assert_eq!(grown, [60, 120, 240, 480, 960]);
        assert_eq!(seconds(&increment, 20), 60 << 20);
        assert_eq!(seconds(&increment, u32::MAX), 60 << 20);
    }

    #[test]
    fn multipliers_are_taken_by_the_number_of_earlier_bans_and_the_last_goes_on() {
        let mut increment = increment(Growth::Multipliers(vec![1, 5, 30]));
        let grown: Vec<i64> = (0..5).map(|earlier| seconds(&increment, earlier)).collect();
        assert_eq!(grown, [60, 300, 1800, 1800, 1800]);
        increment.factor = 0.5;
        assert_eq!(seconds(&increment, 1), 150);
    }

    #[test]
    fn the_exponential_formula_grows_by_powers_of_e() {
        let mut increment = increment(Growth::Exponential);
        increment.factor = 2.0 / 2.885_385;
        // e to the 0.6931… is 2.
        assert_eq!(seconds(&increment, 1), 120);
        assert_eq!(seconds(&increment, 3), 480);
        assert!(seconds(&increment, u32::MAX) > 0, "beyond all numbers is still a time");
    }

    #[test]
    fn the_longest_time_comes_before_the_random_part() {
        let mut increment = increment(Growth::Doubling);
        increment.max_time = Some(SignedDuration::from_secs(100));
        assert_eq!(seconds(&increment, 9), 100);
        increment.random_time = SignedDuration::from_secs(50);
        assert_eq!(seconds(&increment, 9), 125);
    }

    #[test]
    fn a_factor_below_one_shortens_no_ban() {
        let mut increment = increment(Growth::Doubling);
        increment.factor = 0.1;
        assert_eq!(seconds(&increment, 1), 60);
    }
}
