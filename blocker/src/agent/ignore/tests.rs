use std::fs;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::ban::JailId;

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// The stage with one jail that asks and one that does not, under way.
struct UnderWay {
    to_ask: SyncSender<Batch>,
    judged: Receiver<Batch>,
    unasked: Counter,
    stop: Stop,
    thread: JoinHandle<Vec<Failure>>,
}

fn start(command: &str, max_time: Duration) -> UnderWay {
    let unasked = Counter::default();
    let jail = |command| Asking {
        name: "spam".to_owned(),
        command,
        unasked: unasked.clone(),
    };
    let command = IgnoreCommand::parse(command, 10, max_time).unwrap();
    let (out, judged) = sync_channel(64);
    let (to_ask, failures) = sync_channel(64);
    let stop = Stop::new().unwrap();
    let stage = Ignore::new(vec![jail(Some(command)), jail(None)], out, stop.clone());
    let thread = thread::spawn(move || stage.run(&failures));
    UnderWay {
        to_ask,
        judged,
        unasked,
        stop,
        thread,
    }
}

fn failure(jail: u16, address: &str) -> Failure {
    Failure {
        jail: JailId(jail),
        address: address.parse().unwrap(),
        identity: None,
        time: Timestamp::UNIX_EPOCH,
        again: false,
        read: None,
        evidence: None,
    }
}

impl UnderWay {
    fn fail(&self, jail: u16, address: &str) {
        self.to_ask.send(Batch::of(vec![failure(jail, address)])).unwrap();
    }

    fn judged(&self) -> Vec<Failure> {
        self.judged.recv_timeout(DEADLINE).unwrap().failures
    }
}

/// A command that exempts 192.0.2.7 and writes down whom it was asked about.
fn friend(folder: &TempDir) -> (String, std::path::PathBuf) {
    let asked = folder.path().join("asked");
    (format!("echo <ip> >>{}; test <ip> = 192.0.2.7", asked.display()), asked)
}

#[test]
fn whom_the_command_exempts_is_not_judged_and_each_host_is_asked_about_once() {
    let folder = tempfile::tempdir().unwrap();
    let (command, asked) = friend(&folder);
    let stage = start(&command, Duration::from_secs(300));
    for _ in 0..3 {
        stage.fail(0, "192.0.2.7");
        stage.fail(0, "192.0.2.8");
    }
    let mut judged = Vec::new();
    while judged.len() < 3 {
        judged.extend(stage.judged());
    }
    assert_eq!(judged, vec![failure(0, "192.0.2.8"); 3]);
    stage.fail(0, "192.0.2.8");
    assert_eq!(stage.judged(), [failure(0, "192.0.2.8")], "as the cache says");
    drop(stage.to_ask);
    stage.thread.join().unwrap();
    assert!(stage.judged.recv().is_err(), "nothing of the friend");
    let mut asked: Vec<String> = fs::read_to_string(asked).unwrap().lines().map(str::to_owned).collect();
    asked.sort();
    assert_eq!(asked, ["192.0.2.7", "192.0.2.8"]);
    assert_eq!(stage.unasked.get(), 0);
}

#[test]
fn a_slow_command_holds_up_nobody_but_the_hosts_it_is_asked_about() {
    let stage = start("sleep 50", Duration::from_secs(300));
    stage.fail(0, "192.0.2.7");
    stage.fail(1, "192.0.2.7");
    assert_eq!(stage.judged(), [failure(1, "192.0.2.7")]);
    // More hosts than may wait, and those that run.
    let flood = (0..=u8::MAX).flat_map(|a| (0..8).map(move |b| failure(0, &format!("198.51.{b}.{a}"))));
    stage.to_ask.send(Batch::of(flood.collect())).unwrap();
    stage.fail(1, "192.0.2.9");
    assert_eq!(stage.judged(), [failure(1, "192.0.2.9")]);
    let dropped = stage.unasked.get();
    assert!((1000..=1100).contains(&dropped), "of 2048: {dropped}");

    stage.stop.stop();
    drop(stage.to_ask);
    let begin = Instant::now();
    let waiting = stage.thread.join().unwrap().len() as u64;
    assert_eq!(waiting + dropped, 2049, "what still waits is given back");
    assert!(begin.elapsed() < DEADLINE);
}

#[test]
fn a_command_that_fails_exempts_nobody_as_in_fail2ban() {
    let stage = start("/nowhere/friend <ip>", Duration::from_secs(300));
    stage.fail(0, "192.0.2.7");
    assert_eq!(stage.judged(), [failure(0, "192.0.2.7")]);
}
