//! Sessions of session-era agents: whose they are, what they keep, how they go on.

use super::*;
use crate::limits::{
    MAX_CLIENT_CAPABILITIES_BYTES, MAX_LISTENS_PER_PRINCIPAL, MAX_SESSIONS, MAX_SESSIONS_PER_PRINCIPAL,
    SESSION_IDLE,
};

const DISCOVERED: &str = r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{},"extensions":{"x":{}}},"ttlMs":60000,"cacheScope":"private"}"#;
pub(super) const NEW: &str = "2025-11-25";
pub(super) const OLD: &str = "2025-06-18";

pub(super) type Headers = Vec<(String, String)>;

pub(super) fn plain(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}}}}}"#)
}

pub(super) fn tool(id: &str, name: &str) -> String {
    plain(id, "tools/call", &format!(r#""name":"{name}","arguments":{{}}"#))
}

pub(super) fn initialize(version: &str, capabilities: &str) -> String {
    let params = format!(
        r#""protocolVersion":"{version}","capabilities":{capabilities},"clientInfo":{{"name":"a","version":"1"}}"#
    );
    plain("0", "initialize", &params)
}

pub(super) fn in_session(id: &str) -> Headers {
    [("mcp-session-id", id), ("mcp-protocol-version", NEW)]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
}

pub(super) fn after(id: &str, event: &str) -> Headers {
    let mut headers = in_session(id);
    headers.push(("last-event-id".into(), event.into()));
    headers
}

/// What came of one message.
pub(super) struct Came {
    pub(super) step: Step,
    pub(super) out: String,
    pub(super) due: Vec<Due>,
}

impl Came {
    pub(super) fn status(&self) -> u16 {
        match &self.step.served {
            Served::Reply { status, .. } => *status,
            Served::Accepted => 202,
            served => panic!("{served:?}"),
        }
    }

    pub(super) fn ticket(&self) -> Ticket {
        match &self.step.served {
            Served::Wait(ticket) => *ticket,
            served => panic!("{served:?} {}", self.out),
        }
    }

    pub(super) fn flight(&self) -> FlightId {
        self.step
            .start
            .as_ref()
            .unwrap_or_else(|| panic!("no trip: {}", self.out))
            .0
    }

    pub(super) fn forward(&self) -> &Forward {
        match &self.step.start {
            Some((_, Trip::Forward(forward))) => forward,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn replies(&self) -> Vec<&Reply> {
        replies(&self.due)
    }
}

pub(super) fn replies(due: &[Due]) -> Vec<&Reply> {
    let mut all = Vec::new();
    for due in due {
        if let Due::Reply(_, reply) = due {
            all.push(reply);
        }
    }
    all
}

pub(super) fn ends(due: &[Due]) -> Vec<FlightId> {
    let end = |due: &Due| match due {
        Due::End(flight) => Some(*flight),
        _ => None,
    };
    due.iter().filter_map(end).collect()
}

impl Bench {
    pub(super) fn keeping() -> Self {
        let mut bench = Self::new();
        bench.core.keep_sessions();
        bench
    }

    pub(super) fn come(
        &mut self,
        verb: Verb,
        who: &Caller,
        connection: u64,
        headers: Option<&Headers>,
        message: &str,
    ) -> Came {
        let request = Request {
            caller: who,
            ctx: Ctx::SHARED,
            connection,
            headers: headers.map(|headers| &**headers),
            negotiated: None,
            verb,
            message: message.as_bytes(),
            peek: false,
        };
        let mut out = Vec::new();
        let step = self.core.serve(self.now(), request, &mut out);
        Came {
            step,
            out: String::from_utf8(out).unwrap(),
            due: self.due(),
        }
    }

    pub(super) fn due(&mut self) -> Vec<Due> {
        core::iter::from_fn(|| self.core.poll_due()).collect()
    }

    pub(super) fn post(&mut self, id: &str, message: &str) -> Came {
        self.come(Verb::Post, &ann(), 0, Some(&in_session(id)), message)
    }

    pub(super) fn get(&mut self, id: &str) -> Came {
        self.come(Verb::Get, &ann(), 0, Some(&in_session(id)), "")
    }

    /// A session of somebody's over HTTP.
    pub(super) fn opens_as(&mut self, who: &Caller, message: &str) -> String {
        let came = self.come(Verb::Post, who, 0, Some(&Headers::new()), message);
        if let Served::Reply { session, .. } = came.step.served {
            return session.unwrap_or_else(|| panic!("no session: {}", came.out));
        }
        let heard = self.settle(came.flight(), discovered());
        heard.replies[0].1.session.clone().unwrap()
    }

    pub(super) fn opens(&mut self) -> String {
        self.opens_as(&ann(), &initialize(NEW, "{}"))
    }

    /// Its stream, which the authority lets hear all that was asked for.
    pub(super) fn listens_in(&mut self, id: &str) -> (Ticket, FlightId) {
        let came = self.get(id);
        assert!(
            self.heard(came.flight(), &acknowledged(came.forward()))
                .is_empty()
        );
        (came.ticket(), came.flight())
    }

    pub(super) fn heard(&mut self, flight: FlightId, raw: &str) -> Vec<Reply> {
        let mut heard = Heard::default();
        self.core.relay(flight, raw, &mut heard);
        heard.replies.into_iter().map(|(_, reply)| reply).collect()
    }
}

pub(super) fn discovered() -> Result<Answer, TripError> {
    Ok(Answer {
        body: Body::Result(DISCOVERED.into()),
        credential: None,
        learned: Vec::new(),
    })
}

pub(super) fn acknowledged(forward: &Forward) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":1}},{}}}}}"#,
        forward.params
    )
}

pub(super) fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{{{params}}}}}"#)
}

