//! The threads of the line's way: how they are joined, and how they end in order.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use ipnet::IpNet;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::clock::WallClock;
use super::ignore::{Asking, Ignore};
use super::judge::{Allowing, Judge, Lines};
use super::names::Unresolved;
use super::reader::{Batch, Out, Reader};
use super::{judge, links, names, sources};
use crate::api::control::Ask;
use crate::api::metrics::{Metrics, SharedFirewall};
use crate::ban::{Failure, JailId, Subject};
use crate::config::JailSettings;
use crate::firewall::interfaces::LinkWatch;
use crate::hangup::Hangup;
use crate::jail::Jail;
use crate::ledger::Ledger;
use crate::ledger::brake::{Brake, Seen};
use crate::ledger::store::Store;
use crate::service::Pulse;
use crate::source::position::{Position, Positions, SourceId};
use crate::source::watch::Stop;

/// Batches of failures that may wait to be judged; then readers wait.
const BATCHES: usize = 64;

/// What it takes to decide: what the stages begin with, and what is left of them when they have ended.
pub(super) struct Decisions {
    pub(super) clock: WallClock,
    pub(super) ledger: Ledger,
    pub(super) store: Store,
    pub(super) brake: Brake,
    pub(super) seen: Arc<Seen>,
    /// The jails that have counted before, by name.
    pub(super) jails: Vec<(String, Jail)>,
    /// The lines of what they have counted.
    pub(super) lines: Lines,
    /// Hosts and networks for which the kernel does not hold what the ledger says.
    pub(super) refused: BTreeSet<Subject>,
    pub(super) links: LinkWatch,
    /// What the allowlist comes to.
    pub(super) allowing: Allowing,
    /// Failures whose hosts' names are not looked up yet.
    pub(super) unresolved: Vec<Unresolved>,
    /// Failures of hosts about which a command is still to be asked.
    pub(super) unasked: Vec<Failure>,
    /// What the judge is asked.
    pub(super) asks: Receiver<Ask>,
    /// What the names in each jail's `ignoreip` come to.
    pub(super) ignored: Vec<Vec<IpNet>>,
}

/// Wakes the judge, as long as there is one.
#[derive(Clone, Debug, Default)]
pub(super) struct Wake(Arc<Mutex<Option<SyncSender<Batch>>>>);

impl Wake {
    /// Has the judge look what there is to do.
    pub(super) fn wake(&self) {
        if let Some(judge) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // Where the queue is full the judge is awake.
            let _ = judge.try_send(Batch::default());
        }
    }

    fn set(&self, judge: Option<SyncSender<Batch>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = judge;
    }
}

/// What threads leave when they end.
#[derive(Default)]
struct Left {
    judge: Option<Judge>,
    unresolved: Vec<Unresolved>,
    unasked: Vec<Failure>,
}

/// The running threads.
pub(super) struct Stages {
    stop: Stop,
    wake: Wake,
    readers: Vec<JoinHandle<()>>,
    names: JoinHandle<()>,
    /// Where a jail has a command to be asked.
    ignore: Option<JoinHandle<()>>,
    judge: JoinHandle<()>,
    /// Where connections are to be ended.
    hangup: Option<(Hangup, JoinHandle<()>)>,
    links: JoinHandle<()>,
    left: Arc<Mutex<Left>>,
    /// The jails of each reader, and whether it has come past what was read before it.
    progress: Vec<(Vec<String>, Arc<AtomicBool>)>,
    seen: Arc<Seen>,
    /// What must go on giving signs of life.
    pub(super) pulses: Vec<(String, Pulse)>,
    /// Tells the name of a thread that has ended.
    ended: mpsc::UnboundedReceiver<String>,
}

