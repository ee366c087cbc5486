//! Which content coding an answer is sent in (RFC 9110, section 12.5.3).

/// A content coding that we can produce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    /// The one that gets smallest, given time, goes first.
    pub const ALL: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    /// Its name in `Content-Encoding`.
    pub const fn token(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    fn is(self, name: &str) -> bool {
        // `x-gzip` is the same (section 8.4.1.3).
        name.eq_ignore_ascii_case(self.token()) || self == Coding::Gzip && name.eq_ignore_ascii_case("x-gzip")
    }
}

/// The coding that the client likes best among those there are, the first of them when it likes several
/// alike. None: as it is. A client that says nothing gets that, and so does one that refuses everything,
/// since any answer helps it more than none.
pub fn negotiate(accept_encoding: &str, available: impl IntoIterator<Item = Coding>) -> Option<Coding> {
    let said = |matches: &dyn Fn(&str) -> bool| {
        accept_encoding.split(',').filter_map(preference).find(|(name, _)| matches(name)).map(|(_, quality)| quality)
    };
    let any = said(&|name| name == "*");
    // Unmentioned, it is taken, but anything that was asked for is better.
    let as_it_is = said(&|name| name.eq_ignore_ascii_case("identity")).or(any).unwrap_or(0);
    let mut best: Option<(Coding, u16)> = None;
    for coding in available {
        let quality = said(&|name| coding.is(name)).or(any).unwrap_or(0);
        if quality > 0 && quality >= as_it_is && best.is_none_or(|(_, other)| quality > other) {
            best = Some((coding, quality));
        }
    }
    best.map(|(coding, _)| coding)
}

/// One element of the list: its coding and its weight in thousandths. None for what is malformed.
fn preference(element: &str) -> Option<(&str, u16)> {
    let (name, weight) = match element.split_once(';') {
        Some((name, weight)) => (name.trim(), Some(weight.trim())),
        None => (element.trim(), None),
    };
    let Some(weight) = weight else { return Some((name, 1_000)) };
    let value = weight.strip_prefix("q=").or_else(|| weight.strip_prefix("Q="))?;
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    // Section 12.4.2: 0 or 1, and up to three digits.
    if !matches!(whole, "0" | "1") || fraction.len() > 3 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u16>().ok()? + if whole == "1" { 1_000 } else { 0 };
    (thousandths <= 1_000).then_some((name, thousandths))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Coding::{Brotli, Gzip, Zstd};
    use super::*;

    #[test]
    fn the_client_chooses_by_weight_and_we_where_it_does_not_care() {
        for (accept, coding) in [
            ("", None),
            ("identity", None),
            ("deflate, compress", None),
            ("gzip, deflate, br, zstd", Some(Brotli)),
            ("gzip, zstd", Some(Zstd)),
            ("GZIP", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("br;q=0.5, gzip;q=0.8", Some(Gzip)),
            ("br;q=0, *", Some(Zstd)),
            ("*", Some(Brotli)),
            ("*;q=0", None),
            ("*;q=0, gzip;q=0.001", Some(Gzip)),
            ("br ; q=1.000", Some(Brotli)),
            ("identity;q=1, br;q=0.9", None),
            ("identity;q=0.5, br;q=0.5", Some(Brotli)),
            ("identity;q=0", None),
            ("identity;q=0, gzip;q=0", None),
            // Malformed elements say nothing.
            ("br;q=2, gzip", Some(Gzip)),
            ("br;q=1.5, gzip;q=0.1", Some(Gzip)),
            ("br;q=, br;q=-1, br;q=0.1234, br;level=3", None),
            ("br;q=0.9x, zstd", Some(Zstd)),
        ] {
            assert_eq!(negotiate(accept, Coding::ALL), coding, "{accept:?}");
        }
        assert_eq!(negotiate("br, gzip", [Gzip]), Some(Gzip));
        assert_eq!(negotiate("br", [Gzip]), None);
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_never_a_coding_that_was_refused_or_not_named(accept in "[a-z*;=,.01 ]{0,40}|\\PC*") {
            if let Some(coding) = negotiate(&accept, Coding::ALL) {
                let lower = accept.to_lowercase();
                prop_assert!(lower.contains(coding.token()) || lower.contains('*'));
            }
        }

        #[test]
        fn the_best_of_three_weights_wins(weights: [u8; 3]) {
            let [br, zstd, gzip] = weights.map(|weight| u16::from(weight % 101) * 10);
            let text = |weight: u16| format!("{}.{:03}", weight / 1_000, weight % 1_000);
            let accept = format!("br;q={}, zstd;q={}, gzip;q={}", text(br), text(zstd), text(gzip));
            let best = br.max(zstd).max(gzip);
            let expected = [(Brotli, br), (Zstd, zstd), (Gzip, gzip)].into_iter().find(|(_, weight)| *weight == best);
            prop_assert_eq!(negotiate(&accept, Coding::ALL), expected.filter(|_| best > 0).map(|(coding, _)| coding));
        }
    }
}
