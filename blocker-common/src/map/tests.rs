use super::*;

#[test]
fn every_jail_family_and_outcome_has_a_slot_of_its_own() {
    let mut seen = std::collections::HashSet::new();
    for jail in 0..MAX_JAILS as u16 {
        for family in Family::ALL {
            for outcome in Outcome::ALL {
                let slot = counter_slot(jail, family, outcome);
                assert!((slot as usize) < COUNTER_SLOTS);
                assert!(seen.insert(slot));
            }
        }
    }
}

#[test]
fn map_values_have_the_layout_the_kernel_was_compiled_with() {
    assert_eq!(size_of::<Ban>(), 16);
    assert_eq!(size_of::<Ends>(), 32 * 8 + 32 * 2);
    assert_eq!(size_of::<Settings>(), 16);
    assert_eq!(size_of::<Counter>(), 16);
}

#[test]
fn what_a_ban_covers_comes_back_from_its_word() {
    for (prefix_len, scope, jail) in [(32, 0, 0), (128, 31, 255), (0, 7, 100), (64, 16, 1)] {
        for is_clear in [true, false] {
            let terms = Terms::one(prefix_len, scope, jail).with_clear(is_clear);
            let covered = Covered::One {
                scope: 1 << scope,
                jail,
            };
            assert_eq!(
                (terms.prefix_len(), terms.is_clear(), terms.covered()),
                (prefix_len, is_clear, covered)
            );
            let ends = Terms::MAX_ENDS - 1 - u32::from(jail);
            let terms = Terms::several(prefix_len, ends).with_clear(is_clear);
            let covered = Covered::Several { ends };
            assert_eq!(
                (terms.prefix_len(), terms.is_clear(), terms.covered()),
                (prefix_len, is_clear, covered)
            );
        }
    }
}

#[test]
fn ticks_end_with_what_a_word_holds() {
    assert_eq!(ticks((1 << TICK_SHIFT) - 1), 0);
    assert_eq!(ticks(1 << TICK_SHIFT), 1);
    assert_eq!(ticks(u64::MAX), u32::MAX);
}

#[test]
fn each_scope_ends_at_its_own_time() {
    let mut ends = Ends::NONE;
    (ends.until[3], ends.jails[3]) = (100, 7);
    (ends.until[31], ends.jails[31]) = (200, 9);
    assert_eq!(ends.in_force(1 << 3, 99), Some(7));
    assert_eq!(ends.in_force(1 << 3, 100), None);
    assert_eq!(ends.in_force(1 << 3 | 1 << 31, 100), Some(9));
    assert_eq!(ends.in_force(1 << 4, 0), None);
}