impl Stages {
    pub(super) fn start(
        settings: &[JailSettings],
        decisions: Decisions,
        firewall: &SharedFirewall,
        metrics: &Arc<Metrics>,
        wake: Wake,
        hangup: Option<Hangup>,
    ) -> Result<Self> {
        let stop = Stop::new().context("cannot make a stop signal")?;
        let left: Arc<Mutex<Left>> = Arc::default();
        let (failures, judged) = sync_channel(BATCHES);
        let (ended, told) = mpsc::unbounded_channel();
        let (links_changed, stopped) = (failures.clone(), stop.clone());
        wake.set(Some(failures.clone()));
        let watched = LinkWatch::open().context("cannot listen for changes of network interfaces")?;
        let (failures, ignore) = match asking(settings, metrics) {
            None => (failures, None),
            Some(jails) => {
                let (unasked, to_ask) = sync_channel(BATCHES);
                let stage = Ignore::new(jails, failures, stop.clone());
                let leaves = Arc::clone(&left);
                let work = move || {
                    let unasked = stage.run(&to_ask);
                    leaves.lock().unwrap_or_else(PoisonError::into_inner).unasked = unasked;
                };
                (unasked, Some(spawn("ignore".to_owned(), &ended, work)?))
            }
        };
        if !decisions.unasked.is_empty() {
            // The queue is empty: there is room.
            let _ = failures.try_send(Batch::of(decisions.unasked));
        }
        let (name_queue, unresolved) = sync_channel(names::QUEUE);
        let now = Timestamp::now();
        let mut lines = decisions.lines;
        let before = (decisions.jails, &mut lines);
        let jails = counting(settings, before, &decisions.ignored, &decisions.store, now);
        let positions = positions(&decisions.store);
        let readers = sources::grouped(settings, metrics).into_iter().map(|group| {
            let name = group.kind.name();
            let out = Out {
                failures: failures.clone(),
                names: name_queue.clone(),
                seen: Arc::clone(&decisions.seen),
            };
            Ok((name, Reader::new(group, &positions, out, metrics, stop.clone())?))
        });
        let readers = readers.collect::<Result<Vec<(String, Reader)>>>()?;
        let progress = readers.iter().map(|(_, reader)| reader.progress()).collect();
        let pulse = Pulse::new();
        if let Some(hangup) = &hangup {
            hangup.spare(decisions.ledger.allowlist().networks());
        }
        let judge = Judge {
            pulse: pulse.clone(),
            clock: decisions.clock,
            jails,
            lines,
            ledger: decisions.ledger,
            store: decisions.store,
            brake: decisions.brake,
            firewall: Arc::clone(firewall),
            metrics: Arc::clone(metrics),
            refused: decisions.refused,
            tried: None,
            retry: Timestamp::MIN,
            renewed: Timestamp::MIN,
            looked: Timestamp::MIN,
            compared: now,
            compare_after: judge::COMPARE,
            links: decisions.links,
            dry_run: metrics.dry_run.get() != 0,
            hangup: hangup.clone(),
            allowing: decisions.allowing,
            asks: decisions.asks,
            asked: None,
        };
        let leaves = Arc::clone(&left);
        let judge = move || {
            let judge = judge.run(&judged);
            leaves.lock().unwrap_or_else(PoisonError::into_inner).judge = Some(judge);
        };
        let (leaves, gives_up) = (Arc::clone(&left), stop.clone());
        let look_up = move || {
            let unresolved = names::run(decisions.unresolved, &unresolved, &failures, &gives_up);
            leaves.lock().unwrap_or_else(PoisonError::into_inner).unresolved = unresolved;
        };
        let hang_up = |hangup: Hangup| {
            let (work, counter) = (hangup.clone(), metrics.connections_ended.clone());
            let thread = spawn("hangup".to_owned(), &ended, move || work.work(&counter))?;
            anyhow::Ok((hangup, thread))
        };
        Ok(Self {
            stop,
            wake,
            ignore,
            hangup: hangup.map(hang_up).transpose()?,
            judge: spawn("judge".to_owned(), &ended, judge)?,
            left,
            links: spawn("links".to_owned(), &ended, move || {
                links::run(watched, &links_changed, &stopped)
            })?,
            seen: decisions.seen,
            names: spawn("names".to_owned(), &ended, look_up)?,
            progress,
            readers: readers
                .into_iter()
                .map(|(name, reader)| spawn(name, &ended, move || reader.run()))
                .collect::<Result<_>>()?,
            pulses: vec![("judge".to_owned(), pulse)],
            ended: told,
        })
    }

