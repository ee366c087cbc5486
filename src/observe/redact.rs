//! Secrets are removed where they are recorded, not where they are shown.

/// Headers whose value never leaves the process in a trace or a log.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "roundtrip-hop", "roundtrip-probe"];

/// JSON members whose value is replaced, wherever they stand in a body.
const SECRET_MEMBERS: [&str; 3] = ["\"password\"", "\"token\"", "\"secret\""];

/// The value of a header as a trace may show it. Of cookies the names stay, so that one sees which were sent.
pub fn header(name: &str, value: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if !SECRET_HEADERS.contains(&lower.as_str()) {
        return value.to_owned();
    }
    match lower.as_str() {
        "cookie" => value.split(';').map(|pair| cookie(pair.trim())).collect::<Vec<_>>().join("; "),
        "set-cookie" => {
            let (pair, attributes) = value.split_once(';').unwrap_or((value, ""));
            let rest = if attributes.is_empty() { String::new() } else { format!(";{attributes}") };
            cookie(pair) + &rest
        }
        _ => hidden(value),
    }
}

fn cookie(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, value)) => format!("{name}={}", hidden(value)),
        None => hidden(pair),
    }
}

fn hidden(value: &str) -> String {
    format!("(hidden, {} bytes)", value.len())
}

/// An HTTP/1.1 message (head, and as much of the body as is there) with its secrets removed.
pub fn message(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut shown = String::with_capacity(text.len());
    for line in head.split("\r\n") {
        match line.split_once(':') {
            Some((name, value)) => shown.push_str(&format!("{name}: {}", header(name, value.trim()))),
            None => shown.push_str(line),
        }
        shown.push('\n');
    }
    if !body.is_empty() {
        shown.push('\n');
        if SECRET_MEMBERS.iter().any(|member| body.contains(member)) {
            shown.push_str("(body hidden: it carries a secret)");
        } else {
            shown.push_str(body);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_its_shape_and_loses_its_secrets() {
        let raw = b"POST /x HTTP/1.1\r\nHost: a\r\nCookie: a=1; __Host-s=deadbeef\r\nAuthorization: Bearer x\r\n\r\n{\"password\":\"p\"}";
        let shown = message(raw);
        assert!(shown.starts_with("POST /x HTTP/1.1\nHost: a\n"));
        assert!(shown.contains("__Host-s=(hidden, 8 bytes)"));
        for secret in ["deadbeef", "Bearer", "\"p\""] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}
