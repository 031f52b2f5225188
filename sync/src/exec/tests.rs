//! What flows may ask besides the network, against a desk that a test reads.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use leeward::border::{Callback, Credential, Event};

use super::*;
use crate::testing::ABLE;

const MONO: Millis = Millis(5);

struct Bench {
    executor: Executor,
    link: Link,
    desk: Desk,
    task: TaskId,
    said: Vec<String>,
}

impl Bench {
    fn open<F>(host: Host, flow: fn(Io) -> F) -> Self
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut executor = Executor::new(host);
        executor.advance(Millis(1_000_000));
        let task = executor.start(FlightId(1), Ctx::SHARED, |io| {
            let flow = flow(io);
            Box::pin(async move { End::Trip(flow.await) })
        });
        let mut bench = Self {
            executor,
            link: Link::new(1),
            desk: Desk::new(None),
            task,
            said: Vec::new(),
        };
        bench.step();
        bench
    }

    fn step(&mut self) {
        self.executor.step(MONO, &mut self.link, &mut self.desk);
    }

    fn output(&mut self) -> Option<Output> {
        loop {
            let output = self.desk.poll(Ctx::SHARED)?;
            self.executor.taken(&output);
            match output {
                Output::Event(Event::AuthorityVersion { version }) => self.said.push(version),
                output => return Some(output),
            }
        }
    }

    fn op(&mut self) -> OpId {
        match self.output().expect("an output") {
            Output::Load { op, .. }
            | Output::Sign { op, .. }
            | Output::Entropy { op, .. }
            | Output::Redirect { op, .. }
            | Output::Authorize { op, .. } => op,
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, input: Input) {
        self.executor.answer(input, &mut self.desk);
        self.step();
    }

    fn said(&mut self) -> Vec<String> {
        while let Some(output) = self.output() {
            assert!(matches!(output, Output::Entropy { .. }), "{output:?}");
        }
        core::mem::take(&mut self.said)
    }
}

/// An event is what a test can hear of a flow.
fn say(io: &mut Io, what: impl ToString) {
    let version = what.to_string();
    io.event(Event::AuthorityVersion { version });
}

async fn all(mut io: Io) -> Outcome {
    io.keep("k".into(), Some(b"kept".to_vec()));
    let loaded = io.load("k".into()).await;
    say(&mut io, format!("{loaded:?}"));
    let signed = io.sign("k1".into(), "ES256".into(), b"x".to_vec()).await;
    say(&mut io, format!("{signed:?}"));
    let redirect = io.redirect(None).await;
    say(&mut io, format!("{redirect:?}"));
    let authorized = io.authorize(Some("ann".into()), "u".into()).await;
    say(&mut io, format!("{authorized:?}"));
    for _ in 0..2 {
        let bytes = io.entropy(2).await;
        say(&mut io, format!("{bytes:?}"));
    }
    let now = io.now().await;
    say(&mut io, format!("{} {}", now.mono.0, now.unix.0));
    Err(Trouble::closed("the test is over").into_error(false))
}

#[test]
fn each_question_takes_its_own_answer_and_no_other() {
    let mut bench = Bench::open(ABLE, all);
    let Some(Output::Keep { key, record }) = bench.output() else {
        panic!("kept first")
    };
    assert_eq!((&*key, record), ("k", Some(b"kept".to_vec())));
    let op = bench.op();
    bench.answer(Input::Signed {
        op,
        result: Ok(Vec::new()),
    });
    bench.answer(Input::Entropy {
        op,
        bytes: Vec::new(),
    });
    bench.answer(Input::Credential {
        op,
        result: Ok(Some(Credential::of("t".into()))),
    });
    assert_eq!(bench.said(), [""; 0]);
    bench.answer(Input::Loaded { op, result: Ok(None) });
    let op = bench.op();
    bench.answer(Input::Signed {
        op,
        result: Ok(Vec::from([1])),
    });
    let op = bench.op();
    bench.answer(Input::Redirect {
        op,
        result: Err("no".into()),
    });
    let op = bench.op();
    let result = Ok(Callback::Query("code=secret".into()));
    bench.answer(Input::Authorized { op, result });
    for bytes in [&[1, 2, 3][..], &[1]] {
        let op = bench.op();
        let bytes = bytes.to_vec();
        bench.answer(Input::Entropy { op, bytes });
    }
    assert_eq!(
        bench.said(),
        [
            "Ok(None)",
            "Ok([1])",
            "Err(\"no\")",
            "Ok(Query(..))",
            "Ok([1, 2])",
            "Err(\"the host has too little entropy\")",
            "5 1000000"
        ]
    );
}

#[test]
fn a_host_that_can_nothing_is_asked_for_entropy_alone() {
    let mut bench = Bench::open(Host::default(), all);
    assert_eq!(
        bench.said(),
        [
            "Ok(Some([107, 101, 112, 116]))",
            "Err(\"this host signs nothing\")",
            "Err(\"this host brings no users to authorization pages\")",
            "Err(\"this host brings no users to authorization pages\")",
        ]
    );
}

#[test]
fn a_flow_that_ends_stops_what_waits_for_a_user() {
    let mut bench = Bench::open(ABLE, |mut io| async move {
        let authorized = io.authorize(None, "u".into()).await;
        say(&mut io, authorized.is_ok());
        Err(Trouble::closed("the test is over").into_error(false))
    });
    let op = bench.op();
    bench
        .executor
        .cancel(bench.task, &mut bench.link, &mut bench.desk);
    assert!(matches!(bench.output(), Some(Output::Abort { fetch }) if fetch == op));
    let result = Ok(Callback::Query("late".into()));
    bench.answer(Input::Authorized { op, result });
    assert_eq!(bench.said(), [""; 0]);
}
