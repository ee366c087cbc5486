//! Cross-site request forgery: the verdict on Fetch-Metadata and Origin.

/// What the rule looks at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Provenance<'a> {
    pub method: &'a str,
    /// Whether the request carries a cookie of ours, so that it could act for somebody.
    pub has_cookie: bool,
    pub sec_fetch_site: Option<&'a str>,
    pub origin: Option<&'a str>,
    /// `https://` and the request's own authority.
    pub own_origin: &'a str,
}

/// Whether an unsafe request may act for the person whose cookie it carries.
///
/// `Sec-Fetch-Site` must be `same-origin` (`same-site` is not enough: ports of one name are one site);
/// a browser without it must send our exact `Origin`; neither is a refusal. Without a cookie there is
/// nobody to act for, but a browser's cross-origin request is refused all the same.
pub fn may_act(request: Provenance<'_>) -> bool {
    if matches!(request.method, "GET" | "HEAD" | "OPTIONS") {
        return true;
    }
    match (request.sec_fetch_site, request.origin) {
        (Some(site), _) => site == "same-origin" || (site == "none" && !request.has_cookie),
        (None, Some(origin)) => origin == request.own_origin,
        (None, None) => !request.has_cookie,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Provenance<'_> = Provenance {
        method: "POST",
        has_cookie: true,
        sec_fetch_site: None,
        origin: None,
        own_origin: "https://bistro.localhost:8444",
    };

    #[test]
    fn a_cookie_acts_only_from_its_own_origin() {
        assert!(may_act(Provenance { sec_fetch_site: Some("same-origin"), ..BASE }));
        assert!(may_act(Provenance { origin: Some(BASE.own_origin), ..BASE }));
        for site in ["same-site", "cross-site", "none"] {
            assert!(!may_act(Provenance { sec_fetch_site: Some(site), ..BASE }), "{site}");
        }
        assert!(!may_act(Provenance { origin: Some("https://bistro.localhost:9"), ..BASE }));
        assert!(!may_act(BASE), "neither header");
    }

    #[test]
    fn a_program_without_a_cookie_needs_no_origin() {
        assert!(may_act(Provenance { has_cookie: false, ..BASE }));
        assert!(!may_act(Provenance { has_cookie: false, origin: Some("https://evil.example"), ..BASE }));
        assert!(may_act(Provenance { method: "GET", sec_fetch_site: Some("cross-site"), ..BASE }));
    }
}
