//! Pure rules, with the present moment passed in. `balancer` and `service` both use them.

pub mod arrivals;
pub mod autoscale;
pub mod backoff;
pub mod breaker;
pub mod bulkhead;
pub mod canary;
pub mod ewma;
pub mod health;
pub mod least_request;
pub mod outlier;
pub mod p2c;
pub mod panic_mode;
pub mod random;
pub mod rendezvous;
pub mod retention;
pub mod retry_budget;
pub mod round_robin;
pub mod slow_start;
pub mod smooth;
pub mod tally;
pub mod throttle;
pub mod token_bucket;
