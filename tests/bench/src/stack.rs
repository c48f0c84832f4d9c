//! A SYN on its way into the kernel's stack: what it takes when it is dropped there, and what it pays when it is not.
//!
//! The kernel makes the frames itself, in batches as a card's driver hands them on, from `lo` of a network namespace: so no sender is in the
//! figures. The sources are all of the banned hosts in turn. Each filter has a host of its own, on which a server listens.
//!
//! *Dropped before an skb* is our program where the driver would call it: the same program, called by the sender.

mod filter;
mod host;
mod rules;
mod veth;

use anyhow::Result;
use blocker_lab::Lab;

use self::filter::{BANS, Filter, NATIVE};
use self::host::Host;
use crate::bench::{Bench, Ground};
use crate::kernel::stay_on_one_processor;
use crate::report::{Report, Table, Unit};
use crate::rounds::{Owned, alternate_all};
use crate::statistics::Samples;

pub(crate) const BENCH: Bench = Bench {
    name: "stack",
    about: "a SYN of a banned and of an honest host in the kernel's stack, behind iptables, ipset, nftables, xdp-filter and blocker",
    run,
};

const ROUNDS: usize = 11;

fn run(ground: &Ground) -> Result<Report> {
    let tools = rules::Tools::unpack(&ground.peers)?;
    let rounds = ground.rounds(ROUNDS);
    let mut report = Report::default();
    stay_on_one_processor()?;
    let lab = Lab::new()?;
    let hosts = Filter::ALL
        .iter()
        .enumerate()
        .map(|(n, filter)| Host::new(&lab, n, *filter, &tools))
        .collect::<Result<Vec<_>>>()?;

    let measured = hosts.iter().map(|host| owned(host.name(), || host.banned()));
    let banned = alternate_all(rounds, measured.collect())?;
    let heading = format!("a banned SYN, {BANS} bans where not said otherwise");
    let banned = Table::against(&heading, Unit::Nanoseconds, Filter::NftIngress.name(), banned);
    targets(&banned, &mut report);
    report.add(banned);

    let measured = hosts.iter().map(|host| owned(host.name(), || host.honest()));
    let honest = alternate_all(rounds, measured.collect())?;
    report.add(added("what an honest SYN pays more, to a port that listens", honest));

    // Without what a listening port takes, the difference is larger than the noise.
    let early: Vec<&Host> = hosts.iter().filter(|host| host.filter.is_before_routing()).collect();
    for host in &early {
        host.forget_address()?;
    }
    let measured = early.iter().map(|host| owned(host.name(), || host.honest()));
    let early = added(
        "what an honest SYN pays more, before routing",
        alternate_all(rounds, measured.collect())?,
    );
    let figure = early.ratio_between(Filter::OursGeneric.name(), Filter::NftIngress.name());
    report.at_most(
        "what an honest SYN pays with generic XDP against nft at netdev ingress",
        figure,
        0.7,
    );
    report.add(early);
    drop(hosts);
    drop(lab);

    report.add(veth::run(rounds, &tools)?);
    Ok(report)
}

fn targets(banned: &Table, report: &mut Report) {
    let ratio = |ours: &str, theirs: Filter| banned.ratio_between(ours, theirs.name());
    for (what, figure, most) in [
        (
            "a drop by generic XDP",
            ratio(Filter::OursGeneric.name(), Filter::NftIngress),
            0.7,
        ),
        ("a drop before there is an skb", ratio(NATIVE, Filter::NftIngress), 0.3),
    ] {
        report.at_most(&format!("{what} against nft at netdev ingress"), figure, most);
    }
    for (what, ours, theirs) in [
        ("prerouting", Filter::OursPrerouting, Filter::NftPrerouting),
        ("ingress", Filter::OursIngress, Filter::NftIngress),
    ] {
        let what = format!("a drop by blocker's nftables against a set by hand, both at {what}");
        report.at_most(&what, ratio(ours.name(), theirs), 1.05);
    }
}

/// What each takes more than a host without any filter.
fn added(what: &str, all: Vec<(String, Samples)>) -> Table {
    let bare = all
        .iter()
        .find(|(name, _)| name == Filter::None.name())
        .map(|(_, samples)| samples.clone());
    let more = all.into_iter().filter_map(|(name, samples)| {
        let more = samples.less(bare.as_ref()?);
        (name != Filter::None.name()).then_some((name, more))
    });
    Table::against(what, Unit::Nanoseconds, Filter::NftIngress.name(), more.collect())
}

fn owned<'a>(name: &str, measure: impl FnMut() -> Result<f64> + 'a) -> Owned<'a> {
    (name.to_owned(), Box::new(measure))
}
