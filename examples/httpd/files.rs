//! The files that a loop has open.
//!
//! Place: plain memory of one loop; what may wait for the disk runs on the blocking pool.
//!
//! # Invariants
//! - Nothing is handed out that was looked at before the last second, except while somebody looks
//!   anew: then the others go on with what was there.
//! - What is in the table has limits: descriptors, bytes, entries. A table that is full begins anew;
//!   answers under way keep what they send.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::SystemTime;

use httpdate::HttpDate;
use oneloop::net::zero_copy::read_ahead;
use oneloop::task::spawn_blocking;
use rustix::fs::OFlags;

use super::target;

/// Files that one loop knows.
const FILES_MAX: usize = 4096;
/// Descriptors that one loop keeps open.
pub(crate) const DESCRIPTORS_MAX: usize = 256;
/// Bytes that one loop keeps in memory.
const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of one file that is kept, whatever was asked for: each client that does not read costs as
/// many.
const FILE_KEPT_BYTES_MAX: u64 = 64 * 1024;

/// A file that can be served.
#[derive(Debug)]
pub(crate) struct Servable {
    /// The status line and the lines that depend on the file alone.
    pub(crate) head: Vec<u8>,
    /// When it was changed last, as HTTP writes it.
    pub(crate) modified: String,
    pub(crate) content: Content,
    /// None if it has to be read anew the next time.
    stamp: Option<Stamp>,
}

/// Where the bytes are.
#[derive(Debug)]
pub(crate) enum Content {
    Kept(Vec<u8>),
    /// In the file, so many.
    Open(File, u64),
}

/// What tells that a file is still the same. Not the time that is shown to clients: any program may
/// set that, and copies and archives do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    /// When its content, name or rights were changed last: seconds, and nanoseconds of one more.
    changed: (i64, i64),
}

impl Stamp {
    /// None if it was changed within the second before `now`: the clocks of file systems are
    /// coarse, and one more change may bring the same time.
    fn of(metadata: &Metadata, now: SystemTime) -> Option<Self> {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let is_settled = metadata.ctime() + 1 < now.as_secs().cast_signed();
        is_settled.then(|| Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// What a target turned out to be.
#[derive(Debug)]
pub(crate) enum Found {
    File(Rc<Servable>),
    /// A folder, named without the slash at its end.
    Folder,
    Nothing,
    /// The system fails: too many descriptors are open, for instance.
    Failed,
}

/// What the blocking pool brings back.
enum Loaded {
    /// It has the stamp that is known.
    Same,
    File(Servable),
    Folder,
}

/// The files of one loop.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    keep_bytes_max: u64,
    /// By targets without their escapes: a file has one key, however it is spelt.
    table: RefCell<HashMap<Vec<u8>, Entry>>,
    descriptors: Cell<usize>,
    kept_bytes: Cell<u64>,
}

#[derive(Debug)]
struct Entry {
    file: Rc<Servable>,
    /// The second in which it was looked at last.
    looked_at: Cell<u64>,
}

impl Files {
    pub(crate) fn new(root: PathBuf, keep_bytes_max: u64) -> Self {
        Self {
            root,
            keep_bytes_max: keep_bytes_max.min(FILE_KEPT_BYTES_MAX),
            table: RefCell::default(),
            descriptors: Cell::new(0),
            kept_bytes: Cell::new(0),
        }
    }

    /// The file of a target, if it was looked at within this second. If not, the caller is the one
    /// to [`load`](Self::load) it.
    pub(crate) fn get(&self, target: &str, second: u64) -> Option<Rc<Servable>> {
        let table = self.table.borrow();
        let entry = table.get(&*target::decoded(target)?)?;
        let is_fresh = entry.looked_at.replace(second) == second;
        is_fresh.then(|| Rc::clone(&entry.file))
    }

    /// Looks at the file of a target.
    pub(crate) async fn load(&self, target: String, second: u64) -> Found {
        let Some(key) = target::decoded(&target) else {
            return Found::Nothing;
        };
        let Some(path) = target::path(&key) else {
            return Found::Nothing;
        };
        let known = self.table.borrow().get(&*key).map(|it| Rc::clone(&it.file));
        let stamp = known.as_ref().and_then(|file| file.stamp);
        let (path, keep_bytes_max) = (self.root.join(path), self.keep_bytes_max);
        let loading = spawn_blocking(move || load(&path, stamp, keep_bytes_max));
        let loaded = loading.await.unwrap_or_else(|error| Err(error.into()));
        match (loaded, known) {
            (Ok(Loaded::Same), Some(file)) => Found::File(file),
            (Ok(Loaded::File(file)), _) => {
                let file = Rc::new(file);
                self.insert(key.into_owned(), Rc::clone(&file), second);
                Found::File(file)
            }
            (other, _) => {
                self.remove(&key);
                match other {
                    Ok(_) => Found::Folder,
                    Err(error) if is_absence(&error) => Found::Nothing,
                    Err(_) => Found::Failed,
                }
            }
        }
    }

    fn insert(&self, key: Vec<u8>, file: Rc<Servable>, second: u64) {
        self.remove(&key);
        let (descriptors, kept_bytes) = file.content.cost();
        let is_full = self.table.borrow().len() >= FILES_MAX
            || self.descriptors.get() + descriptors > DESCRIPTORS_MAX
            || self.kept_bytes.get() + kept_bytes > KEPT_BYTES_MAX;
        if is_full {
            self.table.borrow_mut().clear();
            self.descriptors.set(0);
            self.kept_bytes.set(0);
        }
        self.descriptors.update(|count| count + descriptors);
        self.kept_bytes.update(|count| count + kept_bytes);
        let looked_at = Cell::new(second);
        self.table
            .borrow_mut()
            .insert(key, Entry { file, looked_at });
    }

    fn remove(&self, key: &[u8]) {
        let removed = self.table.borrow_mut().remove(key);
        let cost = removed.map_or((0, 0), |entry| entry.file.content.cost());
        self.descriptors.update(|count| count - cost.0);
        self.kept_bytes.update(|count| count - cost.1);
    }
}

impl Content {
    /// Descriptors and bytes.
    fn cost(&self) -> (usize, u64) {
        match self {
            Self::Kept(bytes) => (0, bytes.len() as u64),
            Self::Open(..) => (1, 0),
        }
    }
}

/// Opens a file, unless it has the stamp that is known. Waits for the disk.
fn load(path: &Path, known: Option<Stamp>, keep_bytes_max: u64) -> io::Result<Loaded> {
    let now = SystemTime::now();
    // Before it is opened: to open a device may do something.
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        return Ok(Loaded::Folder);
    }
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if known.is_some() && known == Stamp::of(&metadata, now) {
        return Ok(Loaded::Same);
    }
    let (file, metadata) = open(path)?;
    let length = metadata.len();
    let (length, content) = if length <= keep_bytes_max {
        let mut bytes = Vec::new();
        file.take(keep_bytes_max).read_to_end(&mut bytes)?;
        (bytes.len() as u64, Content::Kept(bytes))
    } else {
        // A hint: what is not read ahead is read when it is sent.
        let _ = read_ahead(&file, 0, length);
        (length, Content::Open(file, length))
    };
    let modified = last_modified(&metadata, now);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {length}\r\n\
         Last-Modified: {modified}\r\n",
        target::content_type(path)
    );
    Ok(Loaded::File(Servable {
        head: head.into_bytes(),
        modified,
        content,
        stamp: Stamp::of(&metadata, now),
    }))
}

