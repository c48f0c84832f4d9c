//! What is to be done so that each interface is covered that is meant to be.
//!
//! An interface is its index. While it exists, it may be renamed, set down and up again, or lose the program to somebody with
//! more authority; and an index may be given to another interface after its own is gone, which shows by the program not being there.

use super::Interface;

/// An interface that was covered or should have been at the last look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// As it was when that was decided.
    pub interface: Interface,
    /// What came of it.
    pub result: Attempt,
}

/// What came of attaching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The program is there.
    Attached,
    /// The interface did not take it.
    Refused {
        /// Whether that is long enough ago to try again though nothing can be seen to have changed: some reasons cannot be seen.
        is_old: bool,
    },
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The interface is gone, and the program with it.
    Forget(u32),
    /// The interface is there and no longer meant.
    Detach(u32),
    /// It has another name.
    Rename(u32, String),
    /// Attach to it, for the first time or again.
    Attach(Interface),
}

/// The steps from what is held to what is meant; `ours` is the kernel's number of blocker's program. What to give up comes first, so that
/// it is not in the way.
#[must_use]
pub fn steps(meant: &[&Interface], present: &[Interface], held: &[Held], ours: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    for Held { interface, .. } in held {
        let index = interface.index;
        if !present.iter().any(|now| now.index == index) {
            steps.push(Step::Forget(index));
        } else if !meant.iter().any(|now| now.index == index) {
            steps.push(Step::Detach(index));
        }
    }
    for &now in meant {
        let Some(Held {
            interface: then,
            result,
        }) = held.iter().find(|held| held.interface.index == now.index)
        else {
            steps.push(Step::Attach(now.clone()));
            continue;
        };
        if now.name != then.name {
            steps.push(Step::Rename(now.index, now.name.clone()));
        }
        let attach = match result {
            Attempt::Attached => now.program != Some(ours),
            Attempt::Refused { is_old } => *is_old || is_worth_a_try(then, now),
        };
        if attach {
            steps.push(Step::Attach(now.clone()));
        }
    }
    steps
}

/// Whether something has changed that may have been the reason of a refusal. Being up is not among it: a driver that takes its link down
/// and up in refusing would be asked again and again.
fn is_worth_a_try(then: &Interface, now: &Interface) -> bool {
    (then.mtu, then.program, then.has_ethernet_headers, &then.kind)
        != (now.mtu, now.program, now.has_ethernet_headers, &now.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: u32 = 42;

    fn interface(index: u32, name: &str, program: Option<u32>) -> Interface {
        Interface {
            index,
            name: name.to_owned(),
            kind: None,
            has_ethernet_headers: true,
            is_up: true,
            mtu: 1500,
            program,
        }
    }

    fn attached(index: u32, name: &str) -> Held {
        Held {
            interface: interface(index, name, None),
            result: Attempt::Attached,
        }
    }

    fn refused(interface: Interface, is_old: bool) -> Held {
        Held {
            interface,
            result: Attempt::Refused { is_old },
        }
    }

    /// What is to be done where all that is present is meant.
    fn plan_all(present: &[Interface], held: &[Held]) -> Vec<Step> {
        steps(&present.iter().collect::<Vec<_>>(), present, held, OURS)
    }

    #[test]
    fn what_is_meant_and_new_is_attached_to() {
        let (eth0, eth1) = (interface(2, "eth0", None), interface(3, "eth1", None));
        let steps = steps(&[&eth1], &[eth0, eth1.clone()], &[], OURS);
        assert_eq!(steps, [Step::Attach(eth1)]);
    }

    #[test]
    fn what_has_the_program_is_left_as_it_is_also_when_it_is_down() {
        let mut eth0 = interface(2, "eth0", Some(OURS));
        eth0.is_up = false;
        assert_eq!(plan_all(&[eth0], &[attached(2, "eth0")]), []);
    }

    #[test]
    fn a_renamed_interface_keeps_the_program_under_its_new_name() {
        let steps = plan_all(&[interface(2, "wan0", Some(OURS))], &[attached(2, "eth0")]);
        assert_eq!(steps, [Step::Rename(2, "wan0".to_owned())]);
    }

    #[test]
    fn what_is_no_longer_meant_is_given_up() {
        let wan0 = interface(2, "wan0", Some(OURS));
        assert_eq!(steps(&[], &[wan0], &[attached(2, "eth0")], OURS), [Step::Detach(2)]);
    }

    #[test]
    fn an_interface_that_is_gone_is_forgotten_and_a_new_one_of_its_name_attached_to() {
        let new = interface(9, "eth0", None);
        let steps = plan_all(std::slice::from_ref(&new), &[attached(2, "eth0")]);
        assert_eq!(steps, [Step::Forget(2), Step::Attach(new)]);
    }

    #[test]
    fn a_program_that_is_not_there_any_more_is_attached_again() {
        for program in [None, Some(7)] {
            // Somebody has detached it by force, or the index belongs to a new interface.
            let now = interface(2, "eth0", program);
            assert_eq!(
                plan_all(std::slice::from_ref(&now), &[attached(2, "eth0")]),
                [Step::Attach(now)]
            );
        }
    }

    #[test]
    fn a_refusal_is_tried_again_when_something_has_changed_or_time_has_passed() {
        let then = interface(2, "eth0", Some(7));
        let mut bigger = then.clone();
        bigger.mtu = 9000;
        let mut down = then.clone();
        down.is_up = false;
        let free = interface(2, "eth0", None);
        for (now, is_old, tries) in [
            (&then, false, false),
            (&down, false, false),
            (&then, true, true),
            (&bigger, false, true),
            (&free, false, true),
        ] {
            let steps = plan_all(std::slice::from_ref(now), &[refused(then.clone(), is_old)]);
            let expected: &[Step] = if tries { &[Step::Attach(now.clone())] } else { &[] };
            assert_eq!(steps, expected, "{now:?}");
        }
    }
}
