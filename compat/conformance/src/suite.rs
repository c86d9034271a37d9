//! The packages under test: their tests as the registry ships them, in a manifest that cargo can
//! build with the facade.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::area::Area;
use crate::{Result, compile};

/// A package that cargo can test.
pub(crate) struct Package {
    pub(crate) directory: PathBuf,
    /// The area of all its files, unless each has its own.
    area: Option<Area>,
}

/// A file of tests.
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) area: Area,
}

impl Package {
    /// The files of tests that belong to the areas wanted, in the order of their names.
    pub(crate) fn files(&self, wants: impl Fn(Area) -> bool) -> Result<Vec<File>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.directory.join("tests"))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let name = path.file_stem().expect("has an extension");
            let name = name.to_string_lossy().into_owned();
            let area = self.area.unwrap_or_else(|| Area::of_file(&name));
            if wants(area) {
                files.push(File { name, path, area });
            }
        }
        files.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(files)
    }
}

/// Writes the packages into `work`. With no facade they are built with tokio itself.
pub(crate) fn prepare(work: &Path, facade: Option<&Path>) -> Result<Vec<Package>> {
    let sources = fetch(&work.join("fetch"))?;
    let mut packages = Vec::new();
    for (name, area) in [
        ("tokio", None),
        ("tokio-stream", Some(Area::Stream)),
        ("tokio-test", Some(Area::Test)),
        ("tokio-util", Some(Area::Util)),
    ] {
        let directory = work.join(name);
        copy_tree(
            &source_of(&sources, name)?.join("tests"),
            &directory.join("tests"),
        )?;
        fs::create_dir_all(directory.join("src"))?;
        write_if_new(&directory.join("src/lib.rs"), "")?;
        write_if_new(&directory.join("Cargo.toml"), &manifest(facade))?;
        if facade.is_some() {
            fs::copy(locked_versions(), directory.join("Cargo.lock"))?;
            assert_patched(&directory)?;
        }
        packages.push(Package { directory, area });
    }
    Ok(packages)
}

/// Fails unless the facade is the only tokio that the package sees: cargo drops a patch that does
/// not fit with no more than a warning.
fn assert_patched(directory: &Path) -> Result<()> {
    let update = compile::cargo(directory)
        .args([
            "update",
            "--quiet",
            "-p",
            "tokio",
            "--precise",
            FACADE_VERSION,
        ])
        .status()?;
    let tree = compile::cargo(directory)
        .args(["tree", "--quiet", "--depth", "0", "-i", "tokio"])
        .output()?;
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    if update.success() && tree.starts_with(&format!("tokio v{FACADE_VERSION} ")) {
        Ok(())
    } else {
        Err(format!(
            "the facade is not in force in {}: {tree}",
            directory.display()
        )
        .into())
    }
}

/// Where the sources of the packages of the registry lie, after cargo has fetched them.
fn fetch(directory: &Path) -> Result<Value> {
    fs::create_dir_all(directory.join("src"))?;
    write_if_new(&directory.join("src/lib.rs"), "")?;
    write_if_new(&directory.join("Cargo.toml"), FETCH_MANIFEST)?;
    let output = compile::cargo(directory)
        .args(["metadata", "--format-version", "1"])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn source_of(sources: &Value, name: &str) -> Result<PathBuf> {
    let packages = sources["packages"].as_array().ok_or("no packages")?;
    let package = packages.iter().find(|package| package["name"] == name);
    let manifest = package.and_then(|package| package["manifest_path"].as_str());
    let manifest = manifest.ok_or_else(|| format!("cargo did not fetch {name}"))?;
    Ok(Path::new(manifest).parent().expect("a file").to_owned())
}

fn manifest(facade: Option<&Path>) -> String {
    let mut text = MANIFEST.to_owned();
    if let Some(facade) = facade {
        text += &format!("\n[patch.crates-io]\ntokio = {{ path = {facade:?} }}\n");
    }
    text
}

/// Keeps the time of a file that has not changed, so that cargo does not build it again.
fn write_if_new(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    Ok(fs::write(path, text)?)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if !target.exists() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// The versions that the suites are built with, so that a release of somebody else's package does
/// not change the result.
fn locked_versions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("suite.lock")
}

const FACADE_VERSION: &str = "1.999.0";

const FETCH_MANIFEST: &str = r#"[package]
name = "fetch"
version = "0.0.0"
edition = "2021"

[workspace]

[dependencies]
tokio = "=1.54.1"
tokio-stream = "=0.1.19"
tokio-test = "=0.4.6"
tokio-util = "=0.7.20"
"#;

/// The tests look at the features of the package that holds them, and at its homepage.
const MANIFEST: &str = r#"[package]
name = "suite"
version = "0.0.0"
edition = "2021"
homepage = "https://tokio.rs"

[workspace]

[features]
default = ["full", "test-util"]
full = [
    "codec", "compat", "fs", "io", "io-std", "io-util", "join-map", "macros", "net", "process", "rt",
    "rt-multi-thread", "signal", "sync", "time",
]
# Those of tokio-util, which is there with all of its own.
codec = []
compat = []
io = []
join-map = []
fs = ["tokio/fs"]
io-std = ["tokio/io-std"]
io-util = ["tokio/io-util"]
macros = ["tokio/macros"]
net = ["tokio/net"]
process = ["tokio/process"]
rt = ["tokio/rt"]
rt-multi-thread = ["tokio/rt-multi-thread"]
signal = ["tokio/signal"]
sync = ["tokio/sync"]
test-util = ["tokio/test-util"]
time = ["tokio/time"]

[dependencies]
tokio = "1"

[dev-dependencies]
async-stream = "0.3"
bytes = "1"
futures = { version = "0.3", features = ["async-await"] }
futures-concurrency = "7"
futures-core = "0.3"
futures-io = "0.3"
futures-sink = "0.3"
futures-test = "0.3"
futures-util = "0.3"
libc = "0.2"
mio = { version = "1", features = ["os-poll", "os-ext", "net"] }
mockall = "0.13"
nix = { version = "0.31", default-features = false, features = ["aio", "fs", "socket"] }
parking_lot = "0.12"
pin-project-lite = "0.2"
proptest = "1"
rand = "0.9"
socket2 = { version = "0.6", features = ["all"] }
tempfile = "3"
tokio-stream = { version = "=0.1.19", features = ["full"] }
tokio-test = "=0.4.6"
tokio-util = { version = "=0.7.20", features = ["full"] }

[lints.rust]
unexpected_cfgs = "allow"

[profile.dev]
debug = 0
"#;
