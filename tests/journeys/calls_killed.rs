//! SIGKILL of `serve` under load: every event that was answered 200 is in the store afterwards, once, and its call is what its
//! events say.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use callvault_calls::call::fold;
use callvault_calls::store::{CallStore, Page};
use callvault_local::calls::SqliteCalls;
use callvault_tests::binary::callvault;
use callvault_tests::binary::telephony::{PATIENCE, Sender, address, serve};
use serde_json::Value;

/// Senders at the same time.
const SENDERS: usize = 8;

/// Answers before each kill: at the very first, and in the middle of it.
const KILLS: [usize; 4] = [1, 60, 200, 400];

/// The n-th event of a sender: several calls, each with many events.
fn event(sender: usize, n: usize) -> String {
    let kind = ["call.new", "call.waiting", "actor.entered", "call.ongoing", "actor.left", "call.finished"][n % 6];
    let (call, minute, second, millisecond) = (n / 60, n / 60_000 % 60, n / 1000 % 60, n % 1000);
    format!(
        r#"{{"type":"{kind}","call_id":"{sender}.{call}","actor":"a@example.com","n":"{sender}/{n}","timestamp":"2017-01-01T00:{minute:02}:{second:02}.{millisecond:03}Z"}}"#
    )
}

#[test]
fn what_was_answered_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    // The next event of each sender; it sends the one that was not answered again.
    let next: Vec<AtomicUsize> = (0..SENDERS).map(|_| AtomicUsize::new(0)).collect();
    let answered = Mutex::new(BTreeSet::new());
    for answers in KILLS {
        let mut running = serve(folder.path()).start();
        let address = address(&running);
        let before = answered.lock().unwrap().len();
        std::thread::scope(|scope| {
            for sender in 0..SENDERS {
                let (address, next, answered) = (&address, &next[sender], &answered);
                scope.spawn(move || {
                    let Ok(mut line) = Sender::new(address) else { return };
                    loop {
                        let n = next.load(Ordering::Relaxed);
                        match line.post(&event(sender, n)) {
                            Ok(200) => {
                                answered.lock().unwrap().insert(format!("{sender}/{n}"));
                                next.store(n + 1, Ordering::Relaxed);
                            }
                            Ok(status) => panic!("answered {status}"),
                            Err(_) => return,
                        }
                    }
                });
            }
            while answered.lock().unwrap().len() < before + answers && running.is_running() {
                std::thread::sleep(Duration::from_millis(1));
            }
            assert_eq!(running.kill().signal, Some(9));
        });
        let kept = kept(&folder.path().join("callvault-calls.sqlite"));
        let answered = answered.lock().unwrap();
        let lost: Vec<_> = answered.difference(&kept).take(5).collect();
        assert!(lost.is_empty(), "{} were answered, {} kept; lost: {lost:?}", answered.len(), kept.len());
        // What was on its way may be there too: one for each sender.
        assert!(kept.len() <= answered.len() + SENDERS, "{} kept of {} answered", kept.len(), answered.len());
    }
    let rebuilt = callvault(["calls", "rebuild", "--json"]).folder(folder.path()).run().expect_code(0).json();
    assert_eq!(rebuilt["repaired"], 0);
    // Whoever sends all of it again changes nothing.
    let running = serve(folder.path()).start();
    let mut line = Sender::new(&address(&running)).unwrap();
    for (sender, next) in next.iter().enumerate() {
        for n in 0..next.load(Ordering::Relaxed).min(100) {
            assert_eq!(line.post(&event(sender, n)).unwrap(), 200);
        }
    }
    running.signal("TERM");
    running.wait_at_most(PATIENCE).expect_code(0);
    let again = callvault(["calls", "rebuild", "--json"]).folder(folder.path()).run().expect_code(0).json();
    assert_eq!(again, rebuilt);
}

/// The events that are kept, each once; and each call is what they say.
fn kept(path: &std::path::Path) -> BTreeSet<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = SqliteCalls::open(path).unwrap();
        let mut kept = BTreeSet::new();
        let mut after = 0;
        while let Some(last) = store.calls(None, Page::After(after), 1000).await.unwrap().last() {
            for call in store.calls(None, Page::After(after), 1000).await.unwrap() {
                let events = store.events(Some(&call.call), 0, 1000).await.unwrap();
                assert_eq!(fold(&events), Some(call));
                for event in events {
                    let event: Value = serde_json::from_str(event.received.get()).unwrap();
                    let n = event["n"].as_str().unwrap().to_owned();
                    assert!(kept.insert(n.clone()), "{n} twice");
                }
            }
            after = last.id;
        }
        kept
    })
}
