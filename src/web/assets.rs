//! The front end, embedded and compressed by `build.rs`.

/// One file of `static/`.
#[derive(Debug)]
pub struct Asset {
    /// Path below `static/`, with `/`.
    pub path: &'static str,
    pub media_type: &'static str,
    pub plain: &'static [u8],
    /// The same, compressed; None where compression gains nothing.
    pub brotli: Option<&'static [u8]>,
    pub gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// How long a browser may keep a file whose address carries the hash of the whole tree.
pub const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// The asset at `path` below `static/`.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.binary_search_by(|asset| asset.path.cmp(path)).ok().map(|index| &ASSETS[index])
}

/// The page `pages/<name>.html` with its placeholders filled.
pub fn page(name: &str, nonce: &str) -> Option<String> {
    let asset = find(&format!("pages/{name}.html"))?;
    let text = std::str::from_utf8(asset.plain).ok()?;
    Some(text.replace("{{nonce}}", nonce).replace("{{static}}", &format!("/static/{TREE_HASH}")))
}

/// The best encoding of `asset` for an `Accept-Encoding`, and its `Content-Encoding`.
pub fn encoded(asset: &'static Asset, accept_encoding: &str) -> (&'static [u8], Option<&'static str>) {
    let accepts = |coding: &str| {
        accept_encoding.split(',').any(|offer| {
            let (name, parameters) = offer.split_once(';').unwrap_or((offer, ""));
            let refused = parameters.trim().strip_prefix("q=").is_some_and(|q| q.trim().parse() == Ok(0.0_f32));
            name.trim().eq_ignore_ascii_case(coding) && !refused
        })
    };
    match (asset.brotli, asset.gzip) {
        (Some(bytes), _) if accepts("br") => (bytes, Some("br")),
        (_, Some(bytes)) if accepts("gzip") => (bytes, Some("gzip")),
        _ => (asset.plain, None),
    }
}
