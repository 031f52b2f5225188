//! A second test authority, on the official Rust SDK: what a replica passes must not be one SDK's habits.
//!
//! It has the fixtures that MCP's conformance suite calls by name (`tools`, `asking`, `tasks`, `contents`) in both
//! eras, and counts what arrives (`trips`) before the SDK sees it. It holds no authorization and listens on
//! 127.0.0.1 only.
//!
//! ```text
//! leeward-rmcp [--port N] [--ttl MS]
//! ```
//!
//! `--port` 0, the default, lets the system choose; `--ttl` is the `ttlMs` of every cacheable result, 0 by default.
//! Prints one line, `listening on http://127.0.0.1:N/mcp`, when it is ready. Beside /mcp: `GET /__stats` gives the trips
//! since the start or the last `POST /__reset`.
#![expect(
    deprecated,
    reason = "both eras still have the logging and sampling that SEP-2577 will take away"
)]

mod asking;
mod contents;
mod server;
mod tasks;
mod tools;
mod trips;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;
use tokio::net::TcpListener;

use server::Fixtures;
use trips::Trips;

type Service = StreamableHttpService<Fixtures, LocalSessionManager>;
type Answer = Response<BoxBody<Bytes, Infallible>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let [port, ttl_ms] = options();
    let listener = TcpListener::bind(("127.0.0.1", u16::try_from(port).expect("a port has 16 bits")))
        .await
        .expect("the port is free");
    let address = listener.local_addr().expect("it is bound");
    let fixtures = Fixtures::new(ttl_ms);
    // Pages of other origins are refused, whatever port this one has.
    let config = StreamableHttpServerConfig::default().with_allowed_origins([
        "http://127.0.0.1:*",
        "http://localhost:*",
        "http://[::1]:*",
    ]);
    let service = Service::new(move || Ok(fixtures.clone()), Arc::default(), config);
    let trips = Arc::new(Mutex::new(Trips::default()));
    println!("listening on http://{address}/mcp");
    loop {
        let (stream, _) = listener.accept().await.expect("connections come");
        let (service, trips) = (service.clone(), trips.clone());
        tokio::spawn(async move {
            let handler = hyper::service::service_fn(|request| route(&service, &trips, request));
            // A client that leaves is no failure of this server.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), handler)
                .await;
        });
    }
}

/// The values of `--port` and `--ttl`.
fn options() -> [u64; 2] {
    let mut values = [0, 0];
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let at = ["--port", "--ttl"].iter().position(|known| *known == name);
        let value = args.next().and_then(|value| value.parse().ok());
        match (at, value) {
            (Some(at), Some(value)) => values[at] = value,
            _ => panic!("usage: leeward-rmcp [--port N] [--ttl MS]"),
        }
    }
    values
}

async fn route(
    service: &Service,
    trips: &Mutex<Trips>,
    request: Request<Incoming>,
) -> Result<Answer, hyper::Error> {
    let trips = || trips.lock().unwrap_or_else(PoisonError::into_inner);
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/__stats") => Ok(json_body(StatusCode::OK, &trips().to_json())),
        (&Method::POST, "/__reset") => {
            *trips() = Trips::default();
            Ok(json_body(StatusCode::OK, &trips().to_json()))
        }
        (method, "/mcp") => {
            let is_post = *method == Method::POST;
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            if is_post {
                trips().count(&body);
            }
            Ok(service.handle(Request::from_parts(head, Full::new(body))).await)
        }
        _ => Ok(json_body(StatusCode::NOT_FOUND, &json!({"error": "not found"}))),
    }
}

fn json_body(status: StatusCode, value: &serde_json::Value) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())).boxed());
    *response.status_mut() = status;
    let kind = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}
