//! Callers of one answer: they share a trip, and leave it one by one.

use super::{GET, cases};
use crate::authority::{Plan, text};
use crate::run::Run;
use crate::target::{Pending, Setup, Who};
use crate::wire::{LEGACY, Message};

cases! {
    fn many_callers_of_one_key_make_one_trip(host) needs(Together) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().hold();
        let call = |n: usize| Message::call("get_ticket", "{}").id(&n.to_string());
        let pending: Vec<_> = (0..20).map(|n| run.start(&call(n))).collect();
        run.authority().wait_for("tools/call", 2);
        run.target.settle();
        run.authority().release();
        let mut collapsed = 0;
        for (n, pending) in pending.into_iter().enumerate() {
            let answer = run.finish(pending);
            assert_eq!(answer.id(), n.to_string());
            assert_eq!(answer.text(), "get_ticket #1 {}");
            collapsed += usize::from(answer.cache().collapsed);
        }
        assert_eq!((run.calls("get_ticket"), collapsed), (1, 19));
        run.hit(&call(99));
    }

    fn callers_of_different_keys_do_not_share(host) needs(Together) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        let ben = run.connect("ben");
        run.authority().hold();
        let ann = run.ann;
        let one = run.start(&Message::call("get_ticket", r#"{"id":1}"#));
        let two = run.start(&Message::call("get_ticket", r#"{"id":2}"#).id("2"));
        let bens = run.target.start(ben, &Message::call("get_ticket", r#"{"id":1}"#));
        run.authority().wait_for("tools/call", 4);
        run.authority().release();
        for pending in [one, two, bens] {
            assert!(!run.finish(pending).cache().collapsed);
        }
        assert_eq!(run.calls("get_ticket"), 3);
        run.hit_from(ann, &Message::call("get_ticket", r#"{"id":1}"#));
    }

    fn a_failure_reaches_everybody_and_is_not_kept(host) needs(Together) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority()
            .once("tools/call", Some("get_ticket"), Box::new(|_| Plan::empty(503)));
        run.authority().hold();
        let call = Message::call("get_ticket", "{}");
        let pending: Vec<_> = (0..3)
            .map(|n| run.start(&call.clone().id(&n.to_string())))
            .collect();
        run.authority().wait_for("tools/call", 2);
        run.target.settle();
        run.authority().release();
        for pending in pending {
            run.finish(pending).fails(leeward::Code::AuthorityUnreachable);
        }
        run.miss(&call).result();
    }

    /// Each caller gets progress under its own token, and only who asked for it.
    fn progress_reaches_each_caller_of_a_shared_trip(host) needs(Together) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().once("tools/call", Some("get_ticket"), crate::authority::stream(
            &[r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$TOKEN,"progress":1}}"#],
            r#"{"resultType":"complete","content":[{"type":"text","text":"x"}]}"#,
        ));
        run.authority().hold();
        let call = Message::call("get_ticket", "{}");
        let first = run.start(&call.clone().id("1").progress(r#""first""#));
        let second = run.start(&call.clone().id("2").progress("2"));
        let third = run.start(&call.id("3"));
        run.authority().wait_for("tools/call", 2);
        run.target.settle();
        run.authority().release();
        let tokens = |run: &mut Run<'_>, pending: Pending| -> Vec<String> {
            let notes = run.finish(pending).notifications;
            notes
                .iter()
                .map(|note| note["params"]["progressToken"].to_string())
                .collect()
        };
        assert_eq!(tokens(&mut run, first), [r#""first""#]);
        assert_eq!(tokens(&mut run, second), ["2"]);
        assert!(tokens(&mut run, third).is_empty());
    }

    fn one_caller_leaving_does_not_disturb_the_others(host) needs(Together, Cancel) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().hold();
        let call = |n: usize| Message::call("get_ticket", "{}").id(&n.to_string());
        let pending: Vec<_> = (0..3).map(|n| run.start(&call(n))).collect();
        run.authority().wait_for("tools/call", 2);
        run.target.settle();
        run.target.cancel(pending[1]);
        run.target.settle();
        run.authority().release();
        run.finish(pending[0]).result();
        run.finish(pending[2]).result();
        assert_eq!(run.calls("get_ticket"), 1);
        run.hit(&call(9));
    }

    /// On a request-bound host the trip moves to another caller's request: a second trip, never a third.
    fn the_first_caller_leaving_does_not_end_the_trip(host) needs(Together, Cancel) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().hold();
        let call = |n: usize| Message::call("get_ticket", "{}").id(&n.to_string());
        let pending: Vec<_> = (0..3).map(|n| run.start(&call(n))).collect();
        run.authority().wait_for("tools/call", 2);
        run.target.settle();
        run.target.cancel(pending[0]);
        run.target.settle();
        run.authority().release();
        let texts = [pending[1], pending[2]].map(|pending| run.finish(pending).text().to_owned());
        assert_eq!(texts[0], texts[1]);
        assert!(run.calls("get_ticket") <= 2);
        run.hit(&call(9));
    }

    fn the_last_caller_leaving_ends_a_reads_trip(host) needs(Together, Cancel) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().hold();
        let call = Message::call("get_ticket", "{}");
        let pending: Vec<_> = (0..2)
            .map(|n| run.start(&call.clone().id(&n.to_string())))
            .collect();
        run.authority().wait_for("tools/call", 2);
        run.target.settle();
        for pending in pending {
            run.target.cancel(pending);
        }
        run.target.settle();
        run.authority().release();
        // The answer that nobody waited for was not kept.
        run.miss(&call).result();
        run.hit(&call);
    }

    /// The cancelled notification of an in-process connection names the request by its id.
    fn a_cancelled_notification_gives_its_own_request_up(host) needs(InProcess, Together) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        let other = run.connect("ann");
        run.authority().hold();
        let call = Message::call("get_ticket", "{}").id("5");
        let mine = run.start(&call);
        let others = run.target.start(other, &call);
        run.authority().wait_for("tools/call", 2);
        let cancel = |id: &str| {
            Message::new("notifications/cancelled", &format!(r#""requestId":{id}"#)).notification()
        };
        run.ask(&cancel("5"));
        run.ask(&cancel("77"));
        run.target.settle();
        run.authority().release();
        run.target.finish(others);
        assert!(!run.target.is_answered(mine), "given up");
        run.hit(&call.id("6"));
    }

    /// Contract 4: a sent write is never dropped because its caller left.
    fn a_sent_write_goes_on_without_its_caller(host) needs(Together, Cancel) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority().hold();
        let pending = run.start(&Message::call("put_ticket", "{}"));
        run.authority().wait_for("tools/call", 2);
        run.target.cancel(pending);
        run.target.settle();
        run.authority().release();
        run.target.settle();
        assert_eq!(run.calls("put_ticket"), 1);
        run.miss(&Message::call("get_user", r#"{"goes":"on"}"#)).result();
    }

    /// A trip that began before a write does not serve those who ask after it.
    fn who_asks_after_a_write_does_not_join_a_trip_from_before(host) needs(Together) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        run.authority()
            .once("tools/call", Some("get_ticket"), text("before"));
        run.authority()
            .once("tools/call", Some("get_ticket"), text("after"));
        run.authority().hold_tool("get_ticket");
        let call = Message::call("get_ticket", "{}");
        let before = run.start(&call);
        run.authority().wait_for("tools/call", 2);
        run.ask(&Message::call("put_ticket", "{}").id("2")).result();
        let after = run.start(&call.clone().id("3"));
        run.authority().wait_for("tools/call", 4);
        run.authority().release();
        assert_eq!(run.finish(before).text(), "before");
        let after = run.finish(after);
        assert_eq!(after.text(), "after");
        assert!(!after.cache().collapsed);
        assert_eq!(run.hit(&call).text(), "after");
    }

    /// The same for who joins within its own principal, while another one's trip goes on.
    fn a_write_parts_only_its_own_principals_callers(host) needs(Together) {
        let mut run = Run::open(host, Setup::tools(&[("get_*", "cache;max-age=60;public")]));
        run.goes_on();
        let ben = run.connect("ben");
        run.authority().hold_tool("get_ticket");
        let call = Message::call("get_ticket", "{}");
        let first = run.target.start(ben, &call);
        run.authority().wait_for("tools/call", 2);
        run.ask(&Message::call("put_ticket", "{}").id("2")).result();
        let bens = run.target.start(ben, &call.clone().id("3"));
        let anns = run.start(&call.clone().id("4"));
        run.authority().wait_for("tools/call", 4);
        run.target.settle();
        run.authority().release();
        let texts = [first, bens, anns].map(|pending| run.finish(pending).text().to_owned());
        assert_eq!(
            texts[0], texts[1],
            "another principal's write is no matter to ben"
        );
        assert_ne!(texts[1], texts[2], "ann's own is to her");
        assert_eq!(run.calls("get_ticket"), 2);
    }

    /// Agents of two eras never share a trip: their results differ.
    fn agents_of_two_eras_do_not_share_a_trip(host) needs(Together) {
        let mut run = Run::open(host, Setup::tools(GET));
        run.goes_on();
        let old = run.target.connect(&Who::Principal("ann"), LEGACY);
        let hello = format!(
            r#""protocolVersion":"{LEGACY}","capabilities":{{}},"clientInfo":{{"name":"a","version":"1"}}"#
        );
        run.ask_from(old, &Message::new("initialize", &hello)).result();
        run.authority().hold();
        let call = Message::call("get_ticket", "{}");
        let modern = run.start(&call);
        let legacy = run.target.start(old, &call);
        run.authority().wait_for("tools/call", 3);
        run.authority().release();
        assert_eq!(run.finish(modern).result()["resultType"], "complete");
        assert!(run.finish(legacy).result().get("resultType").is_none());
    }
}
