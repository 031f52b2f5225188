//! The answers to a batch (2025-03-26, Transports): one array, once all are there.

use alloc::vec::Vec;

use super::{SessionKey, Sessions, StreamKey};
use crate::border::{Ctx, Ticket};

/// What was answered of a batch.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// How many are still to be answered.
    left: usize,
    /// Responses, with commas between.
    answered: Vec<u8>,
}

impl Batch {
    pub(super) fn add(&mut self, response: &[u8]) {
        if !self.answered.is_empty() && !response.is_empty() {
            self.answered.push(b',');
        }
        self.answered.extend_from_slice(response);
    }

    /// One that was waited for has come. True if it was the last.
    pub(super) const fn is_last(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    /// All responses; empty if there are none.
    pub(super) fn take(&mut self) -> Vec<u8> {
        if self.answered.is_empty() {
            return Vec::new();
        }
        [b"[", &*core::mem::take(&mut self.answered), b"]"].concat()
    }
}

impl Sessions {
    /// A batch is received: what is asked until [`Sessions::received`] waits together. `ids`: the raw ids of its
    /// requests, as an array; empty if it is not to be resumed. `None` where there are too many streams.
    pub(crate) fn receive(
        &mut self,
        session: SessionKey,
        ticket: Ticket,
        ctx: Ctx,
        ids: &str,
    ) -> Option<StreamKey> {
        let stream = self.add(session, ticket, ctx, ids, false)?;
        self.stream(stream)?.batch = Some(Batch::default());
        self.batch = Some(stream);
        Some(stream)
    }

    /// A request of the batch waits.
    pub(crate) fn join(&mut self, key: StreamKey, write: bool) {
        let Some(stream) = self.stream(key) else { return };
        stream.write |= write;
        if let Some(batch) = &mut stream.batch {
            batch.left += 1;
        }
    }

    /// A request of the batch was answered at once.
    pub(crate) fn answer(&mut self, key: StreamKey, response: &[u8]) {
        if let Some(batch) = self.stream(key).and_then(|stream| stream.batch.as_mut()) {
            batch.add(response);
        }
    }

    /// The batch is received whole: its answer, if there is nothing to wait for.
    pub(crate) fn received(&mut self, key: StreamKey) -> Option<Vec<u8>> {
        self.batch = None;
        let batch = self.stream(key)?.batch.as_mut()?;
        if batch.left > 0 {
            return None;
        }
        let answer = batch.take();
        self.finish(key);
        Some(answer)
    }
}
