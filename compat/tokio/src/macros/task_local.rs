//! `task_local!`

/// Declares values that a task carries along: see [`LocalKey`](crate::task::LocalKey).
///
/// # Examples
///
/// ```
/// tokio::task_local! {
///     /// The request that is served.
///     pub static REQUEST: u32;
/// }
/// assert_eq!(REQUEST.sync_scope(7, || REQUEST.get()), 7);
/// ```
#[macro_export]
macro_rules! task_local {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident: $type:ty);* $(;)?) => {$(
        $(#[$attribute])*
        $visibility static $name: $crate::task::LocalKey<$type> = {
            ::std::thread_local! {
                static SLOT: ::std::cell::RefCell<::std::option::Option<$type>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            $crate::task::LocalKey::__new(SLOT)
        };
    )*};
}
