//! The agent: starts the stages, joins them, stops them in order.
//!
//! The only room that knows all others. Lines are read, dated and filtered on one thread a source; failures go through one bounded
//! channel to the thread that counts, decides and enforces; what the two have to do with each other is only this room's business.
//! If a thread ends unasked, the agent ends with an error, for its supervisor to start it again.

mod allow;
mod clock;
mod ignore;
mod judge;
mod links;
mod names;
mod reader;
mod reconcile;
mod reload;
mod sources;
mod stages;
mod start;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use anyhow::{Context as _, Result, anyhow};
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use self::allow::Refresh;
use self::judge::Allowing;
pub use self::reload::Load;
use self::reload::{Applied, Checked, check};
use self::stages::{Decisions, Stages, Wake};
use self::start::{about, begin, check_machine, look_up, names};
use crate::api::connections;
use crate::api::control::{self, Command, Control};
use crate::api::http;
use crate::api::metrics::{Metrics, SharedFirewall};
use crate::api::model::Reloaded;
use crate::api::page::Page;
use crate::ban::JailId;
use crate::config::Settings;
use crate::digest::Digests;
use crate::firewall;
use crate::hangup::Hangup;
use crate::instance::{Instance, Namespace};
use crate::memory;
use crate::privileges;
use crate::service;

/// Questions that may wait for the judge.
const ASKS: usize = 16;

/// Who wants to hear what became of a reload.
type Tell = Vec<oneshot::Sender<Result<Reloaded, Vec<String>>>>;

/// The agent, between one start of its stages and the next.
struct Agent {
    settings: Settings,
    pins: PathBuf,
    firewall: SharedFirewall,
    metrics: Arc<Metrics>,
    server: Option<JoinHandle<()>>,
    page: Arc<Page>,
    digests: Digests,
    control: Arc<Control>,
    wake: Wake,
    /// Whether a reload was asked for while another was under way, and who wants to hear of it.
    waiting: Option<Tell>,
    /// What the last reload has changed, and whom it is to be told once everything runs.
    reloaded: Option<(Reloaded, Tell)>,
}

/// Runs the agent until it is told to stop, or something fails. `load` reads the configuration anew when it is told to.
///
/// # Errors
///
/// When the machine lacks something, another agent runs here, the firewall cannot be had, the metrics address is taken, or a stage
/// fails. What is in force stays so, then and otherwise.
pub async fn run(
    mut settings: Settings,
    load: Arc<Load>,
    (commander, mut commands): (mpsc::Sender<Command>, mpsc::Receiver<Command>),
) -> Result<()> {
    check_machine(&settings)?;
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
    let socket = control::bind(&namespace.socket())?;
    let mut refresh = look_up(&settings);
    let looked_up = refresh.start().await;
    let (judge, asks) = sync_channel(ASKS);
    let begun = Timestamp::now();
    let pins = namespace.pins();
    let (opened, decisions) = begin(&settings, looked_up, &refresh, &pins, asks)?;
    tracing::debug!(elapsed = ?begun.until(Timestamp::now()), "bans are in force");
    let firewall: SharedFirewall = Arc::new(Mutex::new(Some(opened)));
    let metrics = Metrics::new(&names(&settings), &broken(&settings), Arc::clone(&firewall));
    metrics.dry_run.set(settings.dry_run.into());
    // Threads have what the one that starts them has.
    privileges::reduce()?;
    let metrics = Arc::new(metrics);
    let wake = Wake::default();
    let woken = wake.clone();
    let control = Arc::new(Control {
        started: begun,
        metrics: Arc::clone(&metrics),
        about: RwLock::default(),
        commands: commander,
        judge,
        wake: Box::new(move || woken.wake()),
    });
    let page = Arc::new(Page::new(Arc::clone(&control)));
    page.serve_as(settings.metrics, settings.page.clone());
    let mut digests = Digests::new(Arc::clone(&control));
    digests.send_as(&settings);
    let controlled = tokio::spawn(connections::serve(socket, control::router(Arc::clone(&control))));
    let mut agent = Agent {
        control,
        wake,
        waiting: None,
        reloaded: None,
        settings,
        pins,
        firewall,
        server: listener.map(|listener| tokio::spawn(http::serve(listener, Arc::clone(&metrics), Arc::clone(&page)))),
        page,
        digests,
        metrics,
    };
    let mut next = Some((decisions, refresh));
    let result = loop {
        let Some((decisions, refresh)) = next else {
            break Ok(());
        };
        next = match agent.live(decisions, refresh, &load, &mut commands).await {
            Ok(next) => next,
            Err(error) => break Err(error),
        };
    };
    controlled.abort();
    // The socket's file goes while nobody else can be the agent here.
    let _ = controlled.await;
    agent.end(&namespace)?;
    result
}

