//! What the agent may do once everything is in place: no more than it needs from then on.
//!
//! An attacker who got hold of it through a log line would still be root by name, but could not load modules, trace processes, change
//! files of others or become anybody else.

use anyhow::{Context as _, Result};
use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;

/// What the agent goes on doing: change the firewall, its maps and programs, and read logs and filters that belong to others.
const NEEDED: [Capability; 4] = [
    Capability::CAP_NET_ADMIN,
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
    Capability::CAP_DAC_READ_SEARCH,
];

/// Gives up everything else, for the calling thread and those that it starts. To be called before it starts any.
///
/// # Errors
///
/// When the kernel does not take it.
pub fn reduce() -> Result<()> {
    // Before anything else: from now on no program that is started gets more, whatever its file says.
    prctl::set_no_new_privs().context("no_new_privs cannot be set")?;
    let permitted = caps::read(None, CapSet::Permitted).context("the capabilities cannot be read")?;
    let kept: CapsHashSet = NEEDED.into_iter().filter(|needed| permitted.contains(needed)).collect();
    // What is bounded is lost for good; it takes CAP_SETPCAP, which a service may not have to begin with.
    if permitted.contains(&Capability::CAP_SETPCAP) {
        for capability in caps::all().difference(&NEEDED.into_iter().collect()) {
            // The kernel may not know all that the library knows.
            let _ = caps::drop(None, CapSet::Bounding, *capability);
        }
    }
    let none = CapsHashSet::new();
    // Permitted comes last: the others may hold no more than it does.
    for (set, what) in [
        (CapSet::Ambient, &none),
        (CapSet::Inheritable, &none),
        (CapSet::Effective, &kept),
        (CapSet::Permitted, &kept),
    ] {
        caps::set(None, set, what).with_context(|| format!("the {set:?} capabilities cannot be given up"))?;
    }
    Ok(())
}
