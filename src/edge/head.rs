//! Judges the bytes of an HTTP/1.1 request's head, line by line, before hyper reads them.
//!
//! hyper answers a broken head itself, without a problem document and without a trace; and it lets pass
//! what a proxy is safer to refuse: it drops `Content-Length` where `Transfer-Encoding` stands too
//! (RFC 9112, section 6.1) and takes a bare LF for a line's end (section 2.2). Both are how requests are
//! smuggled. Whatever passes here, hyper takes.

use hyper::Uri;
use hyper::http::uri::PathAndQuery;

use super::refusal::Refusal;
use crate::settings::http::bounds::Bounds;

/// Longer than any method: tells a target that is too long from a head that is.
const METHOD_BYTES: u64 = 32;
/// Below what hyper and any counter after us takes.
const CONTENT_LENGTH_MAX: u64 = i64::MAX as u64;

/// How a request's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Length {
    #[default]
    None,
    Sized(u64),
    Chunked,
}

/// A head that is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    pub bytes: usize,
    pub length: Length,
    /// It asks for another protocol, so what comes next may be no HTTP.
    pub upgrades: bool,
    /// `OPTIONS http://host`, without a path (RFC 9112, section 3.2.4).
    pub asterisk: bool,
}

/// How far one head has been judged.
#[derive(Debug, Default)]
pub struct Judge {
    /// Where the next line begins.
    at: usize,
    /// The request line has been seen.
    begun: bool,
    http_10: bool,
    asterisk: bool,
    upgrades: bool,
    fields: u64,
    length: Option<Length>,
}

impl Judge {
    /// Goes on with `head`: the bytes seen before and, perhaps, more. None while its end has not come.
    pub fn go_on(&mut self, head: &[u8], bounds: &Bounds) -> Result<Option<Sound>, Refusal> {
        while let Some(end) = head[self.at..].iter().position(|byte| *byte == b'\n') {
            let (start, end) = (self.at, self.at + end);
            self.at = end + 1;
            if self.at as u64 > bounds.head_bytes_max && self.begun {
                return Err(Refusal::head_too_large(bounds.fields_max, bounds.head_bytes_max));
            }
            let Some(line) = head[start..end].strip_suffix(b"\r") else {
                return Err(Refusal::malformed("A line of the head ends with LF alone."));
            };
            match (line.is_empty(), self.begun) {
                // RFC 9112, section 2.2: empty lines before a request are ignored.
                (true, false) if self.at as u64 <= bounds.head_bytes_max => {}
                (true, false) => return Err(Refusal::malformed("Only empty lines came.")),
                (true, true) => return self.ended().map(Some),
                (false, false) => self.request_line(line, bounds)?,
                (false, true) => self.field_line(line, bounds)?,
            }
        }
        let rest = head.len() - self.at;
        if !self.begun && rest as u64 > bounds.target_bytes_max + METHOD_BYTES {
            return Err(Refusal::target_too_long(bounds.target_bytes_max));
        }
        if head.len() as u64 > bounds.head_bytes_max {
            return Err(Refusal::head_too_large(bounds.fields_max, bounds.head_bytes_max));
        }
        Ok(None)
    }

    /// RFC 9112, section 3: `method SP request-target SP HTTP-version`.
    fn request_line(&mut self, line: &[u8], bounds: &Bounds) -> Result<(), Refusal> {
        self.begun = true;
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::malformed("The request line is not a method, a target and a version."));
        };
        if !is_method(method) {
            return Err(no_method());
        }
        if target.len() as u64 > bounds.target_bytes_max {
            return Err(Refusal::target_too_long(bounds.target_bytes_max));
        }
        if !target.iter().all(u8::is_ascii_graphic) {
            return Err(Refusal::malformed("The target has a character that a URI writes with a percent sign."));
        }
        self.asterisk = target_form(method, target)?;
        match version {
            b"HTTP/1.1" => {}
            b"HTTP/1.0" => self.http_10 = true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
                let why = "Versions 1.1 and 1.0 are spoken here, and 2 where the connection begins with its preface.";
                return Err(Refusal::new(505, "version", "HTTP version not supported", why).closing());
            }
            _ => return Err(Refusal::malformed("The request line does not end with a version of HTTP.")),
        }
        Ok(())
    }

    /// RFC 9112, section 5: `field-name ":" OWS field-value OWS`.
    fn field_line(&mut self, line: &[u8], bounds: &Bounds) -> Result<(), Refusal> {
        self.fields += 1;
        if self.fields > bounds.fields_max {
            return Err(Refusal::head_too_large(bounds.fields_max, bounds.head_bytes_max));
        }
        if line[0] == b' ' || line[0] == b'\t' {
            return Err(Refusal::malformed("A line of the head begins with a space (a folded field)."));
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return Err(Refusal::malformed("A line of the head has no colon."));
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if !is_token(name) {
            return Err(Refusal::malformed("The name of a field is no token."));
        }
        if value.iter().fold(false, |bad, byte| bad | is_control(*byte)) {
            return Err(Refusal::malformed("The value of a field has a control character."));
        }
        let value = value.trim_ascii();
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrades = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        match self.length {
            Some(Length::Sized(_)) => return Err(Refusal::ambiguous("There is more than one Content-Length.")),
            Some(_) => return Err(both()),
            None => {}
        }
        self.length = Some(Length::Sized(length(value)?));
        Ok(())
    }

    /// RFC 9112, sections 6.1 and 6.3.
    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), Refusal> {
        match self.length {
            Some(Length::Sized(_)) => return Err(both()),
            Some(_) => return Err(Refusal::ambiguous("There is more than one Transfer-Encoding.")),
            None => {}
        }
        if self.http_10 {
            return Err(Refusal::ambiguous("HTTP/1.0 has no Transfer-Encoding."));
        }
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::ambiguous("Transfer-Encoding says something else than chunked."));
        }
        self.length = Some(Length::Chunked);
        Ok(())
    }

    fn ended(&self) -> Result<Sound, Refusal> {
        let length = match self.length {
            None | Some(Length::Sized(0)) => Length::None,
            Some(length) => length,
        };
        let upgrades = self.upgrades && !self.http_10 && !self.asterisk && length == Length::None;
        Ok(Sound { bytes: self.at, length, upgrades, asterisk: self.asterisk })
    }
}

