//! Channels, locks and notifications for tasks.
