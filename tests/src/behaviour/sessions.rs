//! Sessions of session-era agents, over HTTP.

use serde_json::{Value, json};

use super::{GET, cases};
use crate::authority::{Authority, result, stream};
use crate::run::Run;
use crate::target::{Connection, Pending, Setup, Who};
use crate::wire::{LEGACY, Message, OLDER};
use leeward::Code;

const BATCHED: &str = "2025-03-26";
const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
const UPDATED: &str = "notifications/resources/updated";
const ONE: &str = "crm://tickets/1";
const LOGGING: &str = r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true},"logging":{}},"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#;

fn initialize(version: &str) -> Message {
    let params = format!(
        r#""protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"a","version":"1"}}"#
    );
    Message::new("initialize", &params).id("0")
}

fn hinting() -> Setup {
    Setup::tools(GET).authority(Authority::modern().hinting(60_000, "private"))
}

impl Run<'_> {
    /// A connection with a session.
    fn enters(&mut self, who: &'static str, version: &'static str) -> Connection {
        let from = self.target.connect(&Who::Principal(who), version);
        let answer = self.ask_from(from, &initialize(version));
        assert_eq!(answer.result()["protocolVersion"], version);
        assert!(self.target.session(from, None).is_some());
        let initialized = Message::bare("notifications/initialized").notification();
        let accepted = self.target.start(from, &initialized);
        assert_eq!(self.target.finish(accepted).status, Some(202));
        from
    }

    fn event(&mut self, pending: Pending) -> String {
        self.target.event(pending).expect("an event's id")
    }

    /// All that came on a stream.
    fn came(&mut self, pending: Pending) -> Vec<Value> {
        self.heard(pending, 0)
    }
}

