//! The agent: starts the stages, joins them, stops them in order.
//!
//! The only room that knows all others. Lines are read, dated and filtered on one thread a source; failures go through one bounded
//! channel to the thread that counts, decides and enforces; what the two have to do with each other is only this file's business.
//! If a thread ends unasked, the agent ends with an error, for its supervisor to start it again.

mod allow;
mod ignore;
mod judge;
mod names;
mod reader;
mod reconcile;
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, bail};
use ipnet::IpNet;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use self::allow::{Refresh, Wanted as LookUp};
use self::ignore::{Asking, Ignore};
use self::judge::{Allowing, Judge};
use self::reader::{Out, Reader};
use self::reconcile::Reconcile;
use crate::api::http;
use crate::api::metrics::{Metrics, SharedFirewall};
use crate::ban::JailId;
use crate::config::{JailSettings, Settings};
use crate::firewall::interfaces::LinkWatch;
use crate::firewall::{self, JailScope, Wanted};
use crate::instance::{Instance, Namespace};
use crate::jail::Jail;
use crate::ledger::brake::{Brake, Seen};
use crate::ledger::store::Store;
use crate::ledger::{Allowlist, Entry, Ledger, own_addresses};
use crate::machine;
use crate::privileges;
use crate::service::{self, Pulse};
use crate::source::position::{Position, Positions, SourceId};
use crate::source::watch::Stop;

/// The file, beside the ledger, of what the allowlist's names and SPF records came to last.
const LOOKED_UP: &str = "allowlist.json";
/// Batches of failures that may wait to be judged; then readers wait.
const BATCHES: usize = 64;

/// Runs the agent until `stop` is done, or something fails.
///
/// # Errors
///
/// When the machine lacks something, another agent runs here, the firewall cannot be had, the metrics address is taken, or a stage
/// fails. What is in force stays so, then and otherwise.
pub async fn run(mut settings: Settings, stop: impl Future<Output = ()>) -> Result<()> {
    let problems = machine::problems(settings.firewall, &settings.interfaces, &settings.jails);
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    report(&settings);
    let namespace = Namespace::own()?;
    if settings.dry_run {
        settings.state = namespace.dry_run_state();
    }
    let _instance = Instance::take(&namespace, &settings.state)?;
    if settings.dry_run {
        forget(&settings.state)?;
    }
    let listener = match settings.metrics {
        Some(address) => Some(http::bind(address).await?),
        None => None,
    };
    let look_up = LookUp {
        allow: settings.allow_looked_up,
        jails: settings.jails.iter().map(|jail| jail.ignored_names.clone()).collect(),
    };
    let mut refresh = Refresh::new(look_up, settings.state.join(LOOKED_UP));
    let looked_up = refresh.start().await;
    let allowlist = Allowlist::new(
        settings.allow,
        own_addresses().context("cannot list the machine's own addresses, which must never be banned")?,
    )
    .with_looked_up(looked_up.allow);
    let scopes: Vec<JailScope> = settings.jails.iter().map(scope).collect();
    let names: Vec<String> = scopes.iter().map(|scope| scope.name.clone()).collect();
    let begun = Timestamp::now();
    let (mut store, bans) = Store::open(&settings.state, names.clone(), settings.history, begun)?;
    let mut ledger = Ledger::new(allowlist);
    let entries = bans.into_iter().map(|ban| ledger.enter(ban));
    let known = entries.filter(|entry| matches!(entry, Entry::New(_))).count();
    let wanted = Wanted {
        choice: settings.firewall,
        interfaces: &settings.interfaces,
        hook: settings.nftables_hook,
        sizes: settings.sizes,
        pins: &namespace.pins(),
        jails: &scopes,
        dry_run: settings.dry_run,
    };
    // Before the interfaces are looked at, so that no change falls between.
    let links = LinkWatch::open().context("cannot listen for changes of network interfaces")?;
    let mut in_force = Reconcile {
        ledger: &mut ledger,
        store: &mut store,
        jails: &names,
        now: Timestamp::now(),
    };
    let opened = firewall::open(wanted, &mut in_force)?;
    store.commit(&ledger, Timestamp::now());
    let (kind, place) = (opened.kind(), opened.place());
    let firewall: SharedFirewall = Arc::new(Mutex::new(Some(opened)));
    let warnings = settings.warnings.0.len();
    let broken: Vec<String> = settings.broken.iter().map(|jail| jail.name.clone()).collect();
    let metrics = Arc::new(Metrics::new(&names, &broken, Arc::clone(&firewall)));
    metrics.dry_run.set(settings.dry_run.into());

    for id in (0..names.len()).map(|id| JailId(id as u16)) {
        if let Some(metrics) = metrics.jail(id) {
            metrics.active.set(ledger.active(id) as i64);
        }
    }

    metrics.durable.set(store.is_durable().into());

    let bans = ledger.count();
    let seen = Arc::new(Seen::default());
    let brake = Brake::new(settings.brake, Arc::clone(&seen));
    let decisions = Decisions {
        ledger,
        store,
        brake,
        seen,
        allowing: Allowing::new(refresh.looked_up()),
        ignored: looked_up.jails,
    };
    // Threads have what the one that starts them has.
    privileges::reduce()?;
    let refreshing = tokio::spawn(refresh.run(metrics.refresh_errors.clone()));
    let result = match Stages::start(settings.jails, decisions, links, &firewall, &metrics) {
        Ok(stages) => {
            let jails = names.join(",");
            tracing::info!(firewall = %kind, place, %jails, configuration = %settings.source, bans, "ready");
            tracing::debug!(from_ledger = known, elapsed = ?begun.until(Timestamp::now()), "bans are in force");
            service::ready();
            if settings.dry_run {
                tracing::warn!("this is a dry run: what would be dropped is counted, and nothing is dropped");
            }
            if warnings > 0 {
                tracing::warn!(
                    warnings,
                    "the configuration has doubtful places: `blocker check` names them"
                );
            }
            stages.run(listener, &metrics, stop).await
        }
        Err(error) => Err(error),
    };
    refreshing.abort();
    // Last, so that hosts are kept out until nobody is left to decide.
    drop(firewall.lock().unwrap_or_else(PoisonError::into_inner).take());
    if settings.dry_run {
        firewall::clear(&namespace.pins())?;
        forget(&settings.state)?;
        tracing::info!(firewall = %kind, "stopped; it was a dry run, and nothing of it is left");
    } else {
        tracing::info!(
            firewall = %kind,
            "stopped; bans stay in force until they end, or until `blocker stop --clear`"
        );
    }
    result
}

