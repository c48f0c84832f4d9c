//! `top` on a terminal, which is given back whatever happens.

use std::io::{self, stdout};
use std::mem::ManuallyDrop;
use std::process::ExitCode;
use std::sync::mpsc as blocking;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use ratatui::DefaultTerminal;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::keys::action;
use super::poll::Poller;
use super::state::{State, Then};
use super::view::{self, Look};

/// Answers and keys that may wait.
const QUEUE: usize = 64;
/// How often it is drawn where nothing happens: times are told to the second.
const TICK: Duration = Duration::from_secs(1);

pub(super) fn run(poller: Poller, state: State) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(show(poller, state));
    // A question that is under way keeps nobody from ending.
    runtime.shutdown_background();
    result
}

async fn show(poller: Poller, mut state: State) -> Result<ExitCode> {
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let mut hung_up = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let look = Look::of_environment();
    let mut screen = Screen::open().context("the terminal cannot be drawn on")?;
    let (send_wish, wishes) = blocking::channel();
    let (send_news, mut news) = mpsc::channel(QUEUE);
    let (send_event, mut events) = mpsc::channel(QUEUE);
    // Neither is waited for: they end with the process.
    thread::spawn(move || poller.run(&wishes, &send_news));
    thread::spawn(move || read(&send_event));
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        screen.draw(&mut state, look)?;
        let mut event: Option<io::Result<Event>> = None;
        tokio::select! {
            _ = terminated.recv() => return Ok(ended_by(SignalKind::terminate())),
            _ = interrupted.recv() => return Ok(ended_by(SignalKind::interrupt())),
            _ = hung_up.recv() => return Ok(ended_by(SignalKind::hangup())),
            _ = tick.tick() => {}
            told = news.recv() => state.take(told.context("the thread that asks the agent has ended")?),
            read = events.recv() => event = Some(read.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))),
        }
        // All that waits before it is drawn: a key that somebody holds down draws no more often than the terminal takes it.
        while let Some(read) = event.take().or_else(|| events.try_recv().ok()) {
            let read = read.context("the keys cannot be read")?;
            match action(&read).map(|action| state.heed(action)) {
                Some(Then::End) => return Ok(ExitCode::SUCCESS),
                // A poller that is gone has nobody left to tell.
                Some(Then::Tell(wish)) => drop(send_wish.send(wish)),
                Some(Then::Draw) | None => {}
            }
        }
        while let Ok(told) = news.try_recv() {
            state.take(told);
        }
    }
}

/// Hands on what the terminal says, until nobody takes it any more or there is no terminal any more.
fn read(events: &mpsc::Sender<io::Result<Event>>) {
    loop {
        let event = event::read();
        let is_over = event.is_err();
        if events.blocking_send(event).is_err() || is_over {
            return;
        }
    }
}

/// The exit code of a process that a signal has ended, as shells have it.
fn ended_by(signal: SignalKind) -> ExitCode {
    let code = u8::try_from(128 + signal.as_raw_value());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The terminal while it is ours.
struct Screen {
    /// Not dropped: it would complain on standard error where the terminal has gone, and panic where that has gone too.
    terminal: ManuallyDrop<DefaultTerminal>,
}

impl Screen {
    fn open() -> io::Result<Self> {
        give_back_in_a_panic();
        let open = || {
            enable_raw_mode()?;
            execute!(stdout(), EnterAlternateScreen)?;
            Terminal::new(CrosstermBackend::new(stdout()))
        };
        let terminal = open().inspect_err(|_| give_back())?;
        Ok(Self {
            terminal: ManuallyDrop::new(terminal),
        })
    }

    fn draw(&mut self, state: &mut State, look: Look) -> Result<()> {
        let (now, clock) = (Instant::now(), Timestamp::now());
        let drawn = self.terminal.draw(|frame| view::draw(frame, state, now, clock, look));
        drawn.map(drop).context("the terminal cannot be drawn on")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back; where it has gone, there is none to give back.
fn give_back() {
    let _ = disable_raw_mode();
    let _ = execute!(stdout(), LeaveAlternateScreen, Show);
}

/// Gives the terminal back before a panic is told of, on whichever thread.
fn give_back_in_a_panic() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
        tell(panic);
    }));
}
