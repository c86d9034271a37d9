//! What `gate` is made of: std's here. The model of it includes that file beside loom's.

pub(super) use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
pub(super) use std::sync::{Arc, Mutex, MutexGuard};
