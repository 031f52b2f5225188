//! The handle through which a flow asks for everything that waits.
//!
//! There is no cell between flows and executor. A question travels through a one-shot channel whose message
//! also carries the receiving end of the next one, so a flow owns its end, the executor the other, nothing is
//! locked, and the replica stays `Send` without `unsafe`. Dropping what a method returns withdraws the question,
//! or aborts a fetch that was already handed to the host.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU8, Ordering};
use core::task::{Context, Poll};

use futures::channel::oneshot;
use leeward::border::{Callback, Credential, Event, FlightId, HttpRequest, LocalCall, Refused};
use leeward::dispatch::InputResponses;
use leeward::mcp::input::InputRequest;
use leeward::{Error, Failure, Millis, Now, OpId};

use crate::breaker::Fared;
use crate::flow::{Access, find};
use crate::grants::Held;
use crate::limits::IDS_PER_TRIP;
use crate::link::{Claimed, Key, Known};
use crate::retry_after::retry_after;
use crate::trouble::Trouble;

/// A question of a flow, and where the next one will come from.
pub(super) struct Ask {
    pub(super) question: Question,
    pub(super) answer: oneshot::Sender<Got>,
    pub(super) next: oneshot::Receiver<Ask>,
}

pub(super) enum Question {
    Fetch {
        request: HttpRequest,
        sent: Option<Sent>,
    },
    Read {
        fetch: OpId,
    },
    Farewell {
        request: HttpRequest,
        due: Sent,
    },
    Local {
        call: LocalCall,
        sent: Sent,
    },
    Credential {
        principal: Option<String>,
        refused: Option<Refused>,
    },
    Load(String),
    Keep(String, Option<Vec<u8>>),
    Sign {
        key: String,
        algorithm: String,
        payload: Vec<u8>,
    },
    Entropy(usize),
    Redirect {
        principal: Option<String>,
    },
    Authorize {
        principal: Option<String>,
        url: String,
    },
    Now,
    Grant {
        principal: Option<String>,
        refused: Option<(u64, Refused)>,
    },
    Nonce(String),
    Timer {
        after: Millis,
        /// Renewed, it ends this long after now at the latest.
        most: Millis,
    },
    Renew,
    Pass {
        partition: u64,
    },
    Fared {
        partition: u64,
        fared: Fared,
    },
    Relay(String),
    Input(Vec<InputRequest>),
    Lost,
    Split(oneshot::Receiver<Ask>),
    Renumber,
    Event(Event),
    Claim(Key),
    Learn(Known, Millis),
    Fail(Key, Option<Trouble>),
    Forget(Key, u64),
}

/// An answer to a flow. `Done` answers what has nothing to tell; `Closed` comes when the executor gave up the
/// question.
pub(crate) enum Got {
    Head {
        status: u16,
        headers: Vec<(String, String)>,
        body: (OpId, oneshot::Receiver<()>),
    },
    Chunk(Vec<u8>),
    End,
    Failed(Failure),
    Local(Result<Vec<u8>, String>),
    Credential(Result<Option<Credential>, String>),
    Denied(Error),
    Bytes(Result<Option<Vec<u8>>, String>),
    Redirect(Result<String, String>),
    Callback(Result<Callback, String>),
    Now(Now),
    Grant(Result<Held, Trouble>),
    Claim(Claimed),
    Inputs(InputResponses),
    Learnt(u64),
    Pass(Result<(), Trouble>),
    Done,
    Closed,
}

impl Got {
    /// The host was not even asked.
    pub(super) fn unable(message: &str) -> Self {
        Self::Failed(Failure {
            before_send: true,
            message: message.into(),
        })
    }
}

impl fmt::Debug for Got {
    /// Not what it is: bodies and records hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Got")
    }
}

/// Set once the host has taken a request that may have an effect; shared by a flow and whoever has to say what
/// became of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sent(Arc<AtomicU8>);

impl Sent {
    const SENT: u8 = 1;
    const UNDER_WAY: u8 = 2;

    /// The host has it.
    pub(crate) fn set(&self) {
        self.0.store(Self::SENT | Self::UNDER_WAY, Ordering::Release);
    }

    /// It is not under way any more, whatever its effect.
    pub(crate) fn over(&self) {
        self.0.fetch_and(!Self::UNDER_WAY, Ordering::AcqRel);
    }

