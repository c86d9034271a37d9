//! Which file a target means, and what is in it by its name.
//!
//! Place: called by `files`: `decoded` for each request, the others for each look at a file.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// What is served for a folder.
const INDEX: &str = "index.html";

/// The path below the root that a target, decoded, means. None for what must not be served: names
/// with a dot in front, which `..` is one of, and names without a character, which no file has.
pub(crate) fn path(decoded: &[u8]) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    let mut names = decoded
        .strip_prefix(b"/")?
        .split(|&byte| byte == b'/')
        .peekable();
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

/// A target without its escapes: `%41` is an `A`. None if hexadecimal digits are missing.
pub(crate) fn decoded(target: &str) -> Option<Cow<'_, [u8]>> {
    if !target.contains('%') {
        return Some(Cow::Borrowed(target.as_bytes()));
    }
    let mut decoded = Vec::with_capacity(target.len());
    let mut bytes = target.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        decoded.push((high * 16 + low) as u8);
    }
    Some(Cow::Owned(decoded))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_has_one_path_however_it_is_spelt() {
        for target in ["/a/b", "/%61/b", "/a%2fb", "/%61%2F%62"] {
            let decoded = decoded(target).unwrap();
            assert_eq!(*decoded, *b"/a/b", "{target}");
            assert_eq!(path(&decoded), Some(PathBuf::from("a/b")), "{target}");
        }
        // Decoded once.
        assert_eq!(*decoded("/%2541").unwrap(), *b"/%41");
    }

    #[test]
    fn what_must_not_be_served_has_no_path() {
        for target in [
            "",
            "a",
            "/..",
            "/a/%2e%2e/b",
            "/.git",
            "//",
            "/a%00",
            "/a//b",
        ] {
            assert_eq!(path(&decoded(target).unwrap()), None, "{target}");
        }
        for target in ["/%", "/%4", "/%4x", "/%+1"] {
            assert_eq!(decoded(target), None, "{target}");
        }
    }
}