pub(super) const LOG: &str = r#""level":"info","data":"x""#;

#[test]
fn initialize_opens_a_session_and_offers_what_only_a_session_can_have() {
    let mut bench = Bench::keeping();
    let came = bench.come(
        Verb::Post,
        &ann(),
        0,
        Some(&Headers::new()),
        &initialize(NEW, "{}"),
    );
    let heard = bench.settle(came.flight(), discovered());
    let (_, reply) = &heard.replies[0];
    assert!(
        text(reply).contains(r#""capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"logging":{}}"#),
        "{}",
        text(reply)
    );
    let first = reply.session.clone().unwrap();
    assert!(first.len() == 32 && first.bytes().all(|b| b.is_ascii_graphic()));
    // From the cache, at once.
    let second = bench.opens();
    assert_ne!(first, second);
    assert_eq!(bench.core.stats().sessions, 2);
    // A host that keeps none says nothing of it.
    let mut bench = Bench::new();
    let came = bench.come(
        Verb::Post,
        &ann(),
        0,
        Some(&Headers::new()),
        &initialize(NEW, "{}"),
    );
    let heard = bench.settle(came.flight(), discovered());
    assert!(heard.replies[0].1.session.is_none());
    assert!(text(&heard.replies[0].1).contains(r#""capabilities":{"tools":{},"resources":{}}"#));
}

#[test]
fn an_initialize_that_fails_opens_nothing() {
    let mut bench = Bench::keeping();
    let none = Headers::new();
    let came = bench.come(Verb::Post, &ann(), 0, Some(&none), &initialize(NEW, "{}"));
    let heard = bench.settle(came.flight(), broken(Code::AuthorityUnreachable));
    assert!(heard.replies[0].1.session.is_none());
    assert_eq!(bench.core.stats().sessions, 0);
    let came = bench.come(Verb::Post, &ann(), 0, Some(&none), &initialize(NEW, "{}"));
    assert!(bench.core.cancel(came.ticket()).is_some());
    assert_eq!(bench.core.stats().sessions, 0);
}

#[test]
fn a_session_is_its_own_callers_alone_and_ends_with_delete() {
    let mut bench = Bench::keeping();
    let id = bench.opens();
    let ping = plain("1", "ping", "");
    assert_eq!(bench.post(&id, &ping).status(), 200);
    for (who, id) in [
        (bob(), &*id),
        (ann(), "0123456789abcdef0123456789abcdef"),
        (ann(), ""),
    ] {
        for (verb, message) in [(Verb::Post, &*ping), (Verb::Get, ""), (Verb::Delete, "")] {
            let came = bench.come(verb, &who, 0, Some(&in_session(id)), message);
            assert!(
                came.status() == 404 && came.out.contains("session_unknown"),
                "{}",
                came.out
            );
        }
    }
    let mut twice = in_session(&id);
    twice.push(twice[0].clone());
    assert_eq!(
        bench.come(Verb::Post, &ann(), 0, Some(&twice), &ping).status(),
        404
    );
    assert_eq!(
        bench
            .come(Verb::Get, &ann(), 0, Some(&Headers::new()), "")
            .status(),
        400
    );
    let waits = bench.post(&id, &tool("7", "set_x"));
    let (stream, listening) = bench.listens_in(&id);
    let came = bench.come(Verb::Delete, &ann(), 0, Some(&in_session(&id)), "");
    assert!(came.status() == 204 && came.out.is_empty());
    assert!(
        came.step.cancel.contains(&waits.ticket()),
        "what waits is given up"
    );
    let ended: Vec<Ticket> = came.replies().iter().map(|reply| reply.ticket).collect();
    assert!(
        came.replies()
            .iter()
            .all(|reply| reply.last && reply.part.is_empty())
    );
    assert!(
        ended.contains(&stream) && ended.contains(&waits.ticket()),
        "streams end"
    );
    let dropped: Vec<_> = came
        .step
        .cancel
        .into_iter()
        .filter_map(|it| bench.core.cancel(it))
        .collect();
    assert_eq!(dropped, [listening], "a write goes on");
    assert_eq!(bench.post(&id, &ping).status(), 404);
    assert_eq!(bench.core.stats().sessions, 0);
}

#[test]
fn the_version_is_the_sessions_and_a_stateless_message_is_stateless() {
    let mut bench = Bench::keeping();
    let id = bench.opens();
    let with = |version: &str| -> Headers {
        let mut headers = in_session(&id);
        headers[1].1 = version.into();
        headers
    };
    let ping = plain("1", "ping", "");
    assert_eq!(
        bench
            .come(Verb::Post, &ann(), 0, Some(&with(OLD)), &ping)
            .status(),
        200
    );
    let came = bench.come(Verb::Post, &ann(), 0, Some(&with("1999-01-01")), &ping);
    assert!(came.status() == 400 && came.out.contains("unsupported_version"));
    let only: Headers = in_session(&id)[..1].to_vec();
    assert_eq!(
        bench.come(Verb::Post, &ann(), 0, Some(&only), &ping).status(),
        200
    );
    let came = bench.come(
        Verb::Post,
        &ann(),
        0,
        Some(&only),
        &plain("1", "tools/list", r#""cursor":1"#),
    );
    assert!(
        came.status() == 200 && came.out.contains("invalid_params"),
        "{}",
        came.out
    );
    assert!(
        bench
            .post(&id, &initialize(NEW, "{}"))
            .out
            .contains("invalid_request")
    );
    // What says that it is stateless is so, even with another's session.
    let mut modern = with(crate::mcp::names::MODERN);
    modern.push(("mcp-method".into(), "tools/call".into()));
    modern.push(("mcp-name".into(), "get_x".into()));
    let came = bench.come(Verb::Post, &bob(), 0, Some(&modern), &call(1, "get_x", "{}"));
    assert!(came.step.start.is_some());
}

#[test]
fn whatever_comes_in_a_session_that_is_not_there_is_answered_by_404() {
    let mut bench = Bench::keeping();
    bench.opens();
    let ping = plain("1", "ping", "");
    for message in [
        format!("[{ping}]"),
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_string(),
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_string(),
        ping,
    ] {
        let came = bench.post("0123456789abcdef0123456789abcdef", &message);
        assert_eq!(came.status(), 404, "{message}: {}", came.out);
    }
}

#[test]
fn responses_are_taken_within_a_session_only() {
    let mut bench = Bench::keeping();
    let id = bench.opens();
    let response = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    assert_eq!(bench.post(&id, response).status(), 202);
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(bench.post(&id, initialized).status(), 202);
    assert_eq!(bench.post("x", initialized).status(), 404);
    let outside = bench.come(Verb::Post, &ann(), 0, Some(&Headers::new()), response);
    assert!(outside.out.contains("invalid_request"));
    assert!(
        bench
            .post(&id, r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#)
            .out
            .contains("invalid_request")
    );
}

#[test]
fn capabilities_and_log_level_are_those_of_the_session() {
    let mut bench = Bench::keeping();
    let declared = r#"{"sampling":{"tools":{}},"roots":{"listChanged":true},"experimental":{"x":{}}}"#;
    let id = bench.opens_as(&ann(), &initialize(NEW, declared));
    let came = bench.post(&id, &tool("1", "get_x"));
    assert_eq!(
        came.forward().capabilities,
        r#"{"sampling":{"tools":{}},"roots":{}}"#
    );
    assert!(came.forward().meta.is_empty());
    let wrong = bench.post(&id, &plain("2", "logging/setLevel", r#""level":"loud""#));
    assert!(wrong.out.contains("invalid_params"));
    let set = bench.post(&id, &plain("2", "logging/setLevel", r#""level":"info""#));
    assert_eq!(set.out, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    let came = bench.post(&id, &tool("3", "peek_x"));
    assert_eq!(
        came.forward().meta,
        r#""io.modelcontextprotocol/logLevel":"info""#
    );
    assert_eq!(bench.heard(came.flight(), &notification("message", LOG)).len(), 1);
    let debug = notification("message", r#""level":"debug","data":"x""#);
    assert!(bench.heard(came.flight(), &debug).is_empty());
    let large = format!(
        r#"{{"sampling":{{"x":"{}"}}}}"#,
        "x".repeat(MAX_CLIENT_CAPABILITIES_BYTES)
    );
    let came = bench.come(
        Verb::Post,
        &ann(),
        0,
        Some(&Headers::new()),
        &initialize(NEW, &large),
    );
    assert!(came.out.contains("too_large"), "{}", came.out);
}

#[test]
fn without_a_session_or_an_offer_its_methods_are_unknown() {
    let mut bench = Bench::keeping();
    let legacy: Headers = in_session("")[1..].to_vec();
    for (method, params) in [
        ("logging/setLevel", r#""level":"info""#),
        ("resources/subscribe", r#""uri":"a:1""#),
    ] {
        let came = bench.come(Verb::Post, &ann(), 0, Some(&legacy), &plain("1", method, params));
        assert!(came.out.contains("method_not_found"), "{}", came.out);
    }
    let came = bench.come(
        Verb::Post,
        &ann(),
        0,
        Some(&Headers::new()),
        &initialize(NEW, "{}"),
    );
    let bare = DISCOVERED
        .replace(r#""subscribe":true,"#, "")
        .replace(r#","logging":{}"#, "");
    let answer = Answer {
        body: Body::Result(bare),
        credential: None,
        learned: Vec::new(),
    };
    let heard = bench.settle(came.flight(), Ok(answer));
    let id = heard.replies[0].1.session.clone().unwrap();
    for (method, params) in [
        ("logging/setLevel", r#""level":"info""#),
        ("resources/unsubscribe", r#""uri":"a:1""#),
    ] {
        assert!(
            bench
                .post(&id, &plain("1", method, params))
                .out
                .contains("method_not_found")
        );
    }
}

#[test]
fn a_connection_is_a_session() {
    let mut bench = Bench::keeping();
    let on = |bench: &mut Bench, connection, message: &str| {
        bench.come(Verb::Post, &ann(), connection, None, message)
    };
    let came = on(&mut bench, 7, &initialize(OLD, "{}"));
    assert!(
        on(&mut bench, 7, &initialize(OLD, "{}"))
            .out
            .contains("initialized already")
    );
    assert_eq!(
        bench.come(Verb::Get, &ann(), 7, None, "").status(),
        404,
        "not yet"
    );
    let heard = bench.settle(came.flight(), discovered());
    assert!(heard.replies[0].1.session.is_none() && text(&heard.replies[0].1).contains(r#""logging":{}"#));
    assert!(
        on(
            &mut bench,
            7,
            &plain("1", "logging/setLevel", r#""level":"debug""#)
        )
        .out
        .contains("result")
    );
    assert!(
        on(&mut bench, 8, &plain("1", "tools/list", ""))
            .out
            .contains("invalid_params")
    );
    // What says that it is stateless is so.
    let stateless =
        call(1, "peek_x", "{}").replace(r#"Capabilities":{}"#, r#"Capabilities":{"sampling":{}}"#);
    let came = on(&mut bench, 7, &stateless);
    assert_eq!(came.forward().capabilities, r#"{"sampling":{}}"#);
    assert!(came.forward().meta.is_empty());
    let stream = bench.come(Verb::Get, &ann(), 7, None, "");
    assert!(stream.due.is_empty(), "no events without HTTP");
    bench.heard(stream.flight(), &acknowledged(stream.forward()));
    let told = bench.heard(stream.flight(), &notification("tools/list_changed", ""));
    assert!(told[0].event.is_none());
    assert_eq!(bench.come(Verb::Get, &ann(), 8, None, "").status(), 404);
    let call = on(&mut bench, 7, &tool("3", "set_x"));
    assert!(call.due.is_empty());
    assert!(!bench.core.detach(call.ticket()));
    assert_eq!(bench.come(Verb::Delete, &ann(), 7, None, "").status(), 204);
    assert_eq!(bench.core.stats().sessions, 0);
    let again = on(&mut bench, 7, &initialize(NEW, "{}"));
    assert!(again.out.contains("result"));
}

#[test]
fn a_session_that_is_being_opened_does_not_give_way() {
    let mut bench = Bench::keeping();
    let ids: Vec<String> = (1..MAX_SESSIONS_PER_PRINCIPAL).map(|_| bench.opens()).collect();
    // What is stored has expired.
    bench.now += 120_000;
    let opens = initialize(NEW, "{}");
    let initialize = |bench: &mut Bench| bench.come(Verb::Post, &ann(), 0, Some(&Headers::new()), &opens);
    let waits = initialize(&mut bench);
    bench.now += 1;
    for id in &ids {
        bench.post(id, &plain("1", "ping", ""));
    }
    initialize(&mut bench);
    let heard = bench.settle(waits.flight(), discovered());
    assert!(heard.replies[0].1.session.is_some());
}

#[test]
fn sessions_are_bounded_and_those_in_use_stay() {
    let mut bench = Bench::keeping();
    let first = bench.opens();
    bench.get(&first);
    let mut ids = Vec::new();
    for _ in 1..=MAX_SESSIONS_PER_PRINCIPAL {
        bench.now += 1;
        ids.push(bench.opens());
    }
    let ping = plain("1", "ping", "");
    assert_eq!(bench.core.stats().sessions, MAX_SESSIONS_PER_PRINCIPAL as u64);
    assert_eq!(bench.post(&first, &ping).status(), 200, "in use");
    assert_eq!(
        bench.post(&ids[0], &ping).status(),
        404,
        "the least recently used"
    );
    for id in &ids[1..] {
        bench.post(id, &tool("1", "set_x"));
    }
    let came = bench.come(
        Verb::Post,
        &ann(),
        0,
        Some(&Headers::new()),
        &initialize(NEW, "{}"),
    );
    assert!(
        came.out.contains("over_budget") && came.status() == 503,
        "{}",
        came.out
    );
    let mut n = 0;
    while bench.core.stats().sessions < MAX_SESSIONS as u64 {
        n += 1;
        bench.opens_as(&Caller::Principal(n.to_string()), &initialize(NEW, "{}"));
    }
    bench.opens_as(&bob(), &initialize(NEW, "{}"));
    assert_eq!(bench.core.stats().sessions, MAX_SESSIONS as u64);
    bench.now += SESSION_IDLE.0 + 1;
    bench.opens_as(&bob(), &initialize(NEW, "{}"));
    assert_eq!(
        bench.core.stats().sessions,
        MAX_SESSIONS_PER_PRINCIPAL as u64 + 1,
        "the idle are forgotten"
    );
    bench.now += SESSION_IDLE.0 / 2;
    let quiet = bench.opens_as(&bob(), &initialize(NEW, "{}"));
    bench.now += SESSION_IDLE.0;
    assert_eq!(
        bench
            .come(Verb::Post, &bob(), 0, Some(&in_session(&quiet)), &ping)
            .status(),
        404
    );
}

#[test]
fn every_session_may_have_its_stream_and_takes_no_subscription_from_others() {
    let mut bench = Bench::keeping();
    for _ in 0..MAX_SESSIONS_PER_PRINCIPAL {
        let id = bench.opens();
        bench.listens_in(&id);
    }
    let open = bench.core.stats().subscriptions;
    assert_eq!(open, MAX_SESSIONS_PER_PRINCIPAL as u64);
    for n in 0..MAX_LISTENS_PER_PRINCIPAL {
        bench.listens(&n.to_string(), r#"{"toolsListChanged":true}"#);
    }
    let one_more = super::listen::listen("100", r#"{"toolsListChanged":true}"#);
    let (_, out) = bench.ask(&ann(), 1, &one_more);
    assert!(out.contains("over_budget"), "{out}");
}

impl Bench {
    /// What is to be stored now.
    fn saved(due: Vec<Due>) -> Vec<(String, Option<Vec<u8>>)> {
        let save = |due| match due {
            Due::Save { key, record } => Some((key, record)),
            _ => None,
        };
        due.into_iter().filter_map(save).collect()
    }
}

#[test]
fn a_session_outlives_its_replica_where_records_are_stored() {
    let mut bench = Bench::keeping();
    let unstored = bench.opens();
    bench.post(&unstored, &plain("1", "logging/setLevel", r#""level":"info""#));
    bench.core.store_sessions();
    let mut records = Vec::new();
    let came = bench.come(
        Verb::Post,
        &ann(),
        0,
        Some(&Headers::new()),
        &initialize(OLD, r#"{"roots":{}}"#),
    );
    let Served::Reply {
        session: Some(id), ..
    } = came.step.served
    else {
        panic!("{}", came.out)
    };
    records.push(Bench::saved(came.due));
    for (method, params) in [
        ("logging/setLevel", r#""level":"info""#),
        ("resources/subscribe", r#""uri":"a:1""#),
        ("resources/subscribe", r#""uri":"b:1""#),
        ("resources/unsubscribe", r#""uri":"a:1""#),
    ] {
        records.push(Bench::saved(bench.post(&id, &plain("1", method, params)).due));
    }
    assert!(
        records
            .iter()
            .all(|saved| saved.len() == 1 && saved[0].0 == format!("session:{id}"))
    );
    assert!(Bench::saved(bench.post(&id, &plain("1", "ping", "")).due).is_empty());
    let (key, record) = records.pop().unwrap().remove(0);
    let record = record.unwrap();
    for seeded_first in [true, false] {
        let mut core = Core::new(Config::parse(CONFIG).unwrap());
        core.keep_sessions();
        core.store_sessions();
        let mut bench = Bench {
            core,
            now: SESSION_IDLE.0 * 3,
        };
        if seeded_first {
            bench.core.seed([9; 32]);
        }
        let now = Millis(bench.now);
        assert!(bench.core.restore(now, &key, &record) && bench.core.restore(now, &key, &record));
        assert!(!bench.core.restore(now, "other", &record) && !bench.core.restore(now, &key, b"LWSE"));
        if !seeded_first {
            bench.core.seed([9; 32]);
        }
        assert_eq!(bench.core.stats().sessions, 1);
        let came = bench.post(&id, &tool("1", "set_x"));
        assert_eq!(came.forward().capabilities, r#"{"roots":{}}"#);
        assert!(came.forward().meta.contains(r#""info""#));
        assert!(came.due.is_empty(), "of an earlier revision");
        assert!(bench.get(&id).forward().params.contains(r#"["b:1"]"#));
        assert_eq!(
            bench
                .come(Verb::Post, &bob(), 0, Some(&in_session(&id)), "{}")
                .status(),
            400
        );
        assert_eq!(
            bench
                .come(Verb::Delete, &bob(), 0, Some(&in_session(&id)), "")
                .status(),
            404
        );
        let ended = bench.come(Verb::Delete, &ann(), 0, Some(&in_session(&id)), "");
        assert_eq!(Bench::saved(ended.due), [(key.clone(), None)]);
    }
    // No more are taken up than may be.
    let mut bench = Bench::keeping();
    bench.core.seed([3; 32]);
    bench.core.store_sessions();
    let mut all = Vec::new();
    let mut n = 0;
    let mut due = Vec::new();
    while bench.core.stats().sessions < MAX_SESSIONS as u64 {
        n += 1;
        let who = Caller::Principal(n.to_string());
        let came = bench.come(Verb::Post, &who, 0, Some(&Headers::new()), &initialize(NEW, "{}"));
        if let Served::Wait(_) = came.step.served {
            bench.settle(came.flight(), discovered());
            due.extend(bench.due());
        }
        due.extend(came.due);
    }
    all.extend(
        Bench::saved(due)
            .into_iter()
            .filter_map(|(key, record)| Some((key, record?))),
    );
    let mut again = Bench::keeping();
    assert!(again.core.restore(Millis(0), &key, &record));
    let taken = all
        .iter()
        .filter(|(key, record)| again.core.restore(Millis(0), key, record))
        .count();
    assert_eq!((all.len(), taken), (MAX_SESSIONS, MAX_SESSIONS - 1));
}
