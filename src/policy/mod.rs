//! Pure rules, with the present moment passed in. `balancer` and `service` both use them.

pub mod ewma;
pub mod health;
pub mod p2c;
pub mod random;
pub mod round_robin;
pub mod throttle;
pub mod token_bucket;
