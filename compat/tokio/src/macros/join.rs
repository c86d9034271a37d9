//! `join!` and `try_join!`

/// Waits for all of several futures in one task; their outputs as a tuple.
///
/// The futures are polled in turns, another one first each time; with `biased;` in front, in the
/// order in which they stand.
///
/// # Examples
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let (one, two) = tokio::join!(async { 1 }, async { 2 });
/// assert_eq!(one + two, 3);
/// # });
/// ```
#[macro_export]
macro_rules! join {
    (@order $order:ident [$({ $future:ident $init:expr })+]) => {{
        let mut futures = ($($crate::macros::support::maybe_done($init),)+);
        // By reference: a `poll_fn` that owned them could be moved between polls.
        let futures = &mut futures;
        let mut order = $crate::macros::support::$order::default();
        $crate::macros::support::poll_fn(move |cx| {
            let ($($future,)+) = &mut *futures;
            // SAFETY: the futures lie in the tuple above, which is never moved nor moved out of.
            $(let mut $future = unsafe {
                $crate::macros::support::Pin::new_unchecked($future)
            };)+
            let count = [$(stringify!($init)),+].len();
            let first = $crate::macros::support::Order::first(&mut order, count);
            let mut all_done = true;
            for turn in first..first + count {
                let mut at = 0;
                $(
                    if turn % count == at {
                        all_done &= $future.as_mut().poll(cx);
                    }
                    at += 1;
                )+
                // The last step counts for nobody.
                let _ = at;
            }
            if !all_done {
                return $crate::macros::support::Poll::Pending;
            }
            // An output that cannot exist makes the rest unreachable.
            #[allow(unreachable_code)]
            $crate::macros::support::Poll::Ready(($($future.take_output().expect("all futures are done"),)+))
        }).await
    }};

    (@munch $order:ident [$($done:tt)*] $init:expr, $($rest:tt)*) => {
        $crate::join!(@munch $order [$($done)* { future $init }] $($rest)*)
    };
    (@munch $order:ident [$($done:tt)+]) => {
        $crate::join!(@order $order [$($done)+])
    };

    (biased; $($init:expr),+ $(,)?) => { $crate::join!(@munch Biased [] $($init,)+) };
    ($($init:expr),+ $(,)?) => { $crate::join!(@munch TakingTurns [] $($init,)+) };
    ($(biased;)?) => { async {}.await };
}

/// As [`join!`](crate::join), for futures with a `Result`: done with the first error, else with
/// `Ok` and a tuple.
#[macro_export]
macro_rules! try_join {
    (@order $order:ident [$({ $future:ident $init:expr })+]) => {{
        let mut futures = ($($crate::macros::support::maybe_done($init),)+);
        // By reference: a `poll_fn` that owned them could be moved between polls.
        let futures = &mut futures;
        let mut order = $crate::macros::support::$order::default();
        $crate::macros::support::poll_fn(move |cx| {
            let ($($future,)+) = &mut *futures;
            // SAFETY: the futures lie in the tuple above, which is never moved nor moved out of.
            $(let mut $future = unsafe {
                $crate::macros::support::Pin::new_unchecked($future)
            };)+
            let count = [$(stringify!($init)),+].len();
            let first = $crate::macros::support::Order::first(&mut order, count);
            let mut all_done = true;
            for turn in first..first + count {
                let mut at = 0;
                $(
                    if turn % count == at {
                        if !$future.as_mut().poll(cx) {
                            all_done = false;
                        } else if $future
                            .as_mut()
                            .output_mut()
                            .expect("the future is done")
                            .is_err()
                        {
                            let output = $future.take_output().expect("the future is done");
                            return $crate::macros::support::Poll::Ready(Err(output.err().expect("it is an error")));
                        }
                    }
                    at += 1;
                )+
                // The last step counts for nobody.
                let _ = at;
            }
            if !all_done {
                return $crate::macros::support::Poll::Pending;
            }
            // An output that cannot exist makes the rest unreachable.
            #[allow(unreachable_code)]
            $crate::macros::support::Poll::Ready(Ok(($(
                $future
                    .take_output()
                    .expect("all futures are done")
                    .ok()
                    .expect("errors were returned above"),
            )+)))
        }).await
    }};

    (@munch $order:ident [$($done:tt)*] $init:expr, $($rest:tt)*) => {
        $crate::try_join!(@munch $order [$($done)* { future $init }] $($rest)*)
    };
    (@munch $order:ident [$($done:tt)+]) => {
        $crate::try_join!(@order $order [$($done)+])
    };

    (biased; $($init:expr),+ $(,)?) => { $crate::try_join!(@munch Biased [] $($init,)+) };
    ($($init:expr),+ $(,)?) => { $crate::try_join!(@munch TakingTurns [] $($init,)+) };
    ($(biased;)?) => { async { Ok(()) }.await };
}
