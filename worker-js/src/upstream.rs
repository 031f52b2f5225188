//! HTTP requests to the authority, within the request that began them.

use futures::StreamExt as _;
use futures::future::LocalBoxFuture;
use leeward::border::HttpRequest;
use leeward::limits::MAX_HEADERS;
use leeward::{Failure, Input, OpId};
use worker::js_sys::Uint8Array;
use worker::{AbortController, ByteStream, Headers, Method, Request, RequestInit, RequestRedirect};

/// A fetch that is neither finished nor aborted.
pub(crate) struct Fetch {
    abort: AbortController,
    /// The rest of the response, unless a read has it.
    body: Option<ByteStream>,
}

/// What a fetch or read came to, or anything else that was waited for.
pub(crate) enum Done {
    /// As the replica takes it.
    Answer(Option<Input>),
    /// The head of a response.
    Head { op: OpId, result: Result<Head, Failure> },
    /// A chunk with the rest of the body, or its end.
    Read {
        op: OpId,
        fetch: OpId,
        result: Result<Option<(Vec<u8>, ByteStream)>, Failure>,
    },
}

/// The head of a response, and its body if it has one.
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<ByteStream>,
}

impl Fetch {
    /// Makes a request and the future that sends it.
    ///
    /// # Errors
    /// If the runtime takes no such request; nothing is sent then.
    pub(crate) fn start(
        op: OpId,
        request: HttpRequest,
    ) -> Result<(Self, LocalBoxFuture<'static, Done>), Failure> {
        let request = build(request).map_err(|error| Failure {
            before_send: true,
            message: error.to_string(),
        })?;
        let abort = AbortController::default();
        let signal = abort.signal();
        let sent = async move {
            let sent = worker::Fetch::Request(request).send_with_signal(&signal).await;
            Done::Head {
                op,
                result: sent.map(Head::of).map_err(failed),
            }
        };
        Ok((Self { abort, body: None }, Box::pin(sent)))
    }

    /// Keeps the body that came with the head.
    pub(crate) fn keep(&mut self, body: Option<ByteStream>) {
        self.body = body;
    }

    /// The future that reads the next chunk; `None` if there is nothing left to read.
    pub(crate) fn read(&mut self, op: OpId, fetch: OpId) -> Option<LocalBoxFuture<'static, Done>> {
        let mut body = self.body.take()?;
        Some(Box::pin(async move {
            let result = loop {
                match body.next().await {
                    Some(Ok(chunk)) if chunk.is_empty() => {}
                    Some(Ok(chunk)) => break Ok(Some((chunk, body))),
                    Some(Err(error)) => break Err(failed(error)),
                    None => break Ok(None),
                }
            };
            Done::Read { op, fetch, result }
        }))
    }

    /// Stops it; a send or read under way fails soon.
    pub(crate) fn abort(self) {
        self.abort.abort();
    }
}

impl Head {
    fn of(mut response: worker::Response) -> Self {
        Self {
            status: response.status_code(),
            // The runtime writes names in lower case.
            headers: response.headers().entries().take(MAX_HEADERS).collect(),
            body: response.stream().ok(),
        }
    }
}

fn build(request: HttpRequest) -> worker::Result<Request> {
    let headers = Headers::new();
    for (name, value) in &request.headers {
        headers.append(name, value)?;
    }
    let mut init = RequestInit::new();
    init.with_method(Method::from(request.method.to_owned()))
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual);
    if !request.body.is_empty() {
        init.with_body(Some(Uint8Array::from(&*request.body).into()));
    }
    Request::new_with_init(&request.url, &init)
}

/// The runtime does not say whether anything was sent.
fn failed(error: worker::Error) -> Failure {
    Failure {
        before_send: false,
        message: error.to_string(),
    }
}
