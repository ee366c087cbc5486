//! The two headers that carry our own word about a request.
//!
//! `roundtrip-probe` comes from outside: signed with the control key, it asks for a full recording and
//! may ask to bypass caches. `roundtrip-hop` goes from the edge to an instance: the stack's per-start
//! secret and the edge's decision. The edge strips both from what comes in.

use ring::hmac;

use super::secret;
use crate::observe::ids::{SpanId, TraceId};

pub const PROBE: &str = "roundtrip-probe";
pub const HOP: &str = "roundtrip-hop";

/// How long a signature is good for, in seconds: clocks agree (it is one machine), queues may be long.
pub const VALID_S: u64 = 60;

/// The key that signs probes of one stack.
#[derive(Clone)]
pub struct ProbeKey(hmac::Key);

impl std::fmt::Debug for ProbeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProbeKey(hidden)")
    }
}

impl ProbeKey {
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }
}

/// A request for a full recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    pub trace_id: TraceId,
    /// The client's root span: the key that joins the parts.
    pub key: SpanId,
    pub bypass_caches: bool,
    pub expires_unix_s: u64,
}

impl Probe {
    fn claim(&self) -> String {
        format!("{}.{}.{}.{}", self.trace_id, self.key, u8::from(self.bypass_caches), self.expires_unix_s)
    }

    /// The header's value.
    pub fn sign(&self, key: &ProbeKey) -> String {
        let claim = self.claim();
        let tag = hmac::sign(&key.0, claim.as_bytes());
        format!("{claim}.{}", secret::hex(tag.as_ref()))
    }

    /// The probe, if the signature is ours, fresh, and for this trace.
    pub fn verify(value: &str, trace_id: TraceId, now_unix_s: u64, key: &ProbeKey) -> Option<Self> {
        let (claim, tag) = value.rsplit_once('.')?;
        hmac::verify(&key.0, claim.as_bytes(), &secret::from_hex(tag)?).ok()?;
        let mut fields = claim.split('.');
        let probe = Self {
            trace_id: fields.next()?.parse().ok()?,
            key: fields.next()?.parse().ok()?,
            bypass_caches: fields.next()? == "1",
            expires_unix_s: fields.next()?.parse().ok()?,
        };
        (probe.trace_id == trace_id && now_unix_s <= probe.expires_unix_s).then_some(probe)
    }
}

/// The edge's word to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HopClaim {
    pub key: SpanId,
    pub detail: bool,
    pub bypass_caches: bool,
}

impl HopClaim {
    pub fn to_header(&self, hop_secret: &str) -> String {
        format!("{hop_secret}.{}.{}{}", self.key, u8::from(self.detail), u8::from(self.bypass_caches))
    }

    /// The claim, if it carries the stack's secret.
    pub fn verify(value: &str, hop_secret: &str) -> Option<Self> {
        let mut fields = value.split('.');
        if !secret::same(fields.next()?.as_bytes(), hop_secret.as_bytes()) {
            return None;
        }
        let key = fields.next()?.parse().ok()?;
        let flags = fields.next()?.as_bytes();
        Some(Self { key, detail: flags.first() == Some(&b'1'), bypass_caches: flags.get(1) == Some(&b'1') })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fresh_signature_for_this_trace_counts() {
        let key = ProbeKey::new(&[7; 32]);
        let trace_id = TraceId::random();
        let probe = Probe { trace_id, key: SpanId::random(), bypass_caches: true, expires_unix_s: 100 };
        let header = probe.sign(&key);
        assert_eq!(Probe::verify(&header, trace_id, 100, &key), Some(probe));
        assert_eq!(Probe::verify(&header, trace_id, 101, &key), None, "expired");
        assert_eq!(Probe::verify(&header, TraceId::random(), 100, &key), None, "another trace");
        assert_eq!(Probe::verify(&header, trace_id, 100, &ProbeKey::new(&[8; 32])), None, "another key");
        assert_eq!(Probe::verify(&header.replacen(".1.", ".0.", 1), trace_id, 100, &key), None, "altered");
        assert_eq!(Probe::verify("", trace_id, 100, &key), None);
    }

    #[test]
    fn an_instance_believes_only_its_own_stack() {
        let claim = HopClaim { key: SpanId::random(), detail: true, bypass_caches: false };
        let header = claim.to_header("secret");
        assert_eq!(HopClaim::verify(&header, "secret"), Some(claim));
        assert_eq!(HopClaim::verify(&header, "other"), None);
        assert_eq!(HopClaim::verify("", "secret"), None);
    }
}