    /// It is known to have had no effect.
    pub(crate) fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Whether there may have been an effect.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) & Self::SENT != 0
    }

    /// Whether somebody may still be at it.
    pub(super) fn is_under_way(&self) -> bool {
        self.0.load(Ordering::Acquire) & Self::UNDER_WAY != 0
    }
}

/// An answer that is still to come.
#[derive(Debug)]
pub(crate) struct Pending(oneshot::Receiver<Got>);

impl Future for Pending {
    type Output = Got;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Got> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|got| got.unwrap_or(Got::Closed))
    }
}

/// What a flow may do. See the module.
#[derive(Debug)]
pub(crate) struct Io {
    port: oneshot::Sender<Ask>,
    flight: FlightId,
    next_id: u64,
    /// For whom this flow was let through.
    partition: u64,
    /// What was sent to the authority has had no answer yet.
    asking: bool,
    /// What its requests to the authority go out with.
    pub(crate) access: Option<Access>,
}

impl Io {
    pub(super) fn new(flight: FlightId, start: u64) -> (Self, oneshot::Receiver<Ask>) {
        let (port, asks) = oneshot::channel();
        (
            Self {
                port,
                flight,
                next_id: start.wrapping_mul(IDS_PER_TRIP),
                partition: 0,
                asking: false,
                access: None,
            },
            asks,
        )
    }

    /// The flight this flow is for.
    pub(crate) const fn flight(&self) -> FlightId {
        self.flight
    }

