//! A counter of permits that tasks take and give back.
//!
//! Place: called by tasks and threads; calls `permits`.

use std::sync::Arc;

use super::blocking::block_on;
use super::permits::{AcquireError, Permits, TryAcquireError};
use crate::primitive::constructor;

/// Lets a limited number of tasks do something at once.
///
/// Permits are given in the order in which they were asked for: a task that asks for many is not
/// overtaken by tasks that ask for few.
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// use tokio::sync::Semaphore;
///
/// let connections = Semaphore::new(2);
/// let first = connections.acquire().await.unwrap();
/// let _second = connections.acquire().await.unwrap();
/// assert!(connections.try_acquire().is_err());
/// drop(first);
/// assert!(connections.try_acquire().is_ok());
/// # });
/// ```
#[derive(Debug)]
pub struct Semaphore {
    permits: Permits,
}

/// Permits of a [`Semaphore`], given back when dropped.
#[must_use]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    sem: &'a Semaphore,
    permits: usize,
}

/// Permits of a [`Semaphore`] that is kept in an `Arc`, given back when dropped.
#[must_use]
#[clippy::has_significant_drop]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    sem: Arc<Semaphore>,
    permits: usize,
}

impl Semaphore {
    /// The largest number of permits: `usize::MAX >> 3`.
    pub const MAX_PERMITS: usize = Permits::MAX;

    /// A semaphore with so many permits.
    ///
    /// # Panics
    ///
    /// If `permits` exceeds [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[track_caller]
    pub fn new(permits: usize) -> Self {
        Self {
            permits: Permits::new(permits),
        }
    }

    constructor! {
        /// A semaphore for a `static`.
        ///
        /// # Panics
        ///
        /// If `permits` exceeds [`MAX_PERMITS`](Self::MAX_PERMITS).
        pub const fn const_new(permits: usize) -> Self {
            Self { permits: Permits::const_new(permits) }
        }
    }

    constructor! {
        /// A semaphore that is closed from the beginning.
        pub(super) const fn const_new_closed() -> Self {
            Self { permits: Permits::const_new_closed() }
        }
    }

    /// How many permits are free now.
    pub fn available_permits(&self) -> usize {
        self.permits.available()
    }

