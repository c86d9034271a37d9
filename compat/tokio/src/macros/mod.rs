//! The macros that are not attributes, and what their expansions call.
//!
//! Each munches its branches one by one and gives each the names it needs. A name that one step
//! introduces differs from the same name of every other step (macros are hygienic), so that the
//! last step can speak of "the future of this branch" without counting.

#[cfg(feature = "macros")]
mod join;
mod pin;
#[cfg(feature = "macros")]
mod select;
#[cfg(feature = "rt")]
mod task_local;

/// What the expansions of macros name. No part of the public API.
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod support;
