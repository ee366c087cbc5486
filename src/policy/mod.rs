//! Pure rules, with the present moment passed in. `balancer` and `service` both use them.

pub mod throttle;
