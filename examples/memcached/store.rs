//! The items: sharded, limited in memory, the least recently used give way.
//!
//! # Invariants
//! - A shard's `bytes` is the sum over its items, and at most `bytes_max`.
//! - `places` and `items` have the same keys.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::lru::Lru;
use crate::protocol::{Mode, Store as StoreCommand, VALUE_BYTES_MAX};

/// Shards at most. A smaller memory has fewer, so that each holds several of the largest values.
const SHARDS_MAX: usize = 16;
const SHARD_BYTES_MIN: usize = 4 << 20;
/// What an item costs besides its key and value, roughly.
const ITEM_BYTES: usize = 128;
/// A time to live above this is an instant of the calendar, as the protocol says.
const RELATIVE_MAX: Duration = Duration::from_secs(60 * 60 * 24 * 30);

/// All items of the process.
pub(crate) struct Store {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    cas: AtomicU64,
    started: Instant,
    pub(crate) counts: Counts,
}

/// What happened so far.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) hits: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) sets: AtomicU64,
    pub(crate) evictions: AtomicU64,
}

struct Shard {
    places: HashMap<Arc<[u8]>, usize>,
    items: Lru<Item>,
    bytes: usize,
    bytes_max: usize,
    /// What was stored before this instant is gone from then on.
    flushed: Option<Instant>,
}

struct Item {
    key: Arc<[u8]>,
    found: Found,
    stored: Instant,
    expires: Option<Instant>,
}

/// What a `get` is answered with.
#[derive(Clone)]
pub(crate) struct Found {
    pub(crate) value: Arc<[u8]>,
    pub(crate) flags: u32,
    pub(crate) cas: u64,
}

/// How a change turned out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Changed {
    Done,
    /// The condition of `add`, `replace`, `append` or `prepend` does not hold.
    NotStored,
    /// Somebody else changed it since `gets`.
    Exists,
    NotFound,
    TooLarge,
    NotANumber,
    /// The number after `incr` or `decr`.
    Number(u64),
}

