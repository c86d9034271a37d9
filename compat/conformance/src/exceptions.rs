//! The tests that need not pass, each with its reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Result;

/// The reason for each test that need not pass, by `FILE::TEST`.
pub(crate) type Exceptions = BTreeMap<String, String>;

/// Reads lines of the form `FILE::TEST  reason`; `#` starts a comment.
pub(crate) fn read(path: &Path) -> Result<Exceptions> {
    let mut exceptions = Exceptions::new();
    for line in fs::read_to_string(path)?.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((test, reason)) = line.split_once(char::is_whitespace) else {
            return Err(format!("{}: no reason given: {line}", path.display()).into());
        };
        exceptions.insert(test.to_owned(), reason.trim().to_owned());
    }
    Ok(exceptions)
}

/// The tests of one file among them, without its name.
pub(crate) fn of_file<'a>(exceptions: &'a Exceptions, file: &str) -> Vec<&'a str> {
    let of_file = |name: &'a String| name.strip_prefix(file)?.strip_prefix("::");
    exceptions.keys().filter_map(of_file).collect()
}
