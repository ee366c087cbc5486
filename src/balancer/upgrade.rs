//! An upstream's connection that has switched to another protocol (RFC 9110, section 7.8).

use hyper::body::Incoming;
use hyper::header::UPGRADE;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{HeaderMap, Response, StatusCode};

use super::connection::Connection;
use super::in_flight::InFlight;

/// The upstream agreed to switch. Dropped, the connection is closed.
#[derive(Debug)]
pub struct Switched {
    stream: OnUpgrade,
    lease: Lease,
}

/// What has to live for as long as the stream does: the upstream's request is under way.
#[derive(Debug)]
pub struct Lease {
    _connection: Connection,
    _in_flight: InFlight,
}

impl Switched {
    /// None: the answer is an ordinary one, and its connection goes back.
    pub(super) fn take(
        response: &mut Response<Incoming>,
        connection: Connection,
        in_flight: InFlight,
    ) -> Result<Self, (Connection, InFlight)> {
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err((connection, in_flight));
        }
        let lease = Lease { _connection: connection, _in_flight: in_flight };
        Ok(Self { stream: hyper::upgrade::on(response), lease })
    }

    /// The bytes of the other protocol.
    pub async fn stream(self) -> hyper::Result<(Upgraded, Lease)> {
        Ok((self.stream.await?, self.lease))
    }
}

/// Whether a 1xx answer is one that hyper should not have given as final: any but an agreement to what
/// the request asked for (RFC 9110, section 15.2.2).
pub(super) fn is_unasked(response: &Response<Incoming>, asked: bool) -> bool {
    let agreed = response.status() == StatusCode::SWITCHING_PROTOCOLS && response.headers().contains_key(UPGRADE);
    response.status().is_informational() && !(asked && agreed)
}

/// Whether the request asks to switch. Its `Upgrade` is there only if the client's was a valid one.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
}