cases! {
    fn every_session_era_revision_has_sessions_with_all_that_needs_one(host) needs(Sessions) {
        let mut run = Run::open(host, Setup::new());
        let mut ids = Vec::new();
        for version in [LEGACY, OLDER, BATCHED] {
            run.authority().once("server/discover", None, result(LOGGING));
            let from = run.target.connect(&Who::Principal("ann"), version);
            let answer = run.ask_from(from, &initialize(version));
            let offered = json!({"tools": {"listChanged": true}, "resources": {"subscribe": true}, "logging": {}});
            assert_eq!((&answer.result()["protocolVersion"], &answer.result()["capabilities"]), (&json!(version), &offered));
            ids.push(run.target.session(from, None));
            assert_eq!(run.ask_from(from, &Message::bare("ping")).result(), &json!({}));
        }
        ids.dedup();
        assert_eq!(ids.len(), 3);
    }

    fn a_session_changes_nothing_about_what_is_stored(host) needs(Sessions) {
        let mut run = Run::open(host, hinting());
        let from = run.enters("ann", LEGACY);
        let other = run.enters("ann", LEGACY);
        let ben = run.enters("ben", LEGACY);
        run.miss_from(from, &Message::call("get_user", "{}"));
        run.hit_from(from, &Message::call("get_user", "{}"));
        run.hit_from(other, &Message::call("get_user", "{}"));
        run.miss_from(ben, &Message::call("get_user", "{}"));
        run.ask_from(from, &Message::call("put_ticket", "{}")).result();
        run.miss_from(other, &Message::call("get_user", "{}"));
    }

    fn anothers_session_is_unknown(host) needs(Sessions) {
        let mut run = Run::open(host, Setup::new());
        let ann = run.enters("ann", LEGACY);
        let ben = run.target.connect(&Who::Principal("ben"), LEGACY);
        run.target.session(ben, Some(ann));
        run.ask_from(ben, &Message::bare("ping")).fails(Code::SessionUnknown);
        assert_eq!(run.target.end_session(ben).status, Some(404));
        run.ask_from(ann, &Message::bare("ping")).result();
        assert_eq!(run.target.end_session(ann).status, Some(204));
        run.ask_from(ann, &Message::bare("ping")).fails(Code::SessionUnknown);
    }

    fn its_stream_tells_what_the_authority_tells(host) needs(Sessions) {
        let mut run = Run::open(host, hinting());
        let from = run.enters("ann", LEGACY);
        let subscribe = |uri: &str| Message::new("resources/subscribe", &format!(r#""uri":"{uri}""#));
        run.ask_from(from, &subscribe(ONE)).result();
        let stream = run.target.open_stream(from, None);
        assert_eq!(run.authority().listening(), 1);
        run.miss_from(from, &Message::bare("tools/list"));
        run.authority().tell(TOOLS_CHANGED, &json!({}));
        run.authority().tell(UPDATED, &json!({"uri": ONE}));
        run.authority().tell(UPDATED, &json!({"uri": "crm://tickets/2"}));
        let told = run.came(stream);
        assert_eq!(told, [
            json!({"jsonrpc": "2.0", "method": TOOLS_CHANGED}),
            json!({"jsonrpc": "2.0", "method": UPDATED, "params": {"uri": ONE}}),
        ]);
        run.miss_from(from, &Message::bare("tools/list"));
        // Another resource, then none.
        run.ask_from(from, &subscribe("crm://tickets/2")).result();
        assert_eq!(run.authority().listening(), 1);
        run.authority().tell(UPDATED, &json!({"uri": "crm://tickets/2"}));
        assert_eq!(run.came(stream).len(), 3);
        let unsubscribe = Message::new("resources/unsubscribe", r#""uri":"crm://tickets/2""#);
        run.ask_from(from, &unsubscribe).result();
        run.authority().tell(UPDATED, &json!({"uri": "crm://tickets/2"}));
        assert_eq!(run.came(stream).len(), 3);
        assert_eq!(run.target.end_session(from).status, Some(204));
        assert!(run.target.is_answered(stream));
        assert_eq!(run.authority().listening(), 0);
    }

    fn a_second_stream_is_refused_and_a_resumed_one_is_told_of_everything(host) needs(Sessions) {
        let mut run = Run::open(host, hinting());
        let from = run.enters("ann", LEGACY);
        let first = run.target.open_stream(from, None);
        let second = run.target.open_stream(from, None);
        run.finish(second).fails(Code::StreamTaken);
        let event = run.event(first);
        let third = run.target.open_stream(from, Some(&event));
        assert!(run.target.is_answered(first));
        assert_eq!(run.came(third)[0]["method"], TOOLS_CHANGED);
        assert_eq!(run.authority().listening(), 1);
        run.target.cancel(third);
        assert_eq!(run.authority().listening(), 0);
    }

    fn logs_come_at_the_level_that_was_set(host) needs(Sessions) {
        let mut run = Run::open(host, Setup::new());
        run.authority().once("server/discover", None, result(LOGGING));
        let from = run.enters("ann", LEGACY);
        let said = stream(
            &[
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"debug","data":1}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"error","data":2}}"#,
            ],
            r#"{"resultType":"complete","content":[]}"#,
        );
        run.authority().always("tools/call", None, said);
        assert!(run.ask_from(from, &Message::call("put_ticket", "{}")).notifications.is_empty());
        run.ask_from(from, &Message::new("logging/setLevel", r#""level":"warning""#)).result();
        let answer = run.ask_from(from, &Message::call("put_ticket", "{}"));
        assert_eq!(answer.notifications[0]["params"]["data"], 2);
        assert_eq!(answer.notifications.len(), 1);
        let meta = &run.authority().last("tools/call").params["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/logLevel"], "warning");
    }

    fn a_lost_connection_cancels_nothing_and_the_answer_is_there_for_who_comes_back(host) needs(Sessions, Together) {
        let mut run = Run::open(host, Setup::new());
        let from = run.enters("ann", LEGACY);
        run.authority().hold();
        let call = run.target.start(from, &Message::call("put_ticket", "{}").id("7"));
        let event = run.event(call);
        run.target.cancel(call);
        run.authority().release();
        run.target.settle();
        let ben = run.enters("ben", LEGACY);
        let back = run.target.open_stream(ben, Some(&event));
        run.finish(back).fails_with(Code::UnknownOutcome, 200);
        let back = run.target.open_stream(from, Some(&event));
        let answer = run.finish(back);
        assert_eq!((answer.text(), answer.id().as_str()), ("put_ticket #1 {}", "7"));
        assert_eq!(run.calls("put_ticket"), 1);
    }

    fn cancelling_counts_within_the_session_alone(host) needs(Sessions, Together) {
        let mut run = Run::open(host, Setup::tools(&[("get_*", "live")]));
        let from = run.enters("ann", LEGACY);
        let other = run.enters("ann", LEGACY);
        run.authority().hold();
        let call = run.target.start(from, &Message::call("get_user", "{}").id("7"));
        let cancelled = Message::new("notifications/cancelled", r#""requestId":7"#).notification();
        run.target.start(other, &cancelled);
        assert!(!run.target.is_answered(call));
        run.target.start(from, &cancelled);
        assert!(run.target.is_answered(call) && run.came(call).is_empty());
        run.authority().release();
        run.ask_from(from, &Message::call("get_user", "{}")).result();
    }

    fn a_batch_is_answered_as_one(host) needs(Sessions) {
        let mut run = Run::open(host, Setup::tools(GET));
        let from = run.enters("ann", BATCHED);
        let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_user","arguments":{}}},
            {"jsonrpc":"2.0","method":"notifications/initialized"},
            {"jsonrpc":"2.0","id":2,"method":"ping"},
            {"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"put_ticket","arguments":{}}}]"#;
        let pending = run.target.start(from, &Message::raw(batch));
        let exchange = run.target.finish(pending);
        let answers: Value = serde_json::from_slice(&exchange.messages[0]).expect("JSON");
        let mut ids: Vec<_> = answers.as_array().expect("an array").iter().map(|answer| answer["id"].as_u64()).collect();
        ids.sort_unstable();
        assert_eq!((ids, exchange.messages.len()), (vec![Some(1), Some(2), Some(3)], 1));
        assert!(answers.as_array().expect("an array").iter().all(|answer| answer["result"].is_object()));
    }

    fn a_session_goes_on_after_a_restart(host) needs(Sessions, Together) {
        let mut run = Run::open(host, hinting());
        let from = run.enters("ann", LEGACY);
        run.ask_from(from, &Message::new("resources/subscribe", &format!(r#""uri":"{ONE}""#))).result();
        let stream = run.target.open_stream(from, None);
        run.authority().hold();
        let write = run.target.start(from, &Message::call("put_ticket", "{}").id("7"));
        let (event, last) = (run.event(write), run.event(stream));
        run.target.restart();
        run.authority().release();
        run.ask_from(from, &Message::bare("ping")).result();
        let back = run.target.open_stream(from, Some(&event));
        let answer = run.finish(back);
        assert_eq!(answer.id(), "7");
        answer.fails_with(Code::UnknownOutcome, 200);
        let stream = run.target.open_stream(from, Some(&last));
        assert_eq!(run.came(stream).len(), 2, "of everything that may have been missed");
        run.authority().tell(UPDATED, &json!({"uri": ONE}));
        assert_eq!(run.came(stream).len(), 3);
        assert_eq!(run.target.end_session(from).status, Some(204));
        run.target.restart();
        run.ask_from(from, &Message::bare("ping")).fails(Code::SessionUnknown);
    }
}

#[cfg(test)]
mod tests {
    use crate::behaviour::cases_of;
    use crate::pair::Kind;

    /// A host that keeps sessions serves everybody else as any.
    #[test]
    fn a_host_that_keeps_sessions_passes_every_other_case() {
        let mut host = Kind::Sessions;
        let cases = cases_of(&host);
        assert!(cases.len() > 100);
        for case in cases {
            (case.run)(&mut host);
        }
    }
}
