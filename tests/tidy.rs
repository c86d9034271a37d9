//! Style as a test: sizes, and where unsafe code, loom, the system and orderings may appear.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines that a file may have, and those that hold one large public type.
const FILE_LINES_MAX: usize = 700;
/// Lines that a function may have, signature included.
const FUNCTION_LINES_MAX: usize = 70;
/// How far above its subject a note may stand.
const NOTE_DISTANCE_MAX: usize = 8;

/// The files that may contain `unsafe`, each argued where it does.
const UNSAFE_FILES: &[&str] = &[
    "compat/loom-tests/src/lib.rs",
    "compat/tokio/src/fs/file.rs",
    "compat/tokio/src/io/async_fd.rs",
    "compat/tokio/src/io/read_buf.rs",
    "compat/tokio/src/io/split.rs",
    "compat/tokio/src/io/stdio.rs",
    "compat/tokio/src/io/util/parts.rs",
    "compat/tokio/src/io/util/reading.rs",
    "compat/tokio/src/macros/join.rs",
    "compat/tokio/src/macros/select.rs",
    "compat/tokio/src/macros/support.rs",
    "compat/tokio/src/net/datagram.rs",
    "compat/tokio/src/net/macros.rs",
    "compat/tokio/src/net/tcp/socket.rs",
    "compat/tokio/src/net/unix/pipe.rs",
    "compat/tokio/src/net/unix/socket.rs",
    "compat/tokio/src/process.rs",
    "compat/tokio/src/sync/broadcast.rs",
    "compat/tokio/src/sync/guard.rs",
    "compat/tokio/src/sync/mpsc/block.rs",
    "compat/tokio/src/sync/mpsc/chan.rs",
    "compat/tokio/src/sync/mpsc/list.rs",
    "compat/tokio/src/sync/mutex.rs",
    "compat/tokio/src/sync/mutex/guards.rs",
    "compat/tokio/src/sync/notify.rs",
    "compat/tokio/src/sync/once_cell.rs",
    "compat/tokio/src/sync/oneshot.rs",
    "compat/tokio/src/sync/permits.rs",
    "compat/tokio/src/sync/rwlock.rs",
    "compat/tokio/src/sync/rwlock/read.rs",
    "compat/tokio/src/sync/rwlock/write.rs",
    "compat/tokio/src/sync/set_once.rs",
    "compat/tokio/src/sync/wait_list.rs",
    "loom-tests/tests/control.rs",
    "loom-tests/tests/home.rs",
    "loom-tests/tests/inbox.rs",
    "loom-tests/tests/readiness.rs",
    "net/src/buffer/traits.rs",
    "net/src/datagram.rs",
    "net/src/hyper/io.rs",
    "net/src/options/raw.rs",
    "net/src/stream/lease.rs",
    "net/src/server/inherited.rs",
    "net/src/stream/transfer.rs",
    "net/src/tcp/socket.rs",
    "net/src/tokio_io.rs",
    "net/src/unix/pipe.rs",
    "net/src/unix/socket.rs",
    "net/src/zero_copy/notices.rs",
    "net/src/zero_copy/sigpipe.rs",
    "net/tests/buffer/traits.rs",
    "net/tests/tcp/raw.rs",
    "runtime/src/buf/block.rs",
    "runtime/src/buf/home.rs",
    "runtime/src/buf/lease.rs",
    "runtime/src/reactor/descriptor.rs",
    "runtime/src/runtime/context.rs",
    "runtime/src/runtime/handle.rs",
    "runtime/src/sys/epoll.rs",
    "runtime/src/sys/pages.rs",
    "runtime/src/sys/portable.rs",
    "runtime/src/task/abort.rs",
    "runtime/src/task/builder.rs",
    "runtime/src/task/join.rs",
    "runtime/src/task/mod.rs",
    "runtime/src/process/mod.rs",
    "runtime/src/sys/signals.rs",
    "runtime/src/task/local_set.rs",
    "runtime/src/task/spawned.rs",
    "runtime/src/worker/remote.rs",
    "tests/fork.rs",
    "tests/runtime/joining.rs",
    "tests/runtime/panics.rs",
    "tests/stress.rs",
];

