//! The name of a DNS answer's code, as client and server record it.

use hickory_proto::op::ResponseCode;

/// As dig(1) writes it: NOERROR, NXDOMAIN (IANA's list of DNS RCODEs).
pub fn name(code: ResponseCode) -> String {
    format!("{code:?}").to_ascii_uppercase()
}
