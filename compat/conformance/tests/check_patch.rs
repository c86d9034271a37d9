//! `check-patch` fails where it cannot tell, and says why.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[test]
fn a_folder_without_a_package_is_an_error_that_is_told() {
    let folder = Folder::new("without", None);
    let output = check_patch(&folder.0);
    assert!(!output.status.success());
    assert!(told(&output).contains("could not find `Cargo.toml`"));
}

#[test]
fn a_broken_manifest_is_an_error_that_is_told() {
    let folder = Folder::new("broken", Some("[package"));
    let output = check_patch(&folder.0);
    assert!(!output.status.success());
    assert!(told(&output).contains("Cargo.toml:1"), "{}", told(&output));
}

#[test]
fn a_package_without_tokio_is_an_error_that_is_told() {
    let manifest = "[package]\nname = \"alone\"\nedition = \"2024\"\n[workspace]\n";
    let folder = Folder::new("alone", Some(manifest));
    let output = check_patch(&folder.0);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("nothing here uses tokio"), "{text}");
}

#[test]
fn this_workspace_has_the_drop_in_alone() {
    let output = check_patch(Path::new(COMPAT));
    assert!(output.status.success(), "{}", told(&output));
}

/// A folder that is gone after the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, manifest: Option<&str>) -> Self {
        let name = format!("check-patch-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(path.join("src")).unwrap();
        fs::write(path.join("src/lib.rs"), "").unwrap();
        if let Some(manifest) = manifest {
            fs::write(path.join("Cargo.toml"), manifest).unwrap();
        }
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left lies among the temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn check_patch(folder: &Path) -> Output {
    Command::new(Path::new(COMPAT).join("check-patch"))
        .arg(folder)
        .output()
        .unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const COMPAT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
