//! The `traceparent` header (W3C Trace Context, section 3.2).

use crate::observe::ids::{SpanId, TraceId};

pub const NAME: &str = "traceparent";

/// A parsed `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    pub trace_id: TraceId,
    pub parent: SpanId,
    pub sampled: bool,
}

impl TraceParent {
    /// None for anything malformed: the receiver then starts a trace of its own (section 4.3).
    pub fn parse(value: &str) -> Option<Self> {
        let mut fields = value.trim().split('-');
        let (version, trace_id, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let two_lower_hex =
            |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let more = fields.next().is_some();
        if !two_lower_hex(version) || !two_lower_hex(flags) || version == "ff" || (version == "00" && more) {
            return None;
        }
        Some(Self {
            trace_id: trace_id.parse().ok()?,
            parent: parent.parse().ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        })
    }
}

impl TraceParent {
    /// Its text. Each request that is passed on has one, and `fmt` is slow at it.
    pub fn to_bytes(self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[3..35].copy_from_slice(&self.trace_id.to_hex());
        text[36..52].copy_from_slice(&self.parent.to_hex());
        text[54] += u8::from(self.sampled);
        text
    }
}

impl std::fmt::Display for TraceParent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_bytes()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_survives_the_round_trip() {
        let value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceParent::parse(value).map(|parsed| parsed.to_string()), Some(value.to_owned()));
    }

    #[test]
    fn a_malformed_traceparent_starts_a_new_trace() {
        for bad in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }
}