/// Removes what a dry run has noted.
fn forget(state: &Path) -> Result<()> {
    match fs::remove_dir_all(state) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: cannot be removed", state.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Says which jails do not run, and why.
fn report(settings: &Settings) {
    for jail in &settings.broken {
        for problem in &jail.problems.0 {
            tracing::error!(jail = %jail.name, "the jail does not run: {problem}");
        }
    }
}

fn scope(jail: &JailSettings) -> JailScope {
    JailScope {
        name: jail.name.clone(),
        scope: jail.scope.clone(),
    }
}

/// What it takes to decide.
struct Decisions {
    ledger: Ledger,
    store: Store,
    brake: Brake,
    seen: Arc<Seen>,
    allowing: Allowing,
    /// What the names in each jail's `ignoreip` come to.
    ignored: Vec<Vec<IpNet>>,
}

/// The running threads.
struct Stages {
    stop: Stop,
    readers: Vec<JoinHandle<()>>,
    names: JoinHandle<()>,
    /// Where a jail has a command to be asked.
    ignore: Option<JoinHandle<()>>,
    judge: JoinHandle<()>,
    /// What must go on giving signs of life.
    pulses: Vec<(String, Pulse)>,
    /// Tells the name of a thread that has ended.
    ended: mpsc::UnboundedReceiver<String>,
}

impl Stages {
    fn start(
        jails: Vec<JailSettings>,
        decisions: Decisions,
        links: LinkWatch,
        firewall: &SharedFirewall,
        metrics: &Arc<Metrics>,
    ) -> Result<Self> {
        let stop = Stop::new().context("cannot make a stop signal")?;
        let (failures, judged) = sync_channel(BATCHES);
        let (ended, told) = mpsc::unbounded_channel();
        let (failures, ignore) = match asking(&jails, metrics) {
            None => (failures, None),
            Some(jails) => {
                let (unasked, to_ask) = sync_channel(BATCHES);
                let stage = Ignore::new(jails, failures, stop.clone());
                let thread = spawn("ignore".to_owned(), &ended, move || stage.run(&to_ask))?;
                (unasked, Some(thread))
            }
        };
        let (name_queue, unresolved) = sync_channel(names::QUEUE);
        let (groups, mut jails) = sources::grouped(jails, metrics);
        for ((_, jail), ignored) in jails.iter_mut().zip(&decisions.ignored) {
            jail.ignore_also(ignored);
        }
        let positions = recall(&mut jails, &decisions.store, Timestamp::now());

        let readers = groups.into_iter().map(|group| {
            let name = group.kind.name();
            let out = Out {
                failures: failures.clone(),
                names: name_queue.clone(),
                seen: Arc::clone(&decisions.seen),
            };
            Ok((name, Reader::new(group, &positions, out, metrics, stop.clone())?))
        });
        let mut readers = readers.collect::<Result<Vec<(String, Reader)>>>()?;
        let pulse = Pulse::new();
        let judge = Judge {
            pulse: pulse.clone(),
            jails,
            ledger: decisions.ledger,
            store: decisions.store,
            brake: decisions.brake,
            firewall: Arc::clone(firewall),
            metrics: Arc::clone(metrics),
            refused: BTreeSet::new(),
            tried: None,
            retry: Timestamp::MIN,
            renewed: Timestamp::MIN,
            looked: Timestamp::MIN,
            compared: Timestamp::now(),
            compare_after: judge::COMPARE,
            links,
            dry_run: metrics.dry_run.get() != 0,
            allowing: decisions.allowing,
        };
        Ok(Self {
            stop,
            ignore,
            judge: spawn("judge".to_owned(), &ended, move || judge.run(&judged))?,
            names: spawn("names".to_owned(), &ended, move || names::run(&unresolved, &failures))?,
            readers: readers
                .drain(..)
                .map(|(name, reader)| spawn(name, &ended, move || reader.run()))
                .collect::<Result<_>>()?,
            pulses: vec![("judge".to_owned(), pulse)],
            ended: told,
        })
    }

    /// Serves metrics until `stop` is done or a thread ends; then stops the threads in the order of the lines' way.
    async fn run(
        mut self,
        listener: Option<tokio::net::TcpListener>,
        metrics: &Arc<Metrics>,
        stop: impl Future<Output = ()>,
    ) -> Result<()> {
        let (stop_serving, serving_stopped) = oneshot::channel::<()>();
        let server = listener.map(|listener| {
            let stopped = async move {
                // An error means that the sender is gone, which says the same.
                let _ = serving_stopped.await;
            };
            tokio::spawn(http::serve(listener, Arc::clone(metrics), stopped))
        });
        let result = tokio::select! {
            () = stop => Ok(()),
            never = service::keep_watchdog_quiet(self.pulses) => match never {},
            ended = self.ended.recv() => Err(anyhow::anyhow!(
                "the thread `{}` ended unexpectedly; its last words are above",
                ended.unwrap_or_default()
            )),
        };
        service::stopping();
        self.stop.stop();
        for reader in self.readers {
            // A panic was reported by the thread itself, and through `ended`.
            let _ = reader.join();
        }
        let _ = self.names.join();
        if let Some(ignore) = self.ignore {
            let _ = ignore.join();
        }
        let _ = self.judge.join();
        drop(stop_serving);
        if let Some(server) = server {
            // A client that keeps its connection open must not keep the agent from stopping.
            server.abort();
        }
        result
    }
}

/// Has the jails know which failures have led to bans before they are read again, and says how far sources were read.
fn recall(jails: &mut [(String, Jail)], store: &Store, now: Timestamp) -> Positions {
    let find_time = jails.iter().map(|(_, jail)| jail.find_time()).max().unwrap_or_default();
    let since = now.saturating_sub(find_time).unwrap_or(Timestamp::MIN);
    for (subject, jail, last) in store.answered(since) {
        if let Some((_, jail)) = jails.get_mut(usize::from(jail.0)) {
            jail.has_answered(subject, last);
        }
    }
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
