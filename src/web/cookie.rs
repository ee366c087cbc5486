//! Session cookies. `__Host-`: this host alone, the whole path, TLS only (RFC 6265bis, section 4.1.3.2).

/// The restaurant's session (guest or staff).
pub const BISTRO: &str = "__Host-rt_bistro";
/// The console's session.
pub const CONSOLE: &str = "__Host-rt_session";

/// The value of cookie `name` in a `Cookie` header. None when it is absent or there twice: then somebody
/// has planted one, and guessing which is ours would be theirs to steer.
pub fn find<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let mut values = header.split(';').filter_map(|pair| pair.trim().split_once('=')).filter(|(n, _)| *n == name);
    let (_, value) = values.next()?;
    values.next().is_none().then_some(value)
}

/// A `Set-Cookie` value that lasts `max_age_s` seconds.
pub fn set(name: &str, value: &str, max_age_s: u64) -> String {
    format!("{name}={value}; Path=/; Max-Age={max_age_s}; Secure; HttpOnly; SameSite=Strict")
}

/// A `Set-Cookie` value that removes the cookie.
pub fn clear(name: &str) -> String {
    set(name, "", 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_comes_twice_is_nobodys() {
        assert_eq!(find("a=1; __Host-rt_session=abc", CONSOLE), Some("abc"));
        assert_eq!(find("__Host-rt_session=abc; __Host-rt_session=evil", CONSOLE), None);
        assert_eq!(find("a=1", CONSOLE), None);
    }
}
