//! Roundtrip