impl Agent {
    /// Runs the stages until the agent is told to stop, or is to go on by other settings: with what this gives.
    async fn live(
        &mut self,
        decisions: Decisions,
        refresh: Refresh,
        load: &Arc<Load>,
        commands: &mut mpsc::Receiver<Command>,
    ) -> Result<Option<(Decisions, Refresh)>> {
        for id in (0..self.settings.jails.len()).map(|id| JailId(id as u16)) {
            if let Some(metrics) = self.metrics.jail(id) {
                metrics.active.set(decisions.ledger.active(id) as i64);
            }
        }
        self.metrics.durable.set(decisions.store.is_durable().into());
        let bans = decisions.ledger.count();
        let jails = &self.settings.jails;
        let ends_connections = self.settings.end_connections && !self.settings.dry_run;
        let hangup = ends_connections.then(|| Hangup::new(jails.iter().map(|jail| &jail.scope)));
        let (firewall, metrics, wake) = (&self.firewall, &self.metrics, self.wake.clone());
        let mut stages = Stages::start(jails, decisions, firewall, metrics, wake, hangup)?;
        *self.control.about.write().unwrap_or_else(PoisonError::into_inner) = about(&self.settings);
        let refreshing = tokio::spawn(refresh.run(self.metrics.refresh_errors.clone()));
        let watchdog = tokio::spawn(service::keep_watchdog_quiet(stages.pulses.clone()));
        self.tell_reloaded();
        self.report_ready(bans);
        service::ready();
        memory::give_back();
        let next = tokio::select! {
            next = self.next(load, commands) => Ok(next),
            error = stages.failed() => Err(error),
        };
        if !matches!(next, Ok(Some(_))) {
            service::stopping();
        }
        refreshing.abort();
        let left = stages.stop();
        watchdog.abort();
        let Some((checked, tell)) = next? else {
            return Ok(None);
        };
        let left = left.ok_or_else(|| anyhow!("the thread `judge` ended unexpectedly; its last words are above"))?;
        self.go_on_by(checked, left, tell).map(Some)
    }

    /// Waits for what is to be done next: to end, or to go on by a configuration that was found to be whole.
    async fn next(&mut self, load: &Arc<Load>, commands: &mut mpsc::Receiver<Command>) -> Option<(Checked, Tell)> {
        loop {
            let tell: Tell = match self.waiting.take() {
                Some(tell) => tell,
                None => match commands.recv().await? {
                    Command::Reload(tell) => tell.into_iter().collect(),
                    Command::Stop => return None,
                },
            };
            service::reloading();
            let checked = {
                let checking = check(Arc::clone(load), &self.settings);
                tokio::pin!(checking);
                loop {
                    // Names are waited for, but not by who wants the agent to end.
                    let command = tokio::select! {
                        checked = &mut checking => break checked,
                        command = commands.recv() => command?,
                    };
                    match command {
                        Command::Stop => return None,
                        // What has changed since this one has read is for the next: one for all who ask meanwhile.
                        Command::Reload(tell) => self.waiting.get_or_insert_default().extend(tell),
                    }
                }
            };
            match checked {
                Ok(checked) => return Some((checked, tell)),
                Err(problems) => {
                    refuse(tell, &problems);
                    service::ready();
                }
            }
        }
    }

