//! Which file a target means, and what is in it by its name.
//!
//! Place: called by `files`, once for each file that is not known yet.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// What is served for a folder.
const INDEX: &str = "index.html";

/// The path below the root that a target means. None for what must not be served: names with a dot
/// in front, which `..` is one of, and names without a character, which no file has.
pub(crate) fn path(target: &str) -> Option<PathBuf> {
    let decoded = percent_decode(target.strip_prefix('/')?)?;
    let mut path = PathBuf::new();
    let mut names = decoded.split(|&byte| byte == b'/').peekable();
    while let Some(name) = names.next() {
        if name.is_empty() && names.peek().is_none() {
            path.push(INDEX);
            break;
        }
        let is_hidden = name.starts_with(b".") && name != b".well-known";
        if name.is_empty() || is_hidden || name.contains(&0) {
            return None;
        }
        path.push(OsString::from_vec(name.to_vec()));
    }
    Some(path)
}

/// `%41` is an `A`. None if hexadecimal digits are missing.
fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        decoded.push((high * 16 + low) as u8);
    }
    Some(decoded)
}

/// The media type that a name stands for.
pub(crate) fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "txt" | "md" => "text/plain; charset=utf-8",
        "json" | "map" => "application/json",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "zip" => "application/zip",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        _ => "application/octet-stream",
    }
}