/// The files whose protocols are explored by loom: they may import nothing that loom cannot see.
const PROTOCOL_FILES: &[&str] = &[
    "runtime/src/buf/home.rs",
    "runtime/src/reactor/homes.rs",
    "runtime/src/reactor/readiness.rs",
    "runtime/src/task/control.rs",
    "runtime/src/time/wheel.rs",
    "runtime/src/worker/doorbell.rs",
    "runtime/src/worker/inbox.rs",
];

struct Source {
    /// Relative to the workspace, with `/`.
    path: String,
    lines: Vec<String>,
}

/// All Rust files of the workspace.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in [
        "src",
        "runtime",
        "net",
        "examples",
        "tests",
        "benches",
        "loom-tests",
        "compat",
    ] {
        collect(&root.join(folder), &mut paths);
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let relative = path
            .strip_prefix(root)
            .unwrap()
            .to_string_lossy()
            .replace('\\', "/");
        Source {
            path: relative,
            lines: text.lines().map(str::to_owned).collect(),
        }
    };
    let sources: Vec<Source> = paths.into_iter().map(read).collect();
    assert!(sources.len() > 40, "the tree was not found");
    sources
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

/// The part of a line that is code.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or("")
}

/// Whether one of the lines above, or the line itself, has the note.
fn has_note(source: &Source, at: usize, note: &str) -> bool {
    let first = at.saturating_sub(NOTE_DISTANCE_MAX);
    source.lines[first..=at]
        .iter()
        .any(|line| line.contains(note))
}

/// Fails with all complaints at once.
#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(
        complaints.is_empty(),
        "{} complaints:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
}

#[test]
fn files_and_functions_keep_their_size() {
    let mut complaints = Vec::new();
    for source in sources() {
        if source.lines.len() > FILE_LINES_MAX {
            complaints.push(format!("{}: {} lines", source.path, source.lines.len()));
        }
        for (at, lines) in functions(&source) {
            if lines > FUNCTION_LINES_MAX {
                complaints.push(format!(
                    "{}:{}: a function of {lines} lines",
                    source.path,
                    at + 1
                ));
            }
        }
    }
    assert_none(&complaints);
}

/// Line and length of each function: rustfmt closes it at the indentation where it began.
fn functions(source: &Source) -> Vec<(usize, usize)> {
    let is_function = |line: &str| {
        let line = code(line).trim_start();
        let words: Vec<&str> = line.split_whitespace().collect();
        let keyword = words.iter().position(|&word| word == "fn");
        keyword.is_some_and(|at| {
            words[..at].iter().all(|word| {
                word.starts_with("pub")
                    || word.ends_with(')')
                    || ["const", "async", "unsafe", "extern", "\"C\""].contains(word)
            })
        })
    };
    let mut found = Vec::new();
    for (at, line) in source
        .lines
        .iter()
        .enumerate()
        .filter(|(_, line)| is_function(line))
    {
        // The signature ends with the first line that opens a body or ends a declaration.
        let signature = source.lines[at..].iter().position(|line| {
            [';', '{', '}']
                .iter()
                .any(|&end| code(line).trim_end().ends_with(end))
        });
        let opens = signature.is_some_and(|end| source.lines[at + end].trim_end().ends_with('{'));
        let closing = format!("{}}}", " ".repeat(line.len() - line.trim_start().len()));
        let end = source.lines[at..].iter().position(|line| *line == closing);
        if let (true, Some(end)) = (opens, end) {
            found.push((at, end + 1));
        }
    }
    found
}

