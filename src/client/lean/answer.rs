//! Reads an answer to its end and keeps its status and its length (RFC 9112, section 6.3).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::chunked::Chunked;
use super::{Broken, Jar, Kind};
use crate::web::list;

/// Fields of a head.
const FIELDS_MAX: usize = 96;

/// What is known of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    pub status: u16,
    /// With its head.
    pub bytes: u64,
    /// The server takes another request on this connection.
    pub stays_open: bool,
}

/// How long the body is.
#[derive(Debug)]
enum Body {
    Length(u64),
    Chunked(Chunked),
    UntilClose,
}

#[derive(Debug)]
struct Head {
    bytes: usize,
    status: u16,
    body: Body,
    stays_open: bool,
}

/// Reads one answer from `stream` by way of `buffer`, and puts the cookies that it sets into `jar`.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut [u8],
    no_body: bool,
    jar: &mut Jar,
) -> Result<Answered, Broken> {
    let (mut filled, mut total) = (0, 0);
    let mut head = loop {
        if filled > 0
            && let Some(head) = parse(&buffer[..filled], no_body, jar)?
        {
            // An interim answer: the real one follows (RFC 9110, section 15.2).
            if (100..200).contains(&head.status) && head.status != 101 {
                buffer.copy_within(head.bytes..filled, 0);
                filled -= head.bytes;
                continue;
            }
            break head;
        }
        if filled == buffer.len() {
            return Err(Broken::new(Kind::BadAnswer, "The head of the answer is too long."));
        }
        match stream.read(&mut buffer[filled..]).await {
            Ok(0) => return Err(cut_off(total > 0, None)),
            Err(error) => return Err(cut_off(total > 0, Some(&error))),
            Ok(read) => {
                filled += read;
                total += read as u64;
            }
        }
    };
    let mut rest = head.body.take(&buffer[head.bytes..filled])?;
    while !head.body.is_over() {
        match stream.read(buffer).await {
            Ok(0) if matches!(head.body, Body::UntilClose) => break,
            Ok(0) => return Err(cut_off(true, None)),
            Err(error) => return Err(cut_off(true, Some(&error))),
            Ok(read) => {
                total += read as u64;
                rest = head.body.take(&buffer[..read])?;
            }
        }
    }
    // Bytes after the end belong to no request.
    Ok(Answered { status: head.status, bytes: total, stays_open: head.stays_open && rest == 0 })
}

/// None while the head is not all there.
fn parse(bytes: &[u8], no_body: bool, jar: &mut Jar) -> Result<Option<Head>, Broken> {
    let bad = |why: String| Broken::new(Kind::BadAnswer, format!("What came back is not HTTP/1.1 ({why})."));
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let length = match response.parse(bytes).map_err(|error| bad(error.to_string()))? {
        httparse::Status::Partial => return Ok(None),
        httparse::Status::Complete(length) => length,
    };
    let status = response.code.unwrap_or_default();
    let (mut content_length, mut chunked, mut coded) = (None, false, false);
    let mut stays_open = response.version == Some(1) && status != 101;
    for field in response.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let text = std::str::from_utf8(field.value).ok();
            let digits = text.filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
            let number = digits.and_then(|text| text.parse::<u64>().ok());
            let number = number.ok_or_else(|| bad("its Content-Length is no number".to_owned()))?;
            if content_length.replace(number).is_some_and(|other| other != number) {
                return Err(bad("it has two lengths".to_owned()));
            }
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            coded = true;
            chunked = list::tokens(field.value).last().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
        } else if field.name.eq_ignore_ascii_case("connection") {
            stays_open &= !list::tokens(field.value).any(|option| option.eq_ignore_ascii_case(b"close"));
        } else if field.name.eq_ignore_ascii_case("set-cookie") {
            jar.learn(field.value);
        }
    }
    let body = match content_length {
        _ if no_body || status < 200 || matches!(status, 204 | 304) => Body::Length(0),
        _ if chunked => Body::Chunked(Chunked::default()),
        Some(length) if !coded => Body::Length(length),
        _ => Body::UntilClose,
    };
    stays_open &= !matches!(body, Body::UntilClose);
    Ok(Some(Head { bytes: length, status, body, stays_open }))
}