/// What a Content-Length says.
pub fn length(value: &[u8]) -> Result<u64, Refusal> {
    // u64::from_str would take `+5`.
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|value| value.parse::<u64>().ok());
    length
        .filter(|length| *length <= CONTENT_LENGTH_MAX)
        .ok_or_else(|| Refusal::ambiguous("Content-Length is no number, or no possible one."))
}

fn both() -> Refusal {
    Refusal::ambiguous("There are both Content-Length and Transfer-Encoding.")
}

/// RFC 9112, section 3.2: which of the four forms a target has, and whether it may. True: `*` is meant,
/// though the target is an absolute one.
fn target_form(method: &[u8], target: &[u8]) -> Result<bool, Refusal> {
    let bad = || Refusal::malformed("The target is none of the forms that HTTP knows.");
    match target {
        [b'/', rest @ ..] if rest.iter().all(|byte| PLAIN[usize::from(*byte)]) => Ok(false),
        // What is no plain URI but harmless (`{`, `|`, UTF-8) passes as it is; what hyper refuses does not.
        [b'/', rest @ ..] if !rest.contains(&b'#') => PathAndQuery::try_from(target).map(|_| false).map_err(|_| bad()),
        b"*" if method == b"OPTIONS" => Ok(false),
        [] | b"*" | [b'/', ..] => Err(bad()),
        absolute => {
            let uri = Uri::try_from(absolute).map_err(|_| bad())?;
            let http = uri.scheme_str().is_some_and(|scheme| scheme == "http" || scheme == "https");
            if absolute.contains(&b'#') || !(http || method == b"CONNECT") {
                return Err(bad());
            }
            let after = absolute.windows(3).position(|three| three == b"://").map_or(absolute.len(), |at| at + 3);
            let pathless = !absolute[after..].iter().any(|byte| matches!(byte, b'/' | b'?'));
            Ok(method == b"OPTIONS" && pathless)
        }
    }
}

/// Bytes that a path and query consists of (RFC 3986, appendix A).
const PLAIN: [bool; 256] = table(b"-._~!$&'()*+,;=:@/?%");
/// RFC 9110, section 5.6.2.
const TOKEN: [bool; 256] = table(b"!#$%&'*+-.^_`|~");

/// Letters, digits and `more`.
const fn table(more: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut at = 0;
    while at < more.len() {
        table[more[at] as usize] = true;
        at += 1;
    }
    table
}

/// Methods are case-sensitive (RFC 9110, section 9.1), and every registered one is in capitals; a server
/// that forgives would read `get` as GET where we did not.
pub fn is_method(bytes: &[u8]) -> bool {
    is_token(bytes) && !bytes.iter().any(u8::is_ascii_lowercase)
}

pub fn no_method() -> Refusal {
    Refusal::malformed("The method is no token in capitals.")
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| TOKEN[usize::from(*byte)])
}

/// RFC 9110, section 5.5: NUL, bare CR and other controls; a tab is none.
const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn judge(head: &[u8]) -> Result<Option<Sound>, u16> {
        Judge::default().go_on(head, &Bounds::default()).map_err(|refusal| refusal.problem.status)
    }

    #[test]
    fn a_head_says_how_its_body_is_framed() {
        let sound = |fields: &str| judge(format!("POST / HTTP/1.1\r\n{fields}\r\nrest").as_bytes()).unwrap().unwrap();
        assert_eq!(sound("Host: a\r\n").length, Length::None);
        assert_eq!(sound("Content-Length: 0\r\n").length, Length::None);
        assert_eq!(sound("content-LENGTH:\t5 \r\n").length, Length::Sized(5));
        assert_eq!(sound("Transfer-Encoding: Chunked\r\n").length, Length::Chunked);
        assert_eq!(sound("").bytes, "POST / HTTP/1.1\r\n\r\n".len());
    }

    #[test]
    fn a_target_is_what_its_method_takes() {
        for (line, expected) in [
            ("OPTIONS *", Ok(false)),
            ("OPTIONS http://a", Ok(true)),
            ("OPTIONS http://a/", Ok(false)),
            ("OPTIONS http://a?b", Ok(false)),
            ("GET http://a", Ok(false)),
            ("GET /a{b}\"c\"?d={e}|", Ok(false)),
            ("GET *", Err(400)),
            ("GET /a#b", Err(400)),
            ("GET a", Err(400)),
            ("GET ftp://a/", Err(400)),
            ("GET a:80", Err(400)),
            ("CONNECT a:80", Ok(false)),
        ] {
            let judged = judge(format!("{line} HTTP/1.1\r\n\r\n").as_bytes());
            assert_eq!(judged.map(|sound| sound.unwrap().asterisk), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(bytes: Vec<u8>) {
            let _ = judge(&bytes);
        }

        /// Else a client would get hyper's bare answer.
        #[test]
        fn a_target_that_passes_is_one_for_hyper_too(target in "/[ -~]{0,20}") {
            if judge(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes()).is_ok() {
                prop_assert!(Uri::try_from(target.as_str()).is_ok());
            }
        }
    }
}
