//! `select!`

/// Waits for the first of several futures in one task, and runs what stands behind it.
///
/// A branch is `pattern = future => handler` or `pattern = future, if condition => handler`. All
/// conditions are evaluated first, then all futures, also those of branches that are disabled. An
/// output that does not match its pattern disables its branch. With all branches disabled `else`
/// runs; without an `else` that is a panic. The branches are polled from a random one on, or with
/// `biased;` in front in the order in which they stand.
///
/// # Cancel safety
///
/// The futures that did not win are dropped (or, taken by reference, not polled any more).
///
/// # Examples
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// let first = tokio::select! {
///     _ = std::future::pending::<()>() => "never",
///     Some(text) = async { Some("now") } => text,
/// };
/// assert_eq!(first, "now");
/// # });
/// ```
#[macro_export]
macro_rules! select {
    // ---- all branches munched: { names pattern, future, condition, handler } ----
    (@expand [$start:ident] [$({
        $future:ident $output:ident $pattern:pat = ($init:expr) if ($condition:expr) => ($handler:expr)
    })+] else $else:expr) => {{
        let chosen = {
            let mut is_enabled = [$($condition),+];
            // First as they are, in a statement of their own, so that temporaries that they borrow
            // live as long as they do.
            let futures = ($($init,)+);
            let ($($future,)+) = futures;
            let mut futures = ($($crate::macros::support::IntoFuture::into_future($future),)+);
            // By reference: a `poll_fn` that owned them could be moved between polls.
            let futures = &mut futures;

            $crate::macros::support::poll_fn(|cx| {
                if $crate::macros::support::poll_budget_available(cx).is_pending() {
                    return $crate::macros::support::Poll::Pending;
                }
                let ($($future,)+) = &mut *futures;
                $(let mut $output = ::core::option::Option::None;)+
                let mut is_chosen = false;
                let mut is_pending = false;
                let count = is_enabled.len();
                let start = $crate::select!(@first $start count);
                for turn in start..start + count {
                    let branch = turn % count;
                    let mut at = 0;
                    $(
                        'branch: {
                            if branch != at || !is_enabled[at] {
                                break 'branch;
                            }
                            // SAFETY: the future lies in the tuple above, which is never moved nor
                            // moved out of.
                            let future = unsafe {
                                $crate::macros::support::Pin::new_unchecked(&mut *$future)
                            };
                            let output = match $crate::macros::support::Future::poll(future, cx) {
                                $crate::macros::support::Poll::Ready(output) => output,
                                $crate::macros::support::Poll::Pending => {
                                    is_pending = true;
                                    break 'branch;
                                }
                            };
                            // A pattern that always matches, or an output that cannot exist.
                            #[allow(
                                unused_variables,
                                unused_mut,
                                unreachable_patterns,
                                unreachable_code
                            )]
                            {
                                is_enabled[at] = false;
                                match &output {
                                    $crate::select_priv_clean_pattern!($pattern) => {
                                        is_chosen = true;
                                        $output = ::core::option::Option::Some(output);
                                    }
                                    _ => {}
                                }
                            }
                        }
                        at += 1;
                    )+
                    // The last step counts for nobody.
                    let _ = at;
                    if is_chosen {
                        break;
                    }
                }
                if is_chosen {
                    $crate::macros::support::Poll::Ready(
                        ::core::option::Option::Some(($($output,)+)),
                    )
                } else if is_pending {
                    $crate::macros::support::Poll::Pending
                } else {
                    $crate::macros::support::Poll::Ready(::core::option::Option::None)
                }
            }).await
        };
        match chosen {
            ::core::option::Option::None => $else,
            ::core::option::Option::Some(($($output,)+)) => {
                $(if let ::core::option::Option::Some(output) = $output {
                    // For patterns with `ref mut`.
                    #[allow(unused_mut)]
                    let mut output = output;
                    match output {
                        $pattern => $handler,
                        #[allow(unreachable_patterns)]
                        _ => unreachable!("the output matched the pattern before"),
                    }
                } else)+ {
                    unreachable!("one branch was chosen")
                }
            }
        }
    }};

    (@first biased $count:ident) => { 0 };
    (@first random $count:ident) => { $crate::macros::support::random_below($count) };

    // ---- one branch after the other ----
    (@munch $start:tt $done:tt) => {
        $crate::select!(@expand $start $done
            else panic!("all branches are disabled and there is no else branch"))
    };
    (@munch $start:tt $done:tt else => $else:expr $(,)?) => {
        $crate::select!(@expand $start $done else $else)
    };
    (@munch $start:tt [$($done:tt)*] $p:pat = $f:expr, if $c:expr => $h:block, $($rest:tt)*) => {
        $crate::select!(@munch $start
            [$($done)* { future output $p = ($f) if ($c) => ($h) }] $($rest)*)
    };
    (@munch $start:tt [$($done:tt)*] $p:pat = $f:expr => $h:block, $($rest:tt)*) => {
        $crate::select!(@munch $start
            [$($done)* { future output $p = ($f) if (true) => ($h) }] $($rest)*)
    };
    (@munch $start:tt [$($done:tt)*] $p:pat = $f:expr, if $c:expr => $h:block $($rest:tt)*) => {
        $crate::select!(@munch $start
            [$($done)* { future output $p = ($f) if ($c) => ($h) }] $($rest)*)
    };
    (@munch $start:tt [$($done:tt)*] $p:pat = $f:expr => $h:block $($rest:tt)*) => {
        $crate::select!(@munch $start
            [$($done)* { future output $p = ($f) if (true) => ($h) }] $($rest)*)
    };
    (@munch $start:tt [$($done:tt)*] $p:pat = $f:expr, if $c:expr => $h:expr) => {
        $crate::select!(@munch $start [$($done)* { future output $p = ($f) if ($c) => ($h) }])
    };
    (@munch $start:tt [$($done:tt)*] $p:pat = $f:expr => $h:expr) => {
        $crate::select!(@munch $start [$($done)* { future output $p = ($f) if (true) => ($h) }])
    };
    (@munch $start:tt [$($done:tt)*] $p:pat = $f:expr, if $c:expr => $h:expr, $($rest:tt)*) => {
        $crate::select!(@munch $start
            [$($done)* { future output $p = ($f) if ($c) => ($h) }] $($rest)*)
    };
    (@munch $start:tt [$($done:tt)*] $p:pat = $f:expr => $h:expr, $($rest:tt)*) => {
        $crate::select!(@munch $start
            [$($done)* { future output $p = ($f) if (true) => ($h) }] $($rest)*)
    };

    // ---- what the caller writes ----
    ($(biased;)? else => $else:expr $(,)?) => {{ $else }};
    (biased; $p:pat = $($rest:tt)*) => { $crate::select!(@munch [biased] [] $p = $($rest)*) };
    ($p:pat = $($rest:tt)*) => { $crate::select!(@munch [random] [] $p = $($rest)*) };
    () => { compile_error!("select! requires at least one branch.") };
}
