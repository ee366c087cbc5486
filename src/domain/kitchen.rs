//! The kitchen's queue: tickets that wait, are cooked under a lease, and end in exactly one way.

use time::OffsetDateTime;

use super::order::{OrderId, TicketState};

/// Tickets of one state that a view of the queue lists at most; the figures count them all.
pub const LANE_MAX: usize = 50;

/// A ticket that one worker cooks, as long as its lease holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    pub ticket: i64,
    pub order: OrderId,
    /// The fencing token: whoever comes with an older number than the ticket's has lost it.
    pub lease: i64,
    /// From 1.
    pub attempt: u32,
}

/// When there is something to do for a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Now,
    /// The next ticket is due, or the next lease runs out, then.
    At(OffsetDateTime),
    /// Not before something changes.
    Never,
}

/// How a chef directs one ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Queues a dead one again, as if it had never been tried.
    Requeue,
    /// Before all others that wait.
    First,
    /// After all others that wait.
    Last,
}

impl Direction {
    pub fn from_id(id: &str) -> Option<Direction> {
        match id {
            "requeue" => Some(Direction::Requeue),
            "first" => Some(Direction::First),
            "last" => Some(Direction::Last),
            _ => None,
        }
    }

    /// Where a ticket must be for it.
    pub const fn from(self) -> TicketState {
        match self {
            Direction::Requeue => TicketState::Dead,
            Direction::First | Direction::Last => TicketState::Waiting,
        }
    }

    /// What the ticket has from then on.
    pub const fn priority(self) -> i8 {
        match self {
            Direction::Requeue => 0,
            Direction::First => 1,
            Direction::Last => -1,
        }
    }
}

/// How many tickets are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lengths {
    pub waiting: i64,
    pub cooking: i64,
    pub dead: i64,
    /// Nothing more is taken up; what is being cooked goes on.
    pub paused: bool,
}

/// A ticket as the chef sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KitchenTicket {
    pub id: i64,
    pub order: OrderId,
    pub table: u16,
    pub state: TicketState,
    /// 1 goes before 0, 0 before -1.
    pub priority: i8,
    pub queued_at: OffsetDateTime,
    /// Not taken up before; later than `queued_at` once an attempt has failed.
    pub due_at: OffsetDateTime,
    /// Begun, the present one among them.
    pub attempts: u32,
    /// Of a ticket that is being cooked.
    pub worker: Option<String>,
    pub lease_until: Option<OffsetDateTime>,
    /// Why the attempt before failed.
    pub last_error: Option<String>,
    /// Quantity and name of each line.
    pub dishes: Vec<(u32, String)>,
}

/// The queue at one moment. Each lane lists up to [`LANE_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    pub at: OffsetDateTime,
    pub lengths: Lengths,
    /// The next first.
    pub waiting: Vec<KitchenTicket>,
    /// The first to run out of its lease first.
    pub cooking: Vec<KitchenTicket>,
    /// The latest first.
    pub dead: Vec<KitchenTicket>,
}
