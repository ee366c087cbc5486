//! The kitchen: a durable queue whose every ticket has one outcome, the workers that cook it, and what the
//! chef sees and may do.

mod harness;

#[path = "kitchen/live.rs"]
mod live;
#[path = "kitchen/queue.rs"]
mod queue;
#[path = "kitchen/together.rs"]
mod together;
#[path = "kitchen/workers.rs"]
mod workers;