    /// Goes on with what is left of the stages by other settings, or by those of now where they cannot be had.
    fn go_on_by(&mut self, checked: Checked, mut left: Decisions, tell: Tell) -> Result<(Decisions, Refresh)> {
        let Checked {
            settings,
            refresh,
            looked_up,
            allowlist,
            listener,
        } = checked;
        let Applied { reloaded, in_force } =
            match reload::apply(&mut left, &self.firewall, &self.pins, &self.settings, &settings)? {
                Ok(applied) => applied,
                Err(error) => {
                    refuse(tell, &[format!("{error:#}")]);
                    let refresh = look_up(&self.settings);
                    left.ignored = refresh.answers().jails;
                    left.allowing = Allowing::anew(refresh.looked_up(), left.ledger.allowlist().clone());
                    return Ok((left, refresh));
                }
            };
        report(&settings);
        left.allowing = Allowing::anew(refresh.looked_up(), allowlist);
        left.ignored = looked_up.jails;
        left.brake = left.brake.with_limits(settings.brake);
        self.page.serve_as(settings.metrics, settings.page.clone());
        self.digests.send_as(&settings);
        if settings.metrics != self.settings.metrics {
            self.stop_serving();
            let serve = |listener| http::serve(listener, Arc::clone(&self.metrics), Arc::clone(&self.page));
            self.server = listener.map(|listener| tokio::spawn(serve(listener)));
        }
        let mut firewall = self.firewall.lock().unwrap_or_else(PoisonError::into_inner);
        if in_force.is_some() {
            *firewall = in_force;
        }
        self.metrics
            .set_jails(&names(&settings), &broken(&settings), firewall.as_deref());
        drop(firewall);
        self.settings = settings;
        self.reloaded = Some((reloaded, tell));
        Ok((left, refresh))
    }

    /// Says what a reload has changed, once everything runs by it.
    fn tell_reloaded(&mut self) {
        let Some((reloaded, tell)) = self.reloaded.take() else {
            return;
        };
        let (added, removed) = (reloaded.added.join(","), reloaded.removed.join(","));
        tracing::info!(%added, %removed, lifted = reloaded.lifted, "the configuration was read anew");
        for tell in tell {
            // Who has asked may be gone.
            let _ = tell.send(Ok(reloaded.clone()));
        }
    }

    fn report_ready(&self, bans: usize) {
        let (kind, place) = {
            let firewall = self.firewall.lock().unwrap_or_else(PoisonError::into_inner);
            let firewall = firewall.as_deref();
            (
                firewall.map_or("none", |firewall| firewall.kind().name()),
                firewall.map(firewall::Firewall::place).unwrap_or_default(),
            )
        };
        let Settings {
            source,
            warnings,
            dry_run,
            ..
        } = &self.settings;
        let jails = names(&self.settings).join(",");
        tracing::info!(firewall = %kind, place, %jails, configuration = %source, bans, "ready");
        if *dry_run {
            tracing::warn!("this is a dry run: what would be dropped is counted, and nothing is dropped");
        }
        if !warnings.0.is_empty() {
            tracing::warn!(
                warnings = warnings.0.len(),
                "the configuration has doubtful places: `blocker check` names them"
            );
        }
    }

    fn stop_serving(&mut self) {
        if let Some(server) = self.server.take() {
            // A client that keeps its connection open must not keep the agent from stopping.
            server.abort();
        }
    }

    /// Lets go of the firewall, last of all, so that hosts are kept out until nobody is left to decide.
    fn end(mut self, namespace: &Namespace) -> Result<()> {
        self.stop_serving();
        let firewall = self.firewall.lock().unwrap_or_else(PoisonError::into_inner).take();
        let kind = firewall.as_deref().map_or("none", |firewall| firewall.kind().name());
        drop(firewall);
        if self.settings.dry_run {
            firewall::clear(&namespace.pins())?;
            forget(&self.settings.state)?;
            tracing::info!(firewall = %kind, "stopped; it was a dry run, and nothing of it is left");
        } else {
            tracing::info!(
                firewall = %kind,
                "stopped; bans stay in force until they end, or until `blocker stop --clear`"
            );
        }
        Ok(())
    }
}

/// Says why a configuration is not taken over.
fn refuse(tell: Tell, problems: &[String]) {
    for problem in problems {
        tracing::error!("the configuration is not taken over: {problem}");
    }
    tracing::error!(
        problems = problems.len(),
        "the agent goes on by the configuration of before; `blocker check` looks at the new one"
    );
    for tell in tell {
        // Who has asked may be gone.
        let _ = tell.send(Err(problems.to_vec()));
    }
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

fn broken(settings: &Settings) -> Vec<String> {
    settings.broken.iter().map(|jail| jail.name.clone()).collect()
}
