//! Which calls fail, and how.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::time::Duration;

use callvault_pipeline::clock::Clock;
use jiff::Timestamp;

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It answers with an error that may pass.
    Error,
    /// It answers with the error that stops everything (of a URL: that it is refused; of a body: its early end).
    Outage,
    /// The process dies here: the call never returns, and its caller is to be dropped.
    Kill,
    /// The process stands still here until [`Script::thaw`].
    Freeze,
}

/// At which moment of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before it took effect.
    Before,
    /// After it took effect: only the answer is lost.
    After,
}

/// A failure of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Port and method, for instance `ledger.settle`.
    pub call: &'static str,
    /// Which call of that method, from 1.
    pub number: u64,
    /// When.
    pub when: When,
    /// How.
    pub how: How,
}

/// A kill at every one of these calls, before it takes effect and after: one to a run. What [`Script::calls`] counts.
pub fn kills(calls: impl IntoIterator<Item = (&'static str, u64)>) -> Vec<Fault> {
    let faults = calls.into_iter().flat_map(|(call, count)| {
        let numbers = (1..=count).flat_map(|number| [(number, When::Before), (number, When::After)]);
        numbers.map(move |(number, when)| Fault { call, number, when, how: How::Kill })
    });
    faults.collect()
}

/// How long a call takes: those whose name begins so, by a clock.
type Slowness = (&'static str, Duration, Arc<dyn Clock>);

/// Calls of these names fail until then, by a clock.
type Trouble = (Vec<&'static str>, Timestamp, Arc<dyn Clock>);

/// Told after every call that took effect.
type Observer = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Default)]
struct State {
    calls: BTreeMap<&'static str, u64>,
    faults: Vec<Fault>,
    hit: u64,
    killed: bool,
    frozen: Option<Waker>,
    thawed: bool,
    pace: Vec<u8>,
    step: usize,
    observer: Option<Observer>,
    slow: Vec<Slowness>,
    trouble: Option<Trouble>,
}

/// What becomes of the calls of one process. Clones share the counts.
#[derive(Clone, Default)]
pub struct Script(Arc<Mutex<State>>);

/// How far a future came.
#[derive(Debug, PartialEq, Eq)]
pub enum Stopped<T> {
    /// To its end.
    Done(T),
    /// It was killed: drop it.
    Killed,
    /// It stands still: poll it again after [`Script::thaw`].
    Frozen,
}

impl Script {
    /// No faults.
    pub fn quiet() -> Self {
        Self::default()
    }

    /// These faults.
    pub fn of(faults: impl IntoIterator<Item = Fault>) -> Self {
        let script = Self::default();
        script.state().faults = faults.into_iter().collect();
        script
    }

    /// Makes every call let others go first, as often as the next number says (then from the beginning again).
    pub fn pace(self, pace: Vec<u8>) -> Self {
        self.state().pace = pace;
        self
    }

    /// Makes every call whose name begins with `calls` take `span`, before it takes effect.
    pub fn slow(self, calls: &'static str, span: Duration, clock: Arc<dyn Clock>) -> Self {
        self.state().slow.push((calls, span, clock));
        self
    }

    /// Makes every call of these names fail, with an error that may pass, until `ends`.
    pub fn out_of_order(self, calls: &[&'static str], ends: Timestamp, clock: Arc<dyn Clock>) -> Self {
        self.state().trouble = Some((calls.to_vec(), ends, clock));
        self
    }

    /// Has `observer` told of every call that took effect.
    pub fn observe(self, observer: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.state().observer = Some(Arc::new(observer));
        self
    }

    /// Calls so far, by port and method.
    pub fn calls(&self) -> BTreeMap<&'static str, u64> {
        self.state().calls.clone()
    }

    /// Calls of one method so far.
    pub fn count(&self, call: &str) -> u64 {
        self.state().calls.get(call).copied().unwrap_or_default()
    }

    /// How many faults have happened.
    pub fn hit(&self) -> u64 {
        self.state().hit
    }

    /// Lets a frozen call go on.
    pub fn thaw(&self) {
        let mut state = self.state();
        state.thawed = true;
        if let Some(waker) = state.frozen.take() {
            waker.wake();
        }
    }

    /// Begins the next process: what was killed or frozen is gone, the counts go on.
    pub fn revive(&self) {
        let mut state = self.state();
        (state.killed, state.frozen) = (false, None);
    }

    /// Runs a process until it ends, dies or stands still.
    pub async fn run<F: Future + ?Sized>(&self, mut work: Pin<&mut F>) -> Stopped<F::Output> {
        std::future::poll_fn(|context| match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Stopped::Done(done)),
            Poll::Pending if self.state().killed => Poll::Ready(Stopped::Killed),
            Poll::Pending if self.state().frozen.is_some() => Poll::Ready(Stopped::Frozen),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Makes a call.
    pub(super) async fn call<T, E>(
        &self,
        call: &'static str,
        error: impl FnOnce(Fault) -> E,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let fault = self.arrive(call).await;
        let slowness = self.state().slow.iter().find(|(calls, ..)| call.starts_with(calls)).cloned();
        if let Some((_, span, clock)) = slowness {
            clock.sleep(span).await;
        }
        if let Some(fault) = fault.filter(|fault| fault.when == When::Before)
            && self.suffer(fault).await
        {
            return Err(error(fault));
        }
        let done = work.await;
        let observer = self.state().observer.clone();
        if let Some(observer) = observer {
            observer(call);
        }
        if let Some(fault) = fault.filter(|fault| fault.when == When::After)
            && self.suffer(fault).await
        {
            return Err(error(fault));
        }
        done
    }

    /// Counts a call, and answers the fault that is meant for it.
    async fn arrive(&self, call: &'static str) -> Option<Fault> {
        let others_first = {
            let mut state = self.state();
            let step = state.step;
            state.step += 1;
            let pace = state.pace.len().max(1);
            state.pace.get(step % pace).copied().unwrap_or_default()
        };
        for _ in 0..others_first {
            yield_once().await;
        }
        let mut state = self.state();
        let number = state.calls.entry(call).or_default();
        *number += 1;
        let number = *number;
        let fault = state.faults.iter().copied().find(|fault| fault.call == call && fault.number == number);
        let troubled =
            state.trouble.as_ref().is_some_and(|(calls, ends, clock)| calls.contains(&call) && clock.now() < *ends);
        let trouble = Fault { call, number, when: When::Before, how: How::Error };
        let fault = fault.or(troubled.then_some(trouble));
        state.hit += u64::from(fault.is_some());
        fault
    }

    /// Whether the call is to answer with an error.
    async fn suffer(&self, fault: Fault) -> bool {
        match fault.how {
            How::Error | How::Outage => true,
            How::Kill => {
                self.state().killed = true;
                std::future::pending().await
            }
            How::Freeze => {
                std::future::poll_fn(|context| {
                    let mut state = self.state();
                    if state.thawed {
                        return Poll::Ready(());
                    }
                    state.frozen = Some(context.waker().clone());
                    Poll::Pending
                })
                .await;
                false
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
