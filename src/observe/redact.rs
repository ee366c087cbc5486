//! Secrets are removed where they are recorded, not where they are shown.

use serde_json::Value;

/// Headers whose value never leaves the process in a trace or a log.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "cookie", "set-cookie", "roundtrip-hop", "roundtrip-probe"];

/// Parts of a member's or field's name that make its value a secret, wherever it stands in a body.
const SECRET_WORDS: [&str; 4] = ["passw", "pwd", "token", "secret"];

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
        shown.push_str(&self::body(body));
    }
    shown
}

/// A body with its secrets removed. JSON keeps its shape; what can't be read as JSON (a form, or cut short)
/// is hidden whole when it names a secret, or could name one in escapes.
pub fn body(text: &str) -> String {
    if let Ok(mut value) = serde_json::from_str::<Value>(text) {
        if hide_members(&mut value) {
            return value.to_string();
        }
        return text.to_owned();
    }
    let lower = text.to_ascii_lowercase();
    let suspect = lower.contains("\\u00") || lower.contains('%') || is_secret(&lower);
    if suspect { "(body hidden: it may carry a secret)".to_owned() } else { text.to_owned() }
}

fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| lower.contains(word))
}

/// Whether anything was hidden.
fn hide_members(value: &mut Value) -> bool {
    let mut hidden = false;
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if is_secret(name) {
                    *value = Value::String("(hidden)".to_owned());
                    hidden = true;
                } else {
                    hidden |= hide_members(value);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                hidden |= hide_members(item);
            }
        }
        _ => {}
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        for body in [
            r#"{"name":"w","passw\u006frd":"canary"}"#,
            r#"{"Password":"canary"}"#,
            r#"{"a":[{"pwd":"canary"}]}"#,
            r#"{"passw\u006frd":"canary","#,
            "password=canary",
            "p%61ssword=canary",
            "{'password': 'canary'}",
        ] {
            assert!(!super::body(body).contains("canary"), "{body}");
        }
        let order = r#"{"table":4,"lines":[{"menu_item_id":12,"quantity":2}]}"#;
        assert_eq!(super::body(order), order);
    }

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
