//! The front end, embedded and compressed by `build.rs`.

use super::accept_encoding::{self, Coding};

/// One file of `static/`.
#[derive(Debug)]
pub struct Asset {
    /// Path below `static/`, with `/`.
    pub path: &'static str,
    pub media_type: &'static str,
    /// Of `plain`.
    pub hash: &'static str,
    pub plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    zstd: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
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

/// One form of an asset: its bytes, their coding, and the tag that names exactly these bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Representation {
    pub bytes: &'static [u8],
    pub coding: Option<Coding>,
    /// Strong (RFC 9110, section 8.8.3).
    pub etag: String,
}

impl Asset {
    /// The same, compressed; None where compression gains nothing.
    pub const fn compressed(&self, coding: Coding) -> Option<&'static [u8]> {
        match coding {
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
            Coding::Gzip => self.gzip,
        }
    }

    /// The form that the client likes best.
    pub fn representation(&self, accept_encoding: &str) -> Representation {
        let available = Coding::ALL.into_iter().filter(|coding| self.compressed(*coding).is_some());
        let chosen = accept_encoding::negotiate(accept_encoding, available);
        match chosen.and_then(|coding| Some((coding, self.compressed(coding)?))) {
            Some((coding, bytes)) => {
                Representation { bytes, coding: Some(coding), etag: format!("\"{}-{}\"", self.hash, coding.token()) }
            }
            None => Representation { bytes: self.plain, coding: None, etag: format!("\"{}\"", self.hash) },
        }
    }
}