    /// Waits until a thread has ended that nobody has told to, and says which.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        let thread = self.ended.recv().await.unwrap_or_default();
        anyhow::anyhow!("the thread `{thread}` ended unexpectedly; its last words are above")
    }

    /// Ends the threads in the order of the lines' way, and gives what is left: everything that was read is judged, and on disk. `None`
    /// where the judge had ended before.
    pub(super) fn stop(self) -> Option<Decisions> {
        self.stop.stop();
        // The judge works until nobody can send it anything any more.
        self.wake.set(None);
        for reader in self.readers {
            // A panic was reported by the thread itself, and through `ended`.
            let _ = reader.join();
        }
        let _ = self.names.join();
        if let Some(ignore) = self.ignore {
            let _ = ignore.join();
        }
        let _ = self.links.join();
        let _ = self.judge.join();
        if let Some((hangup, thread)) = self.hangup {
            // What the judge has handed over until now is still done.
            hangup.close();
            let _ = thread.join();
        }
        let left = std::mem::take(&mut *self.left.lock().unwrap_or_else(PoisonError::into_inner));
        let judge = left.judge?;
        // A jail whose lines were still being read again has not counted them all: it begins anew, with all of them.
        let has_counted = |name: &String| {
            let of_jail = self.progress.iter().filter(|(jails, _)| jails.contains(name));
            of_jail
                .map(|(_, caught_up)| caught_up)
                .all(|caught_up| caught_up.load(Ordering::Relaxed))
        };
        Some(Decisions {
            unresolved: left.unresolved,
            unasked: left.unasked,
            clock: judge.clock,
            ledger: judge.ledger,
            store: judge.store,
            brake: judge.brake,
            seen: self.seen,
            jails: judge.jails.into_iter().filter(|(name, _)| has_counted(name)).collect(),
            lines: judge.lines,
            refused: judge.refused,
            links: judge.links,
            allowing: judge.allowing,
            asks: judge.asks,
            ignored: Vec::new(),
        })
    }
}

/// The jails that count: those that have counted `before` go on, by the rules of now. The others are told which failures have led to bans
/// before they are read again.
fn counting(
    settings: &[JailSettings],
    (before, lines): (Vec<(String, Jail)>, &mut Lines),
    ignored: &[Vec<IpNet>],
    store: &Store,
    now: Timestamp,
) -> Vec<(String, Jail)> {
    let mut before: Vec<(String, Option<Jail>)> = before.into_iter().map(|(name, jail)| (name, Some(jail))).collect();
    let mut new: BTreeSet<JailId> = BTreeSet::new();
    let mut jails = Vec::with_capacity(settings.len());
    for (id, JailSettings { name, rules, .. }) in (0..).map(JailId).zip(settings) {
        let known = before.iter_mut().find(|(known, _)| known == name);
        let jail = match known.and_then(|(_, jail)| jail.take()) {
            Some(jail) => jail.go_on_by(rules.clone()),
            None => {
                new.insert(id);
                lines.forget(id);
                Jail::new(rules.clone())
            }
        };
        jails.push((name.clone(), jail));
    }
    for ((_, jail), ignored) in jails.iter_mut().zip(ignored) {
        jail.ignore_also(ignored);
    }
    if !new.is_empty() {
        let find_time = settings
            .iter()
            .map(|jail| jail.rules.find_time)
            .max()
            .unwrap_or_default();
        let since = now.saturating_sub(find_time).unwrap_or(Timestamp::MIN);
        for (subject, id, last) in store.answered(since) {
            if let Some((_, jail)) = jails.get_mut(usize::from(id.0)).filter(|_| new.contains(&id)) {
                jail.has_answered(subject, last);
            }
        }
    }
    jails
}

/// How far each source was read.
fn positions(store: &Store) -> Positions {
    let positions = store.positions().into_iter();
    let positions =
        positions.filter_map(|(source, text)| Some((SourceId::from_text(source), Position::from_text(&text)?)));
    positions.collect()
}

/// The jails as they are asked about hosts; `None` where none of them has a command for it.
fn asking(jails: &[JailSettings], metrics: &Metrics) -> Option<Vec<Asking>> {
    let asks = jails.iter().any(|jail| jail.ignore_command.is_some());
    let asking = |(id, jail): (JailId, &JailSettings)| Asking {
        name: jail.name.clone(),
        command: jail.ignore_command.clone(),
        unasked: metrics
            .jail(id)
            .map(|metrics| metrics.unasked.clone())
            .unwrap_or_default(),
    };
    asks.then(|| (0..).map(JailId).zip(jails).map(asking).collect())
}

/// Starts a thread that tells when it ends, even by a panic.
fn spawn(
    name: String,
    ended: &mpsc::UnboundedSender<String>,
    work: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>> {
    struct Tell(mpsc::UnboundedSender<String>, String);
    impl Drop for Tell {
        fn drop(&mut self) {
            // Nobody listens any more once the agent stops.
            let _ = self.0.send(std::mem::take(&mut self.1));
        }
    }
    let tell = Tell(ended.clone(), name.clone());
    // Linux shows 15 bytes of a thread's name.
    let short: String = name.rsplit('/').next().unwrap_or_default().chars().take(15).collect();
    let work = move || {
        let _tell = tell;
        work();
    };
    thread::Builder::new()
        .name(short)
        .spawn(work)
        .with_context(|| format!("cannot start the thread `{name}`"))
}
