//! What the tests share: runtimes of each kind, a deadline, and futures that tell their fate.

use std::future::poll_fn;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::TryRecvError;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use oneloop::runtime::{Builder, Runtime};

/// A runtime of two loops, one of one loop, and a current-thread one.
pub(crate) fn each_runtime() -> Vec<Runtime> {
    vec![two_loops(), one_loop(), current_thread()]
}

pub(crate) fn two_loops() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
}

pub(crate) fn one_loop() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap()
}

pub(crate) fn current_thread() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

/// Runs a test body on a thread of its own, and fails if it takes longer than 20 s.
#[track_caller]
pub(crate) fn within_deadline(body: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let thread = thread::spawn(move || {
        body();
        // The receiver is gone only if the deadline has passed.
        let _ = done.send(());
    });
    match wait.recv_timeout(Duration::from_secs(20)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
        _ => {
            if let Err(payload) = thread.join() {
                std::panic::resume_unwind(payload);
            }
        }
    }
}

/// Runs a test alone in a process of its own: where it counts what belongs to all threads. `name` is
/// the test's full name.
#[track_caller]
pub(crate) fn in_own_process(name: &str, test: impl FnOnce() + Send + 'static) {
    const OWN_PROCESS: &str = "ONELOOP_TEST_IN_OWN_PROCESS";
    if std::env::var_os(OWN_PROCESS).is_some() {
        return within_deadline(test);
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(OWN_PROCESS, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{name} in its own process: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// Counts polls and drops of the futures made from it, and where they happened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fate {
    pub(crate) drops: Arc<AtomicUsize>,
    threads: Arc<Mutex<Vec<ThreadId>>>,
}

impl Fate {
    /// A future that never ends.
    pub(crate) fn pending(&self) -> Fated {
        Fated {
            fate: self.clone(),
            polled_on: None,
        }
    }

    pub(crate) fn drops(&self) -> usize {
        self.drops.load(Ordering::SeqCst)
    }

    /// The threads on which futures were dropped.
    pub(crate) fn drop_threads(&self) -> Vec<ThreadId> {
        self.threads.lock().unwrap().clone()
    }
}

#[derive(Debug)]
pub(crate) struct Fated {
    fate: Fate,
    polled_on: Option<ThreadId>,
}

impl Future for Fated {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let here = thread::current().id();
        assert_eq!(
            *self.polled_on.get_or_insert(here),
            here,
            "polled on two threads"
        );
        Poll::Pending
    }
}

impl Drop for Fated {
    fn drop(&mut self) {
        let here = thread::current().id();
        if let Some(home) = self.polled_on {
            assert_eq!(home, here, "dropped on another thread than polled");
        }
        self.fate.threads.lock().unwrap().push(here);
        self.fate.drops.fetch_add(1, Ordering::SeqCst);
    }
}

/// A flag that a task waits for and any thread sets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<(bool, Vec<Waker>)>>);

impl Gate {
    pub(crate) fn open(&self) {
        let wakers = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            std::mem::take(&mut state.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Wakes those who wait without opening.
    pub(crate) fn shake(&self) {
        let wakers = std::mem::take(&mut self.0.lock().unwrap().1);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) async fn wait(&self) {
        poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            state.1.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A thread that answers each time it is asked, after longer than a loop needs to fall asleep and
/// sooner than one wakes up. It never sleeps, and ends with this.
pub(crate) struct Answers {
    ask: mpsc::Sender<Waker>,
    answered: Arc<AtomicUsize>,
    asked: usize,
}

impl Answers {
    /// `begin` is called on the thread.
    pub(crate) fn from(begin: impl FnOnce() + Send + 'static) -> Self {
        let (ask, asked) = mpsc::channel::<Waker>();
        let answered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&answered);
        thread::spawn(move || {
            begin();
            loop {
                match asked.try_recv() {
                    Ok(waker) => {
                        let begun = Instant::now();
                        while begun.elapsed() < Duration::from_micros(20) {
                            std::hint::spin_loop();
                        }
                        count.fetch_add(1, Ordering::Release);
                        waker.wake();
                    }
                    Err(TryRecvError::Empty) => std::hint::spin_loop(),
                    Err(TryRecvError::Disconnected) => return,
                }
            }
        });
        Self {
            ask,
            answered,
            asked: 0,
        }
    }

    pub(crate) async fn ask(&mut self) {
        let mut has_asked = false;
        poll_fn(|cx| {
            if !std::mem::replace(&mut has_asked, true) {
                self.asked += 1;
                self.ask.send(cx.waker().clone()).unwrap();
            }
            if self.answered.load(Ordering::Acquire) == self.asked {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// The text of a panic's payload.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let literal = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    literal
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}

/// Runs `f`, which is to panic, and gives the text.
#[track_caller]
pub(crate) fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)) {
        Ok(_) => panic!("no panic"),
        Err(payload) => panic_text(&*payload),
    }
}