    /// Adds permits, and lets in those who wait for them.
    ///
    /// # Panics
    ///
    /// If there would be more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    pub fn add_permits(&self, n: usize) {
        self.permits.give(n);
    }

    /// Takes up to `n` of the free permits away for good. Gives how many were taken.
    pub fn forget_permits(&self, n: usize) -> usize {
        self.permits.forget(n)
    }

    /// Takes a permit, waiting for it.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or becomes so meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost.
    pub async fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.permits.take(1).await?;
        Ok(self.permit(1))
    }

    /// Takes `n` permits, waiting for them.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or becomes so meanwhile.
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost; permits that were collected go to the next.
    pub async fn acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.permits.take(n as usize).await?;
        Ok(self.permit(n as usize))
    }

    /// Takes a permit if one is free.
    ///
    /// # Errors
    ///
    /// If none is, or the semaphore is closed.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.permits.try_take(1)?;
        Ok(self.permit(1))
    }

    /// Takes `n` permits if so many are free.
    ///
    /// # Errors
    ///
    /// If fewer are, or the semaphore is closed.
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`MAX_PERMITS`](Self::MAX_PERMITS).
    pub fn try_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.permits.try_take(n as usize)?;
        Ok(self.permit(n as usize))
    }

    /// Takes a permit; the thread sleeps until it has it.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or becomes so meanwhile.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks.
    #[track_caller]
    pub fn blocking_acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        block_on(self.acquire())
    }

    /// Takes `n` permits; the thread sleeps until it has them.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or becomes so meanwhile.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks; if `n` exceeds [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[track_caller]
    pub fn blocking_acquire_many(&self, n: u32) -> Result<SemaphorePermit<'_>, AcquireError> {
        block_on(self.acquire_many(n))
    }

    /// Takes a permit that keeps the semaphore alive, waiting for it.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or becomes so meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost.
    pub async fn acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.permits.take(1).await?;
        Ok(self.owned_permit(1))
    }

    /// Takes `n` permits that keep the semaphore alive, waiting for them.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or becomes so meanwhile.
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost; permits that were collected go to the next.
    pub async fn acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.permits.take(n as usize).await?;
        Ok(self.owned_permit(n as usize))
    }

    /// Takes a permit that keeps the semaphore alive, if one is free.
    ///
    /// # Errors
    ///
    /// If none is, or the semaphore is closed.
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.permits.try_take(1)?;
        Ok(self.owned_permit(1))
    }

    /// Takes `n` permits that keep the semaphore alive, if so many are free.
    ///
    /// # Errors
    ///
    /// If fewer are, or the semaphore is closed.
    ///
    /// # Panics
    ///
    /// If `n` exceeds [`MAX_PERMITS`](Self::MAX_PERMITS).
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.permits.try_take(n as usize)?;
        Ok(self.owned_permit(n as usize))
    }

    /// As [`blocking_acquire`](Self::blocking_acquire), with a permit that keeps the semaphore
    /// alive.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or becomes so meanwhile.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks.
    #[track_caller]
    pub fn blocking_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        block_on(self.acquire_owned())
    }

    /// As [`blocking_acquire_many`](Self::blocking_acquire_many), with a permit that keeps the
    /// semaphore alive.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or becomes so meanwhile.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks; if `n` exceeds [`MAX_PERMITS`](Self::MAX_PERMITS).
    #[track_caller]
    pub fn blocking_acquire_many_owned(
        self: Arc<Self>,
        n: u32,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        block_on(self.acquire_many_owned(n))
    }

    /// Gives no permit any more, and ends all waits with an error. Permits that were taken stay
    /// valid.
    pub fn close(&self) {
        self.permits.close();
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.permits.is_closed()
    }

    fn permit(&self, permits: usize) -> SemaphorePermit<'_> {
        SemaphorePermit { sem: self, permits }
    }

    fn owned_permit(self: Arc<Self>, permits: usize) -> OwnedSemaphorePermit {
        OwnedSemaphorePermit { sem: self, permits }
    }
}

impl<'a> SemaphorePermit<'a> {
    /// Lets the permits disappear: the semaphore has so many fewer from now on.
    pub fn forget(mut self) {
        self.permits = 0;
    }

    /// Adds the permits of `other` to this one.
    ///
    /// # Panics
    ///
    /// If they are of another semaphore.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            std::ptr::eq(self.sem, other.sem),
            "merging permits from different semaphore instances"
        );
        self.permits = sum(self.permits, std::mem::take(&mut other.permits));
    }

    /// Takes `n` permits out of this one. None if it has fewer.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(n)?;
        Some(self.sem.permit(n))
    }

    /// The semaphore that gave the permits.
    pub fn semaphore(&self) -> &Semaphore {
        self.sem
    }

    /// How many there are.
    pub fn num_permits(&self) -> usize {
        self.permits
    }
}

impl OwnedSemaphorePermit {
    /// Lets the permits disappear: the semaphore has so many fewer from now on.
    pub fn forget(mut self) {
        self.permits = 0;
    }

    /// Adds the permits of `other` to this one.
    ///
    /// # Panics
    ///
    /// If they are of another semaphore.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            Arc::ptr_eq(&self.sem, &other.sem),
            "merging permits from different semaphore instances"
        );
        self.permits = sum(self.permits, std::mem::take(&mut other.permits));
    }

    /// Takes `n` permits out of this one. None if it has fewer.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(n)?;
        Some(Arc::clone(&self.sem).owned_permit(n))
    }

    /// The semaphore that gave the permits.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.sem
    }

    /// How many there are.
    pub fn num_permits(&self) -> usize {
        self.permits
    }
}

#[track_caller]
fn sum(one: usize, other: usize) -> usize {
    one.checked_add(other)
        .expect("number of permits overflowed")
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        self.sem.permits.give(self.permits);
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        self.sem.permits.give(self.permits);
    }
}