/// The time to tell, as HTTP writes it. Not one that is still to come (RFC 9110, section 8.8.2.1), nor
/// one that HTTP has no date for: a file may have either.
fn last_modified(metadata: &Metadata, now: SystemTime) -> String {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    let modified = modified.min(now).max(SystemTime::UNIX_EPOCH);
    HttpDate::from(modified).to_string()
}

/// Opens a file, whose name may mean another one than a moment ago.
///
/// # Errors
///
/// `NotFound` also for what is no file.
fn open(path: &Path) -> io::Result<(File, Metadata)> {
    // A pipe does not wait for its other end.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok((file, metadata))
}

/// Whether it is the client that is wrong. What may not be read is not there for it.
fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::NotFound | Kind::NotADirectory | Kind::PermissionDenied | Kind::InvalidFilename
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::time::Duration;
    use std::{fs, thread};

    use super::*;

    /// How long what must not wait may take.
    const DEADLINE: Duration = Duration::from_secs(20);

    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = folder("no_file");
        let pipe = folder.join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        for path in [pipe.as_path(), &folder, Path::new("/dev/null")] {
            let path = path.to_owned();
            let (sender, receiver) = mpsc::channel();
            thread::spawn(move || sender.send(open(&path).map(drop)));
            let error = receiver.recv_timeout(DEADLINE).unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_has_just_changed_has_no_stamp() {
        let folder = folder("stamp");
        let path = folder.join("file");
        fs::write(&path, "bytes").unwrap();
        let metadata = path.metadata().unwrap();
        let now = SystemTime::now();
        assert_eq!(Stamp::of(&metadata, now), None);
        let later = now + Duration::from_secs(2);
        let stamp = Stamp::of(&metadata, later).unwrap();
        // With the same bytes, times and name.
        fs::copy(&path, folder.join("copy")).unwrap();
        let copy = File::options()
            .write(true)
            .open(folder.join("copy"))
            .unwrap();
        copy.set_modified(metadata.modified().unwrap()).unwrap();
        fs::rename(folder.join("copy"), &path).unwrap();
        let other = path.metadata().unwrap();
        assert_eq!(other.modified().unwrap(), metadata.modified().unwrap());
        assert_ne!(Stamp::of(&other, later), Some(stamp));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn no_file_was_modified_in_the_future_or_before_1970() {
        let folder = folder("modified");
        let path = folder.join("file");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
        let year = Duration::from_secs(365 * 86_400);
        for (modified, told) in [
            (now + 9_000 * year, "Fri, 02 Jan 1970 00:00:00 GMT"),
            (
                now + Duration::from_secs(1),
                "Fri, 02 Jan 1970 00:00:00 GMT",
            ),
            (
                now - Duration::from_secs(1),
                "Thu, 01 Jan 1970 23:59:59 GMT",
            ),
            (now - 2 * year, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            let file = File::create(&path).unwrap();
            // Where the file system has no such time it takes the nearest.
            file.set_modified(modified).unwrap();
            assert_eq!(last_modified(&file.metadata().unwrap(), now), told);
        }
        fs::remove_dir_all(folder).unwrap();
    }

    /// An empty folder of one test.
    fn folder(test: &str) -> PathBuf {
        let name = format!("oneloop-httpd-{}-{test}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    }
}
