//! Traits, adapters and utilities for asynchronous reading and writing.