    /// A JSON-RPC id that this replica never used before.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    fn ask(&mut self, question: Question) -> Pending {
        let (port, next) = oneshot::channel();
        let (answer, got) = oneshot::channel();
        let port = core::mem::replace(&mut self.port, port);
        // An executor that is gone drops the question, and the answer comes as `Closed`.
        let _ = port.send(Ask {
            question,
            answer,
            next,
        });
        Pending(got)
    }

    /// Sends an HTTP request; `sent` is set when the host takes it.
    pub(crate) async fn fetch(
        &mut self,
        request: HttpRequest,
        sent: Option<Sent>,
    ) -> Result<Response, Failure> {
        match self.ask(Question::Fetch { request, sent }).await {
            Got::Head {
                status,
                headers,
                body: (fetch, guard),
            } => {
                let body = Body { fetch, _guard: guard };
                let retry_after = match find(&headers, "retry-after") {
                    Some(value) => retry_after(value, self.now().await.unix),
                    None => None,
                };
                Ok(Response {
                    status,
                    headers,
                    retry_after,
                    body,
                })
            }
            got => Err(failure(got)),
        }
    }

    /// A request that is made when this is dropped while `due` is under way, for who does not take the end of a
    /// connection for a farewell. Nobody waits for its answer; it is left out if too many are under way.
    #[must_use = "dropping it is what makes the request"]
    pub(crate) fn farewell(&mut self, request: HttpRequest, due: Sent) -> Pending {
        self.ask(Question::Farewell { request, due })
    }

    /// Calls a tool or resource of the host; `sent` is set when the host takes it.
    pub(crate) async fn call_local(&mut self, call: LocalCall, sent: Sent) -> Result<Vec<u8>, String> {
        match self.ask(Question::Local { call, sent }).await {
            Got::Local(result) => result,
            got => Err(failure(got).message),
        }
    }

    /// The host's credential for a principal; how the last one was refused, if it was.
    pub(crate) async fn credential(
        &mut self,
        principal: Option<String>,
        refused: Option<Refused>,
    ) -> Result<Option<Credential>, Trouble> {
        match self.ask(Question::Credential { principal, refused }).await {
            Got::Credential(result) => result.map_err(Trouble::credential),
            Got::Denied(error) => Err(Trouble::denied(error)),
            got => Err(Trouble::credential(failure(got).message)),
        }
    }

    /// Reads a record of the vault. Where the host has none, the replica remembers
    /// [`crate::limits::MAX_RECORDS`] of them itself.
    pub(crate) async fn load(&mut self, key: String) -> Result<Option<Vec<u8>>, String> {
        match self.ask(Question::Load(key)).await {
            Got::Bytes(result) => result,
            got => Err(failure(got).message),
        }
    }

    /// Puts a record into the vault, or forgets it. Nobody says whether it got there; a later [`Io::load`] of the same
    /// replica comes after it.
    pub(crate) fn keep(&mut self, key: String, record: Option<Vec<u8>>) {
        drop(self.ask(Question::Keep(key, record)));
    }

    /// A bare signature by a key of the host.
    pub(crate) async fn sign(
        &mut self,
        key: String,
        algorithm: String,
        payload: Vec<u8>,
    ) -> Result<Vec<u8>, String> {
        let question = Question::Sign {
            key,
            algorithm,
            payload,
        };
        self.bytes(question).await
    }

    /// `count` random bytes, 1 to 64.
    pub(crate) async fn entropy(&mut self, count: usize) -> Result<Vec<u8>, String> {
        let mut bytes = self.bytes(Question::Entropy(count)).await?;
        if bytes.len() < count {
            return Err("the host has too little entropy".into());
        }
        bytes.truncate(count);
        Ok(bytes)
    }

    async fn bytes(&mut self, question: Question) -> Result<Vec<u8>, String> {
        match self.ask(question).await {
            Got::Bytes(Ok(Some(bytes))) => Ok(bytes),
            Got::Bytes(Err(message)) => Err(message),
            got => Err(failure(got).message),
        }
    }

    /// The redirect URI at which the host waits for a principal's authorization.
    pub(crate) async fn redirect(&mut self, principal: Option<String>) -> Result<String, String> {
        match self.ask(Question::Redirect { principal }).await {
            Got::Redirect(result) => result,
            got => Err(failure(got).message),
        }
    }

    /// Has the host bring the user to an authorization page.
    pub(crate) async fn authorize(
        &mut self,
        principal: Option<String>,
        url: String,
    ) -> Result<Callback, String> {
        match self.ask(Question::Authorize { principal, url }).await {
            Got::Callback(result) => result,
            got => Err(failure(got).message),
        }
    }

    /// Both clocks: `mono` is the one that [`Io::timer`] runs on.
    pub(crate) async fn now(&mut self) -> Now {
        match self.ask(Question::Now).await {
            Got::Now(now) => now,
            _ => Now::default(),
        }
    }

    /// The replica's own grant of a principal; the number of the token that was refused, and how, if it was. May take
    /// as long as a user takes.
    pub(crate) async fn grant(
        &mut self,
        principal: Option<String>,
        refused: Option<(u64, Refused)>,
    ) -> Result<Held, Trouble> {
        match self.ask(Question::Grant { principal, refused }).await {
            Got::Grant(result) => result,
            got => Err(Trouble::closed(failure(got).message)),
        }
    }

    /// What the authority wants in proofs from now on.
    pub(crate) fn nonce(&mut self, nonce: String) {
        drop(self.ask(Question::Nonce(nonce)));
    }

    /// Is ready once `after` has passed; to be raced.
    pub(crate) fn timer(&mut self, after: Millis) -> Pending {
        self.deadline(after, after)
    }

    /// The same; [`Io::renew`] begins it anew, until `most` has passed.
    pub(crate) fn deadline(&mut self, after: Millis, most: Millis) -> Pending {
        self.ask(Question::Timer { after, most })
    }

    /// Begins this flow's deadlines anew.
    pub(crate) fn renew(&mut self) {
        drop(self.ask(Question::Renew));
    }

    /// Leave to go to the authority, for a partition; why there is none.
    pub(crate) async fn pass(&mut self, partition: u64) -> Result<(), Trouble> {
        self.partition = partition;
        match self.ask(Question::Pass { partition }).await {
            Got::Pass(passed) => passed,
            got => Err(Trouble::closed(failure(got).message)),
        }
    }

    /// The authority is asked now; what it makes of that is to be told by [`Io::fared`].
    pub(crate) const fn asks(&mut self) {
        self.asking = true;
    }

    /// Whether it was asked, and nothing is told yet.
    pub(crate) const fn is_asking(&self) -> bool {
        self.asking
    }

    /// What the authority made of it, once each time; whether it had been asked.
    pub(crate) fn fared(&mut self, fared: Fared) -> bool {
        let asked = core::mem::take(&mut self.asking);
        if asked {
            let partition = self.partition;
            drop(self.ask(Question::Fared { partition, fared }));
        }
        asked
    }

    /// Passes a notification of the authority on. Waits until it is, so that one chunk never becomes a heap of
    /// messages.
    pub(crate) async fn relay(&mut self, notification: String) {
        self.ask(Question::Relay(notification)).await;
    }

    /// Puts requests of the authority to the agent, after those that it is asked already. Every other timer of the flow
    /// stands still meanwhile. `None` if the agent did not answer in [`leeward::limits::MAX_INPUT_WAIT`].
    pub(crate) async fn input(&mut self, requests: Vec<InputRequest>) -> Option<InputResponses> {
        match self.ask(Question::Input(requests)).await {
            Got::Inputs(responses) => Some(responses),
            _ => None,
        }
    }

    /// Says that the stream of a subscription broke. Waits until the core knows.
    pub(crate) async fn lost(&mut self) {
        self.ask(Question::Lost).await;
    }

    /// Sets aside another [`IDS_PER_TRIP`] ids; returns the number of the set.
    pub(crate) async fn renumber(&mut self) -> u64 {
        let number = match self.ask(Question::Renumber).await {
            Got::Learnt(number) => number,
            _ => 0,
        };
        self.next_id = number.wrapping_mul(IDS_PER_TRIP);
        number
    }

    /// Another handle of the same flow, with ids of its own, for what it does at the same time.
    pub(crate) async fn split(&mut self) -> Self {
        let (port, asks) = oneshot::channel();
        let number = match self.ask(Question::Split(asks)).await {
            Got::Learnt(number) => number,
            _ => 0,
        };
        Self {
            port,
            flight: self.flight,
            next_id: number.wrapping_mul(IDS_PER_TRIP),
            partition: self.partition,
            asking: false,
            access: self.access.clone(),
        }
    }

    /// Tells the operator.
    pub(crate) fn event(&mut self, event: Event) {
        drop(self.ask(Question::Event(event)));
    }

    /// What is known about `key`; or the duty to find out, which ends with [`Io::learn`], [`Io::fail`] or the end
    /// of this flow, and until then makes others wait.
    pub(crate) async fn claim(&mut self, key: Key) -> Result<Option<Known>, Trouble> {
        match self.ask(Question::Claim(key)).await {
            Got::Claim(Claimed::Known(known)) => Ok(Some(known)),
            Got::Claim(Claimed::Yours) => Ok(None),
            Got::Claim(Claimed::Failed(trouble)) => Err(trouble),
            got => Err(Trouble::closed(failure(got).message)),
        }
    }

    /// Tells what was found out so long ago; returns the number it is known under.
    pub(crate) async fn learn(&mut self, known: Known, age: Millis) -> u64 {
        match self.ask(Question::Learn(known, age)).await {
            Got::Learnt(number) => number,
            _ => 0,
        }
    }

    /// Gives a duty back. With `trouble` those who wait fail likewise, else the next one tries.
    pub(crate) async fn fail(&mut self, key: Key, trouble: Option<Trouble>) {
        self.ask(Question::Fail(key, trouble)).await;
    }

    /// Drops what is known about `key`, if it still is what was learnt under this number.
    pub(crate) async fn forget(&mut self, key: Key, number: u64) {
        self.ask(Question::Forget(key, number)).await;
    }
}

fn failure(got: Got) -> Failure {
    match got {
        Got::Failed(failure) => failure,
        _ => Failure {
            before_send: false,
            message: "the replica closed".into(),
        },
    }
}

/// The head of a response, and its body still to be read.
#[derive(Debug)]
pub(crate) struct Response {
    /// HTTP status.
    pub(crate) status: u16,
    /// As the host gave them.
    pub(crate) headers: Vec<(String, String)>,
    /// For how long it asks to be left alone, at most a day.
    pub(crate) retry_after: Option<Millis>,
    /// Dropping it before its end aborts the fetch.
    pub(crate) body: Body,
}

/// A body, read chunk by chunk.
#[derive(Debug)]
pub(crate) struct Body {
    fetch: OpId,
    _guard: oneshot::Receiver<()>,
}

impl Body {
    /// The next chunk; `None` at the end.
    pub(crate) async fn next(&mut self, io: &mut Io) -> Result<Option<Vec<u8>>, Failure> {
        match io.ask(Question::Read { fetch: self.fetch }).await {
            Got::Chunk(bytes) => Ok(Some(bytes)),
            Got::End => Ok(None),
            got => Err(failure(got)),
        }
    }
}