impl Body {
    /// Takes what belongs to it and says how many bytes do not.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        match self {
            Body::UntilClose => Ok(0),
            Body::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                Ok(bytes.len() - taken)
            }
            Body::Chunked(chunked) => chunked
                .take(bytes)
                .map(|taken| bytes.len() - taken)
                .ok_or_else(|| Broken::new(Kind::BadAnswer, "The chunks of the answer can't be read.")),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Body::Length(left) => *left == 0,
            Body::Chunked(chunked) => chunked.is_over(),
            Body::UntilClose => false,
        }
    }
}

fn cut_off(begun: bool, error: Option<&io::Error>) -> Broken {
    let why = error.map(|error| format!(" ({error})")).unwrap_or_default();
    match begun {
        true => Broken::new(Kind::Truncated, format!("The answer broke off before its end{why}.")),
        false => Broken::new(Kind::Reset, format!("The connection was closed without an answer{why}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As if it came in pieces of `size` bytes, then the end of the connection.
    async fn answer(text: &str, size: usize, no_body: bool) -> Result<Answered, Kind> {
        let (mut near, mut far) = tokio::io::duplex(size);
        let text = text.to_owned();
        let server = async move {
            use tokio::io::AsyncWriteExt as _;
            // Who has read enough may leave.
            let _ = far.write_all(text.as_bytes()).await;
        };
        let mut buffer = vec![0; 256];
        let mut jar = Jar::default();
        let reading = async move {
            let result = read(&mut near, &mut buffer, no_body, &mut jar).await;
            drop(near);
            result
        };
        let ((), result) = tokio::join!(server, reading);
        result.map_err(|broken| broken.kind)
    }

    #[tokio::test]
    async fn every_framing_is_read_to_its_end_however_it_comes() {
        for size in [1, 2, 3, 7, 64, 1_024] {
            for (text, no_body, status, stays_open) in [
                ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 200, true),
                ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", false, 200, false),
                ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, 200, true),
                ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", false, 304, true),
                ("HTTP/1.1 204 No Content\r\n\r\n", false, 204, true),
                ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false, 200, false),
                ("HTTP/1.1 200 OK\r\n\r\nall until the end", false, 200, false),
                ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", false, 200, true),
                (
                    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n\
                     A\r\n0123456789\r\n1\r\nx\r\n0\r\nA-Trailer: y\r\n\r\n",
                    false,
                    201,
                    true,
                ),
            ] {
                let answered = answer(text, size, no_body).await.expect(text);
                assert_eq!((answered.status, answered.stays_open), (status, stays_open), "{size} {text}");
                assert_eq!(answered.bytes, text.len() as u64, "{size} {text}");
            }
        }
    }

    #[tokio::test]
    async fn what_breaks_off_or_is_no_answer_is_no_answer() {
        for (text, kind) in [
            ("", Kind::Reset),
            ("HTTP/1.1 20", Kind::Truncated),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", Kind::Truncated),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", Kind::Truncated),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", Kind::Truncated),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", Kind::BadAnswer),
            ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", Kind::BadAnswer),
            ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", Kind::BadAnswer),
            ("SSH-2.0-OpenSSH\r\n", Kind::BadAnswer),
        ] {
            assert_eq!(answer(text, 16, false).await, Err(kind), "{text}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(300));
        assert_eq!(answer(&long, 64, false).await, Err(Kind::BadAnswer));
    }

    #[tokio::test]
    async fn stray_bytes_after_an_answer_end_the_connection() {
        let answered = answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more", 64, false).await;
        assert_eq!(answered.map(|answered| (answered.status, answered.stays_open)), Ok((200, false)));
    }
}