#[test]
fn unsafe_code_stands_in_its_files_and_is_argued() {
    let mut complaints = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| source.path != "tests/tidy.rs")
    {
        for (at, line) in source.lines.iter().enumerate() {
            let line = code(line);
            let is_unsafe = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
                .iter()
                .any(|form| line.contains(form));
            if !is_unsafe {
                continue;
            }
            let place = format!("{}:{}", source.path, at + 1);
            if !UNSAFE_FILES.contains(&source.path.as_str()) {
                complaints.push(format!("{place}: unsafe code in a file that is not listed"));
            }
            let argued = has_note(source, at, "SAFETY:") || has_note(source, at, "# Safety");
            if !argued && !source.path.starts_with("tests/") {
                complaints.push(format!("{place}: unsafe code without an argument"));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_ordering_that_is_not_relaxed_is_explained() {
    let orderings = [
        "Ordering::Acquire",
        "Ordering::Release",
        "Ordering::AcqRel",
        "Ordering::SeqCst",
    ];
    let mut complaints = Vec::new();
    let shipped = |source: &&Source| {
        ["runtime/src/", "net/src/", "compat/tokio/src/"]
            .iter()
            .any(|shipped| source.path.starts_with(shipped))
    };
    for source in sources().iter().filter(shipped) {
        let tests = source
            .lines
            .iter()
            .position(|line| line.trim() == "#[cfg(test)]");
        for (at, line) in source
            .lines
            .iter()
            .enumerate()
            .take(tests.unwrap_or(usize::MAX))
        {
            let explained = has_note(source, at, "ORDERING:");
            if orderings
                .iter()
                .any(|ordering| code(line).contains(ordering))
                && !explained
            {
                complaints.push(format!("{}:{}: no ORDERING note", source.path, at + 1));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn loom_threads_and_the_system_stay_behind_their_seams() {
    let mut complaints = Vec::new();
    let runtime = |source: &&Source| source.path.starts_with("runtime/src/");
    for source in sources().iter().filter(runtime) {
        let in_primitive = source.path.starts_with("runtime/src/primitive/");
        let in_sys = source.path.starts_with("runtime/src/sys/");
        let is_root = source.path == "runtime/src/lib.rs";
        let tests = source
            .lines
            .iter()
            .position(|line| line.trim() == "#[cfg(test)]");
        for (at, line) in source
            .lines
            .iter()
            .enumerate()
            .take(tests.unwrap_or(usize::MAX))
        {
            let line = code(line);
            let mut complain = |what: &str| {
                complaints.push(format!("{}:{}: {what}", source.path, at + 1));
            };
            let names_loom = ["cfg(loom)", "cfg!(loom)", "loom::"]
                .iter()
                .any(|it| line.contains(it));
            if names_loom && !(in_primitive || in_sys || is_root) {
                complain("names loom outside primitive/ and sys/");
            }
            let names_std = line.contains("std::sync::atomic")
                || line.contains("std::sync::Mutex")
                || line.contains("thread::spawn(");
            if names_std && !in_primitive {
                complain("names std's threads or atomics outside primitive/");
            }
            let names_system = ["rustix::", "libc::", "polling::"]
                .iter()
                .any(|it| line.contains(it));
            if names_system && !in_sys {
                complain("calls the system outside sys/");
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn protocol_files_import_only_what_loom_sees() {
    let allowed = [
        "crate::primitive::",
        "core::",
        "alloc::",
        "concurrent_queue::",
        "super::",
        "slab::",
    ];
    let mut complaints = Vec::new();
    let sources = sources();
    for &path in PROTOCOL_FILES {
        let source = sources.iter().find(|source| source.path == path);
        let source = source.unwrap_or_else(|| panic!("{path} is listed and not there"));
        let tests = source
            .lines
            .iter()
            .position(|line| line.trim() == "#[cfg(test)]");
        for (at, line) in source
            .lines
            .iter()
            .enumerate()
            .take(tests.unwrap_or(usize::MAX))
        {
            let Some(import) = code(line).trim_start().strip_prefix("use ") else {
                continue;
            };
            if !allowed.iter().any(|prefix| import.starts_with(prefix)) {
                complaints.push(format!("{path}:{}: imports {import}", at + 1));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn nothing_is_left_open() {
    let open = [
        "todo!(",
        "unimplemented!(",
        "#[ignore",
        "FIXME",
        "XXX",
        "dbg!(",
    ];
    let mut complaints = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| source.path != "tests/tidy.rs")
    {
        for (at, line) in source.lines.iter().enumerate() {
            if let Some(word) = open.iter().find(|word| line.contains(**word)) {
                complaints.push(format!("{}:{}: {word}", source.path, at + 1));
            }
        }
    }
    assert_none(&complaints);
}

#[test]
fn every_result_that_is_dropped_has_its_reason() {
    let mut complaints = Vec::new();
    let shipped = |source: &&Source| source.path.contains("src/");
    for source in sources().iter().filter(shipped) {
        for (at, line) in source.lines.iter().enumerate() {
            let drops = code(line).trim_start().starts_with("let _ =");
            let above = source.lines[at.saturating_sub(3)..at].iter();
            if drops
                && !above
                    .into_iter()
                    .any(|line| line.trim_start().starts_with("//"))
            {
                complaints.push(format!(
                    "{}:{}: `let _ =` without a reason",
                    source.path,
                    at + 1
                ));
            }
        }
    }
    assert_none(&complaints);
}
