//! `pin!`

/// Pins values to the stack: variables that are there already, or, with `let`, new ones.
///
/// # Examples
///
/// ```
/// # async fn run() {}
/// # fn poll(_: std::pin::Pin<&mut impl Future>) {}
/// let one = run();
/// tokio::pin!(one);
/// poll(one.as_mut());
///
/// tokio::pin! {
///     let other = run();
/// }
/// poll(other.as_mut());
/// ```
#[macro_export]
macro_rules! pin {
    ($($name:ident),* $(,)?) => {$(
        // The value moves into a place that nothing but the pointer below can name any more.
        let mut $name = $name;
        #[allow(unused_mut)]
        let mut $name = ::core::pin::pin!($name);
    )*};
    ($(let $name:ident = $init:expr;)*) => {$(
        #[allow(unused_mut)]
        let mut $name = ::core::pin::pin!($init);
    )*};
}
