//! The form in which an answer's body is sent: encoded on its way, or once for all and kept beside what is
//! kept.

use bytes::Bytes;

use super::Shared;
use super::cache::{Body, Kept};
use super::compress::Encoder;
use crate::web::accept_encoding::Coding;

/// Larger bodies are encoded on their way each time: one turn computes no more than this.
const ENCODED_AT_ONCE_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub enum Form {
    Whole(Bytes),
    OnItsWay(Encoder),
}

/// `body` in `coding`; None when there are too many encoders already. `kept`: where it came from.
pub fn encoded(coding: Coding, body: &Body, kept: Option<&Kept>, shared: &Shared) -> Option<Form> {
    if let Some(form) = kept.and_then(|kept| shared.cache.form(kept, coding)) {
        return Some(Form::Whole(form));
    }
    let encoder = shared.encoders.encoder(coding, body.length())?;
    match (body, kept) {
        (Body::Whole(bytes), Some(kept)) if bytes.len() <= ENCODED_AT_ONCE_MAX => {
            let form = encoder.whole(bytes);
            let form = form.inspect_err(|error| log::warn!(target: "edge", "{}: {error}", coding.token())).ok()?;
            Some(Form::Whole(shared.cache.keep_form(kept, coding, form)))
        }
        _ => Some(Form::OnItsWay(encoder)),
    }
}
