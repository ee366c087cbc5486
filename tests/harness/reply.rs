//! Answers, and what every one of them must be.

use roundtrip::client::Answer;
use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self { status: answer.status, headers: answer.headers, body: answer.body.to_vec() }
    }
}

impl Reply {
    /// The first header of this name (lower case), or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_default()
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    /// `Server-Timing`, which the edge and the instance each send a part of.
    pub fn timing(&self) -> String {
        self.all("server-timing").join(", ")
    }

    /// The problem document that this must be (RFC 9457), by its kind and the hop that refused (none for
    /// the console).
    #[track_caller]
    pub fn is_problem(&self, status: u16, kind: &str, hop: Option<&str>) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let document = self.json();
        let text = |member: &str| document[member].as_str().unwrap_or_default().to_owned();
        assert_eq!(text("type"), format!("/problems/{kind}"), "{document}");
        assert_eq!(document["status"], status, "{document}");
        assert_eq!(document["hop"].as_str(), hop, "{document}");
        assert!(!text("title").is_empty() && !text("detail").is_empty(), "{document}");
        self.is_guarded();
        document
    }

    /// The fields that a problem document names.
    pub fn pointers(&self) -> Vec<String> {
        let document = self.json();
        let errors = document["errors"].as_array().into_iter().flatten();
        errors.filter_map(|error| error["pointer"].as_str().map(str::to_owned)).collect()
    }

    /// The security headers that no answer may lack.
    #[track_caller]
    pub fn is_guarded(&self) {
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY")]
        {
            assert_eq!(self.header(name), value, "{name} of {self:?}");
        }
        for name in ["content-security-policy", "cross-origin-resource-policy", "permissions-policy"] {
            assert_eq!(self.all(name).len(), 1, "{name} of {self:?}");
        }
    }

    /// A page: nothing but its own scripts run in it, by a nonce, which is returned.
    #[track_caller]
    pub fn is_page(&self) -> String {
        assert_eq!((self.status, self.header("content-type")), (200, "text/html; charset=utf-8"), "{}", self.text());
        self.is_guarded();
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.header("cross-origin-opener-policy"), "same-origin");
        let policy = self.header("content-security-policy");
        for rule in
            ["default-src 'none'", "require-trusted-types-for 'script'", "base-uri 'none'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(rule), "{rule} in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let (_, rest) = policy.split_once("'nonce-").expect("a nonce");
        let (nonce, _) = rest.split_once('\'').expect("an end of the nonce");
        assert!(nonce.len() >= 22 && self.text().contains(&format!("nonce=\"{nonce}\"")), "{}", self.text());
        nonce.to_owned()
    }
}
