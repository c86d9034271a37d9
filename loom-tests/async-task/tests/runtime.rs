//! The models of the whole runtime once more, with async-task's state visible.

#![cfg(loom)]

#[path = "../../tests/runtime.rs"]
mod models;
