//! Embeds `static/`, compressed once, with a hash of each file and one of the whole tree for caching.
//! `data/` needs no step of its own: `include_str!` takes it as it is.

#![allow(clippy::disallowed_methods, reason = "cargo speaks to a build script through the environment")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use sha2::{Digest, Sha256};

/// The highest that browsers' window of 8 MiB allows (RFC 9659); these files are far smaller.
const ZSTD_LEVEL: i32 = 19;

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=static");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?).join("static");
    let mut paths = Vec::new();
    walk(&root, &root, &mut paths)?;
    paths.sort();

    let mut tree = Sha256::new();
    let mut table = String::new();
    for (index, path) in paths.iter().enumerate() {
        let bytes = fs::read(root.join(path))?;
        tree.update((path.len() as u64).to_le_bytes());
        tree.update(path.as_bytes());
        tree.update((bytes.len() as u64).to_le_bytes());
        tree.update(&bytes);
        let plain = root.join(path);
        let brotli = smaller(&out, index, "br", &bytes, brotli(&bytes)?)?;
        let zstd = smaller(&out, index, "zst", &bytes, zstd::bulk::compress(&bytes, ZSTD_LEVEL)?)?;
        let gzip = smaller(&out, index, "gz", &bytes, gzip(&bytes)?)?;
        let hash = short_hex(&Sha256::digest(&bytes));
        let _ = writeln!(
            table,
            "    Asset {{ path: {path:?}, media_type: {:?}, hash: {hash:?}, plain: include_bytes!({plain:?}), \
             brotli: {brotli}, zstd: {zstd}, gzip: {gzip} }},",
            media_type(path)
        );
    }
    let hash = short_hex(&tree.finalize());
    let code = format!(
        "/// Changes whenever any file of the front end does.\npub const TREE_HASH: &str = {hash:?};\n\n\
         /// Sorted by path.\npub static ASSETS: &[Asset] = &[\n{table}];\n"
    );
    fs::write(out.join("assets.rs"), code)
}

/// Paths of all files below `root`, with `/`.
fn walk(root: &Path, folder: &Path, paths: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(root, &path, paths)?;
        } else if let Ok(relative) = path.strip_prefix(root) {
            let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            paths.push(parts.join("/"));
        }
    }
    Ok(())
}

/// Enough of a hash to tell versions of a file apart.
fn short_hex(hash: &[u8]) -> String {
    hash.iter().take(8).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn brotli(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, ..Default::default() };
    brotli::BrotliCompress(&mut &bytes[..], &mut compressed, &parameters)?;
    Ok(compressed)
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// Writes the compressed form when it is smaller, and returns the expression that embeds it.
fn smaller(out: &Path, index: usize, ending: &str, plain: &[u8], compressed: Vec<u8>) -> io::Result<String> {
    if compressed.len() >= plain.len() {
        return Ok("None".to_owned());
    }
    let file = out.join(format!("{index}.{ending}"));
    fs::write(&file, compressed)?;
    Ok(format!("Some(include_bytes!({file:?}))"))
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "png" => "image/png",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
