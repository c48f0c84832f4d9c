//! The table of behaviour, held against the XDP program's verdicts: each frame goes through `BPF_PROG_TEST_RUN`, and no interface
//! is involved.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking, in what its cases share too"
)]

use aya::programs::{TestRun as _, TestRunOptions};
use blocker::firewall::Firewall;
use blocker::firewall::xdp::{Sizes, Xdp};
use blocker_common::packet::Unparsed;
use blocker_tests::behaviour::cases::scripts;
use blocker_tests::behaviour::run::{Ground, Seen, run};
use blocker_tests::require_root;

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

const SMALL: Sizes = Sizes {
    addresses: 1000,
    networks: 1000,
};

struct Program(Xdp);

impl Ground for Program {
    fn firewall(&mut self) -> &mut dyn Firewall {
        &mut self.0
    }

    fn send(&mut self, frame: &[u8]) -> Seen {
        let options = TestRunOptions {
            data_in: Some(frame),
            ..TestRunOptions::default()
        };
        match self.0.program().unwrap().test_run(options).unwrap().return_value {
            XDP_DROP => Seen::Verdict { dropped: true },
            XDP_PASS => Seen::Verdict { dropped: false },
            other => panic!("the program says {other}"),
        }
    }

    fn unparsed(&mut self) -> Vec<(Unparsed, u64)> {
        self.0.unparsed().unwrap()
    }
}

#[test]
fn the_program_says_of_each_frame_what_a_postmaster_expects() {
    require_root();
    run(&scripts(), |script| Program(Xdp::load(&script.jails, SMALL).unwrap())).check("program");
}
