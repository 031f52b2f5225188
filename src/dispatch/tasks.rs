//! Tasks (extension `io.modelcontextprotocol/tasks`, SEP-2663): requests about them travel as they are, never looked
//! up, joined or stored. What a replica adds is whose a task is, and what it makes stale.
//!
//! *Whose.* An authority must know who may use a task, but where all principals share one credential it cannot tell
//! them apart. So a partition remembers the tasks that were made for it ([`MAX_TASKS`](crate::limits::MAX_TASKS)),
//! and what is known to be another principal's is refused here. A task that nobody remembers (it was made
//! before, or through another replica) is the authority's to judge.
//!
//! *What it makes stale.* The write that made a task has its effects later than its call returned: its principal's
//! floor rises again whenever the task is seen to have stopped, for good or for input. A task that nobody remembers
//! may be a write's.

use super::Core;
use super::agent::Caller;
use super::flights::Flight;
use super::request::{Asked, Method};
use crate::error::{Code, Error};
use crate::mcp::subscription::Filter;
use crate::mcp::task::Task;
use crate::table::Map;

impl Core {
    /// Whether a request names a task that was made for another principal.
    ///
    /// # Errors
    /// `invalid_params`, as for a task that does not exist (SEP-2663, Error Handling).
    pub(super) fn check_tasks(&self, caller: &Caller, asked: &Asked<'_>) -> Result<(), Error> {
        let mut ids = Map::new();
        if let (true, Some(id)) = (asked.method.is_task(), &asked.name) {
            ids.insert(self.random.of(id.as_bytes()), 0);
        }
        for id in asked.filter.as_ref().map_or(&[][..], Filter::tasks) {
            ids.insert(self.random.of(id.as_bytes()), 0);
        }
        if !ids.is_empty() && self.partitions.is_anothers_task(caller, &ids) {
            return Err(Error::new(Code::InvalidParams, "unknown task"));
        }
        Ok(())
    }

    /// Takes note of a task in an authority's result: one that the flight made, or asked for.
    pub(super) fn note_task(&mut self, flight: &Flight, task: &Task<'_>) {
        if flight.method == Method::GetTask {
            return self.task_seen(&flight.caller, flight.partition, task);
        }
        let id = self.random.of(task.id.as_bytes());
        if let Some(partition) = self.partitions.same(&flight.caller, flight.partition) {
            partition.remember_task(id, flight.plan.write && !task.is_terminal());
        }
    }

    /// Takes note of how a task is doing.
    pub(super) fn task_seen(&mut self, caller: &Caller, partition: u64, task: &Task<'_>) {
        if task.is_working() {
            return;
        }
        let id = self.random.of(task.id.as_bytes());
        let own = self.partitions.same(caller, partition);
        if let Some(open) = own.and_then(|partition| partition.task(id)) {
            if !*open {
                return;
            }
            // Nothing follows the end.
            *open = !task.is_terminal();
        }
        self.stale_for(caller, partition);
    }
}
