//! The cookies of somebody who sends many requests to one origin (RFC 6265, section 5.3, for one host).

/// Cookies that are kept.
const COOKIES_MAX: usize = 16;

/// Names and values, ready to be sent.
#[derive(Debug, Clone, Default)]
pub struct Jar {
    cookies: Vec<(Vec<u8>, Vec<u8>)>,
    line: Vec<u8>,
}

impl Jar {
    /// With one cookie, `name=value`.
    pub fn with(cookie: &str) -> Self {
        let mut jar = Self::default();
        jar.learn(cookie.as_bytes());
        jar
    }

    /// Takes what a `Set-Cookie` says.
    pub(super) fn learn(&mut self, set: &[u8]) {
        let mut parts = set.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let pair = parts.next().unwrap_or_default();
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else { return };
        let (name, value) = (&pair[..equals], &pair[equals + 1..]);
        let gone = parts.any(|part| part.eq_ignore_ascii_case(b"max-age=0"));
        self.cookies.retain(|(known, _)| known != name);
        if !gone && self.cookies.len() < COOKIES_MAX {
            self.cookies.push((name.to_vec(), value.to_vec()));
        }
        let pairs: Vec<Vec<u8>> = self.cookies.iter().map(|(name, value)| [name, &b"="[..], value].concat()).collect();
        self.line = pairs.join(&b"; "[..]);
    }

    /// The value of `Cookie`; nothing when there is none.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }
}

#[cfg(test)]
mod tests {
    use super::Jar;

    #[test]
    fn a_cookie_is_kept_replaced_and_taken_out() {
        let mut jar = Jar::with("__Host-s=1");
        jar.learn(b"place=i2; Path=/; Secure");
        assert_eq!(jar.line(), b"__Host-s=1; place=i2");
        jar.learn(b"__Host-s=2; HttpOnly");
        assert_eq!(jar.line(), b"place=i2; __Host-s=2");
        jar.learn(b"place=; Max-Age=0");
        jar.learn(b"nonsense");
        assert_eq!(jar.line(), b"__Host-s=2");
    }
}