impl Store {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let count = (bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX);
        let shard = || Shard {
            places: HashMap::new(),
            items: Lru::new(),
            bytes: 0,
            bytes_max: bytes_max / count,
            flushed: None,
        };
        Self {
            shards: (0..count).map(|_| Mutex::new(shard())).collect(),
            hasher: RandomState::new(),
            cas: AtomicU64::new(1),
            started: Instant::now(),
            counts: Counts::default(),
        }
    }

    fn shard(&self, key: &[u8]) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(key);
        let at = usize::try_from(hash % self.shards.len() as u64).unwrap_or(0);
        lock(&self.shards[at])
    }

    fn next_cas(&self) -> u64 {
        self.cas.fetch_add(1, Relaxed)
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<Found> {
        let found = self.shard(key).find(key).map(|item| item.found.clone());
        let count = match found {
            Some(_) => &self.counts.hits,
            None => &self.counts.misses,
        };
        count.fetch_add(1, Relaxed);
        found
    }

    /// Stores a value as `command` says. `exptime` is the protocol's. A `set` that is too large removes
    /// the item: as in memcached nobody is to read what was meant to be replaced.
    pub(crate) fn store(&self, command: &StoreCommand<'_>) -> Changed {
        self.counts.sets.fetch_add(1, Relaxed);
        let mut shard = self.shard(command.key);
        let old = shard.find(command.key).map(|item| &item.found);
        let (mut flags, mut expires) = (command.flags, instant(command.exptime));
        let value: Arc<[u8]> = match (command.mode, old) {
            (Mode::Set, _) | (Mode::Add, None) | (Mode::Replace, Some(_)) => command.value.into(),
            (Mode::Cas(cas), Some(old)) if old.cas == cas => command.value.into(),
            (Mode::Cas(_), Some(_)) => return Changed::Exists,
            (Mode::Cas(_), None) => return Changed::NotFound,
            (Mode::Append | Mode::Prepend, Some(old)) => {
                let (first, second) = match command.mode {
                    Mode::Append => (&*old.value, command.value),
                    _ => (command.value, &*old.value),
                };
                flags = old.flags;
                let joined = [first, second].concat().into();
                expires = shard.find(command.key).and_then(|item| item.expires);
                joined
            }
            _ => return Changed::NotStored,
        };
        let is_too_long = value.len() > VALUE_BYTES_MAX;
        if is_too_long || item_bytes(command.key, &value) > shard.bytes_max {
            if command.mode == Mode::Set {
                shard.remove(command.key);
            }
            return Changed::TooLarge;
        }
        let found = Found {
            value,
            flags,
            cas: self.next_cas(),
        };
        let evicted = shard.put(command.key, found, expires);
        self.counts.evictions.fetch_add(evicted, Relaxed);
        Changed::Done
    }

    /// Removes what a `set` whose value was not even read was to replace.
    pub(crate) fn forget(&self, key: &[u8]) {
        self.shard(key).remove(key);
    }

    pub(crate) fn delete(&self, key: &[u8]) -> Changed {
        let mut shard = self.shard(key);
        if shard.find(key).is_none() {
            return Changed::NotFound;
        }
        shard.remove(key);
        Changed::Done
    }

    /// Adds to a number in decimal digits, round the end of 64 bits, or subtracts, down to 0.
    pub(crate) fn count(&self, key: &[u8], by: u64, is_up: bool) -> Changed {
        let mut shard = self.shard(key);
        let Some(item) = shard.find(key) else {
            return Changed::NotFound;
        };
        let text = std::str::from_utf8(&item.found.value).unwrap_or("");
        let Ok(number) = text.trim_end().parse::<u64>() else {
            return Changed::NotANumber;
        };
        let number = match is_up {
            true => number.wrapping_add(by),
            false => number.saturating_sub(by),
        };
        let (flags, expires) = (item.found.flags, item.expires);
        let found = Found {
            value: number.to_string().into_bytes().into(),
            flags,
            cas: self.next_cas(),
        };
        let evicted = shard.put(key, found, expires);
        self.counts.evictions.fetch_add(evicted, Relaxed);
        Changed::Number(number)
    }

    pub(crate) fn touch(&self, key: &[u8], exptime: i64) -> Changed {
        match self.shard(key).find(key) {
            Some(item) => {
                item.expires = instant(exptime);
                Changed::Done
            }
            None => Changed::NotFound,
        }
    }

    /// Forgets everything after `delay`.
    pub(crate) fn flush(&self, delay: Duration) {
        let at = Instant::now().checked_add(delay);
        for shard in &self.shards {
            let mut shard = lock(shard);
            shard.flushed = at;
            if delay.is_zero() {
                (shard.places, shard.items) = (HashMap::new(), Lru::new());
                shard.bytes = 0;
            }
        }
    }

    /// Names and values for `stats`.
    pub(crate) fn stats(&self) -> Vec<(&'static str, u64)> {
        let (mut items, mut bytes, mut bytes_max) = (0, 0, 0);
        for shard in &self.shards {
            let shard = lock(shard);
            items += shard.places.len() as u64;
            bytes += shard.bytes as u64;
            bytes_max += shard.bytes_max as u64;
        }
        let count = |counter: &AtomicU64| counter.load(Relaxed);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        vec![
            ("pid", u64::from(std::process::id())),
            ("uptime", self.started.elapsed().as_secs()),
            ("time", since.map_or(0, |since| since.as_secs())),
            ("pointer_size", u64::from(usize::BITS)),
            ("curr_items", items),
            ("bytes", bytes),
            ("limit_maxbytes", bytes_max),
            ("get_hits", count(&self.counts.hits)),
            ("get_misses", count(&self.counts.misses)),
            (
                "cmd_get",
                count(&self.counts.hits) + count(&self.counts.misses),
            ),
            ("cmd_set", count(&self.counts.sets)),
            ("evictions", count(&self.counts.evictions)),
        ]
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Nothing panics under the lock but an allocation that fails, which ends the process.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shard {
    /// The item of a key, now the one that was used last. One that is over is removed.
    fn find(&mut self, key: &[u8]) -> Option<&mut Item> {
        let at = *self.places.get(key)?;
        let now = Instant::now();
        let flushed = self.flushed.filter(|&flushed| flushed <= now);
        let is_over = self.items.get_mut(at).is_none_or(|item| {
            item.expires.is_some_and(|expires| expires <= now)
                || flushed.is_some_and(|flushed| item.stored <= flushed)
        });
        if is_over {
            self.remove(key);
            return None;
        }
        self.items.touch(at);
        self.items.get_mut(at)
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(item) = self.places.remove(key).and_then(|at| self.items.remove(at)) {
            self.bytes -= item.bytes();
        }
    }

    /// Puts an item in the place of the one that there may be, and tells how many gave way to it. It
    /// must not be larger than the shard.
    fn put(&mut self, key: &[u8], found: Found, expires: Option<Instant>) -> u64 {
        self.remove(key);
        let item = Item {
            key: key.into(),
            found,
            stored: Instant::now(),
            expires,
        };
        let mut evicted = 0;
        while self.bytes + item.bytes() > self.bytes_max
            && let Some(oldest) = self.items.pop()
        {
            self.places.remove(&oldest.key);
            self.bytes -= oldest.bytes();
            evicted += 1;
        }
        self.bytes += item.bytes();
        let key = Arc::clone(&item.key);
        let at = self.items.insert(item);
        self.places.insert(key, at);
        evicted
    }
}

impl Item {
    fn bytes(&self) -> usize {
        item_bytes(&self.key, &self.found.value)
    }
}

fn item_bytes(key: &[u8], value: &[u8]) -> usize {
    ITEM_BYTES + key.len() + value.len()
}

/// When an item of this `exptime` is over: 0 never, below 0 at once, up to 30 days from now, else
/// seconds of the calendar.
fn instant(exptime: i64) -> Option<Instant> {
    let now = Instant::now();
    if exptime == 0 {
        return None;
    }
    let Ok(seconds) = u64::try_from(exptime) else {
        return Some(now);
    };
    let given = Duration::from_secs(seconds);
    if given <= RELATIVE_MAX {
        return now.checked_add(given);
    }
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since = since.unwrap_or(Duration::ZERO);
    now.checked_add(given.saturating_sub(since))
}
