//! Compiling files of tests with cargo.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Result;
use crate::suite::{File, Package};

/// The executables of the files that compiled.
#[derive(Default)]
pub(crate) struct Built(HashMap<String, PathBuf>);

impl Built {
    pub(crate) fn executable(&self, file: &str) -> Option<&Path> {
        self.0.get(file).map(PathBuf::as_path)
    }
}

/// Compiles the files; those that fail say so on standard error, the others are built.
pub(crate) fn compile(package: &Package, files: &[File], target: &Path) -> Result<Built> {
    let mut built = Built::default();
    if files.is_empty() {
        return Ok(built);
    }
    let mut command = cargo(&package.directory);
    command
        .env("CARGO_TARGET_DIR", target)
        .args(["build", "--quiet", "--keep-going"])
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    for file in files {
        command.args(["--test", &file.name]);
    }
    let mut process = command.spawn()?;
    let output = process.stdout.take().expect("the output is piped");
    for line in BufReader::new(output).lines() {
        let message: Value = serde_json::from_str(&line?)?;
        let name = message["target"]["name"].as_str();
        let executable = message["executable"].as_str();
        if let (Some(name), Some(executable)) = (name, executable) {
            built.0.insert(name.to_owned(), executable.into());
        }
    }
    // A file that did not compile is reported by its missing executable.
    process.wait()?;
    Ok(built)
}

/// Cargo in a directory, free of what the cargo that runs this program has set.
pub(crate) fn cargo(directory: &Path) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(directory);
    for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
        command.env_remove(name);
    }
    command
}
