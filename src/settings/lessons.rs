//! A setting that teaches nothing and that no operator needs is one too many.

use super::runtime::rows;

/// What the lesson covers; what only operators need is `operations`.
const KNOWN: [&str; 48] = [
    "operations",
    "layer.client",
    "layer.dns",
    "layer.tls",
    "layer.http",
    "layer.balancer",
    "layer.api",
    "layer.service",
    "layer.data",
    "lifecycle.gears",
    "lifecycle.partial",
    "scale.horizontal-vertical",
    "scale.stateless-stateful",
    "scale.monolith-microservices",
    "scale.antipattern",
    "perf.latency-throughput",
    "perf.caching",
    "perf.database",
    "sec.defence-in-depth",
    "sec.least-privilege",
    "sec.secure-by-default",
    "sec.authentication",
    "sec.authorisation",
    "sec.network",
    "sec.data-protection",
    "rel.fault-tolerance",
    "rel.high-availability",
    "rel.geography",
    "rel.disaster-recovery",
    "scal.load-handling",
    "scal.resources",
    "scal.growth",
    "maint.code",
    "maint.docs",
    "maint.testing",
    "maint.deployment",
    "maint.monitoring",
    "myth.db-and-apis",
    "myth.linear",
    "myth.horizontal",
    "myth.stateless",
    "myth.microservices",
    "myth.low-latency",
    "myth.cache",
    "myth.security-auth",
    "myth.three-nines",
    "myth.more-users",
    "myth.clean-code",
];

#[test]
fn each_setting_names_what_it_teaches_or_that_operations_need_it() {
    for row in rows() {
        assert!(!row.lessons.is_empty(), "{}", row.key);
        for lesson in row.lessons {
            assert!(KNOWN.contains(lesson), "{} names {lesson}, which is no lesson", row.key);
        }
    }
}
