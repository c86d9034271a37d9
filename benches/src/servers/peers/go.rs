//! The echo server of Go: `peers/echo.go`, built when it is first wanted.
//!
//! Place: this process becomes the Go program, which keeps its process id, its cores and its pipes,
//! and speaks the child's side of [`crate::child`] itself.

use std::env;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use super::super::{KERNEL_BUFFER_BYTES, ServeOptions};

/// Whether there is a Go to build it with.
pub(in super::super) fn is_installed() -> bool {
    let mut command = Command::new("go");
    let status = command.arg("version").stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Returns only if it fails.
pub(in super::super) fn run(options: &ServeOptions) -> io::Result<()> {
    let program = build()?;
    let numbers = [options.buffer_bytes, options.loops, KERNEL_BUFFER_BYTES];
    let numbers = numbers.map(|number| number.to_string());
    Err(Command::new(program).args(numbers).exec())
}

/// The program, built anew if its source has changed.
fn build() -> io::Result<PathBuf> {
    let program = env::current_exe()?.with_file_name(PROGRAM);
    let source = Path::new(SOURCE);
    if is_newer(&program, source) {
        return Ok(program);
    }
    // Several may build at once; each of them puts a whole file in place.
    let unfinished = program.with_extension(process::id().to_string());
    let mut command = Command::new("go");
    command.arg("build").arg("-o").arg(&unfinished).arg(source);
    // The output is for the address.
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.map_err(|error| io::Error::new(error.kind(), format!("go: {error}")))?;
    if !status.success() {
        return Err(io::Error::other(format!("go build: {status}")));
    }
    fs::rename(unfinished, &program)?;
    Ok(program)
}

fn is_newer(program: &Path, source: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path)?.modified();
    match (changed(program), changed(source)) {
        (Ok(built), Ok(written)) => built > written,
        _ => false,
    }
}

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/echo.go");
const PROGRAM: &str = "oneloop-peer-go";
