//! What a case asks of a pair.

use leeward::{Ctx, Error, Input, Millis, Verb};
use leeward_sync::Replica;

use super::{Kind, Line, Pair};
use crate::authority::Handle;
use crate::target::{Connection, Exchange, Given, Local, Pending, Target, Who};
use crate::wire::Message;

impl Pair {
    fn session_headers(&self, from: Connection) -> Vec<(String, String)> {
        let line = &self.lines[from.0];
        let version = ("mcp-protocol-version".to_owned(), line.revision.to_owned());
        let session = line.session.clone().map(|id| ("mcp-session-id".to_owned(), id));
        session.into_iter().chain([version]).collect()
    }
}

impl Target for Pair {
    fn authority(&self) -> &Handle {
        &self.world.authority
    }

    fn connect(&mut self, who: &Who, revision: &'static str) -> Connection {
        let who = match who {
            Who::Principal(id) => leeward::Caller::Principal((*id).into()),
            Who::Anonymous => leeward::Caller::Anonymous,
        };
        self.lines.push(Line {
            who,
            revision,
            negotiated: None,
            session: None,
        });
        Connection(self.lines.len() - 1)
    }

    fn start(&mut self, from: Connection, message: &Message) -> Pending {
        let pending = self.serve(from, message);
        self.run();
        pending
    }

    fn finish(&mut self, pending: Pending) -> Exchange {
        self.run();
        let waiting = &self.waiting[pending.0];
        assert!(waiting.done, "no answer without time passing");
        waiting.exchange.clone()
    }

    fn heard(&mut self, pending: Pending, count: usize) -> Vec<Vec<u8>> {
        self.run();
        let messages = self.waiting[pending.0].exchange.messages.clone();
        assert!(
            messages.len() >= count,
            "only {} messages of {count}",
            messages.len()
        );
        messages
    }

    fn settle(&mut self) {
        self.run();
    }

    fn authority_goes_down(&mut self) {
        self.world.authority.go_down();
    }

    fn authority_comes_up(&mut self) {
        self.world.authority.come_up();
    }

    fn advance(&mut self, ms: u64) {
        let end = self.now.mono + Millis(ms);
        let mut steps = 0;
        loop {
            self.run();
            let due = |ctx: &Ctx| self.replica.poll_timeout(*ctx).map(|at| (at, *ctx));
            let next = self
                .contexts
                .clone()
                .iter()
                .filter_map(due)
                .filter(|(at, _)| *at <= end)
                .min();
            let Some((at, ctx)) = next else { break };
            steps += 1;
            assert!(
                steps < 100_000,
                "a timeout that does not go away: {at:?} at {:?}",
                self.now.mono
            );
            let at = at.max(self.now.mono);
            self.now.unix = self.now.unix + at.since(self.now.mono);
            self.now.mono = at;
            self.replica.handle(self.now, ctx, Input::Tick);
        }
        self.now.unix = self.now.unix + end.since(self.now.mono);
        self.now.mono = end;
    }

    fn outlast(&mut self, pending: Pending, ms: u64) -> Exchange {
        self.advance(ms);
        self.finish(pending)
    }

    fn is_answered(&mut self, pending: Pending) -> bool {
        self.run();
        self.waiting[pending.0].done
    }

    fn cancel(&mut self, pending: Pending) {
        if self.kind == Kind::RequestBound {
            return self.vanish(pending);
        }
        let Some(ticket) = self.waiting[pending.0].ticket else {
            return;
        };
        self.replica
            .handle(self.now, Ctx::SHARED, Input::Cancel { ticket });
        self.run();
    }

    fn register(
        &mut self,
        kind: &str,
        definition: &str,
        rule: Option<&str>,
        answer: Local,
    ) -> Result<(), Error> {
        let member = if kind == "tool" {
            self.replica.register_tool(definition, rule)?;
            "name"
        } else {
            self.replica.register_resource(definition, rule)?;
            "uri"
        };
        let definition: serde_json::Value = serde_json::from_str(definition).unwrap_or_default();
        self.world.locals.insert(
            definition[member].as_str().unwrap_or_default().into(),
            (answer, 0),
        );
        Ok(())
    }

    fn open_stream(&mut self, from: Connection, after: Option<&str>) -> Pending {
        let mut headers = self.session_headers(from);
        headers.extend(after.map(|event| ("last-event-id".into(), event.into())));
        let pending = self.send(from, Verb::Get, &headers, b"");
        self.run();
        pending
    }

    fn end_session(&mut self, from: Connection) -> Exchange {
        let headers = self.session_headers(from);
        let pending = self.send(from, Verb::Delete, &headers, b"");
        self.finish(pending)
    }

    fn session(&mut self, of: Connection, from: Option<Connection>) -> Option<String> {
        if let Some(from) = from {
            self.lines[of.0].session = self.lines[from.0].session.clone();
        }
        self.lines[of.0].session.clone()
    }

    fn event(&mut self, pending: Pending) -> Option<String> {
        self.run();
        self.waiting[pending.0].event.clone()
    }

    fn restart(&mut self) {
        self.world.drop_ctx(Ctx::SHARED);
        self.tickets.clear();
        self.replica = Replica::new(self.config.clone(), self.host);
        self.replica.restore(self.now, self.world.saved.clone());
        self.run();
    }

    fn credential(&mut self, principal: &str, credential: Result<Option<Given>, &'static str>) {
        self.world.credentials.insert(principal.into(), credential);
    }

    fn events(&mut self) -> Vec<String> {
        self.run();
        self.world.events.clone()
    }
}
