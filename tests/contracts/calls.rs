//! The stores of calls, and what only the one in a file can show.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use callvault_calls::call::{Call, State};
use callvault_calls::memory::MemoryCalls;
use callvault_calls::store::{CallStore as _, Page, StoreError};
use callvault_local::calls::SqliteCalls;
use callvault_tests::calls_contract;
use callvault_tests::contract_calls::{Store, calls, event, events, now, put, sent};
use rusqlite::Connection;
use tempfile::TempDir;

async fn in_memory() -> ((), Store) {
    ((), Arc::new(MemoryCalls::new()))
}

async fn in_a_file() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteCalls::open(&folder.path().join("made/for/it/calls.sqlite")).unwrap();
    (folder, Arc::new(store))
}

calls_contract!(memory, crate::calls::in_memory);
calls_contract!(sqlite, crate::calls::in_a_file);

fn open(path: &Path) -> Store {
    Arc::new(SqliteCalls::open(path).unwrap())
}

#[tokio::test]
async fn everything_is_there_when_the_file_is_opened_again_and_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let before = {
        let store = open(&path);
        put(&store, &sent("call.new", "1.1", 0)).await;
        put(&store, &sent("call.ongoing", "1.2", 1)).await;
        calls(&store).await
    };
    let looking: Store = Arc::new(SqliteCalls::open_existing(&path).unwrap());
    assert_eq!(calls(&looking).await, before);
    let store = open(&path);
    assert_eq!(calls(&store).await, before);
    let (id, call) = put(&store, &sent("call.finished", "1.1", 2)).await;
    assert!(id > before[1].id);
    assert_eq!(call.unwrap().state, State::Finished);
    // Whoever was looking sees it.
    assert_eq!(calls(&looking).await, calls(&store).await);
}

/// By another process, which takes the file's lock for some calls at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_beside_appends_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let (store, other) = (open(&path), open(&path));
    for n in 0..250 {
        put(&store, &sent("call.new", &format!("1.{n}"), n)).await;
    }
    let appending = async {
        for n in 0..250 {
            put(&store, &sent("call.ongoing", &format!("1.{n}"), n)).await;
        }
    };
    let rebuilding = async {
        let mut rebuilt = Vec::new();
        for _ in 0..3 {
            rebuilt.push(other.rebuild().await.unwrap());
        }
        rebuilt
    };
    let (rebuilt, ()) = tokio::join!(rebuilding, appending);
    assert!(rebuilt.iter().all(|one| one.calls == 250 && one.repaired == 0), "{rebuilt:?}");
    let after = other.rebuild().await.unwrap();
    assert_eq!((after.calls, after.events, after.repaired), (250, 500, 0));
    assert!(calls(&store).await.iter().all(|call| call.state == State::Ongoing && call.version == 2));
}

#[tokio::test]
async fn a_projection_that_was_tampered_with_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let store = open(&path);
    for n in 0..6 {
        put(&store, &sent("call.waiting", &format!("1.{n}"), n)).await;
    }
    let before = calls(&store).await;
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch(
            "UPDATE calls SET state = 'FINISHED', version = 9 WHERE call = '1.0';
             UPDATE calls SET created_at = 'long ago' WHERE call = '1.1';
             DELETE FROM calls WHERE call = '1.2';
             INSERT INTO calls VALUES (99, '9.9', 'NEW', NULL, '2017-01-01T00:00:00Z', '2017-01-01T00:00:00Z', 1);
             UPDATE calls SET id = 77 WHERE call = '1.3';
             INSERT INTO calls VALUES (3, '8.8', 'NEW', NULL, '2017-01-01T00:00:00Z', '2017-01-01T00:00:00Z', 1)",
        )
        .unwrap();
    let error = store.calls(None, Page::OLDEST, 10).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unreadable { id, .. } if *id == before[1].id), "{error}");
    let rebuilt = store.rebuild().await.unwrap();
    assert_eq!((rebuilt.calls, rebuilt.events, rebuilt.repaired), (6, 6, 5));
    assert_eq!(calls(&store).await, before);
    assert_eq!(store.rebuild().await.unwrap().repaired, 0);
}

#[tokio::test]
async fn events_cannot_be_changed_or_deleted_by_anybody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let store = open(&path);
    put(&store, &sent("call.new", "1.1", 0)).await;
    let other = Connection::open(&path).unwrap();
    for sql in ["UPDATE events SET type = 'call.finished'", "DELETE FROM events"] {
        let error = other.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains("never"), "{sql}: {error}");
    }
    assert_eq!(events(&store, Some("1.1")).await.len(), 1);
}

#[tokio::test]
async fn a_watcher_hears_of_every_change_once_and_in_order() {
    let heard = Arc::new(Mutex::new(Vec::<Call>::new()));
    let hears = Arc::clone(&heard);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls");
    let store = SqliteCalls::open(&path).unwrap();
    // Whoever else looks sees it already: it was committed before it was told.
    let other = Mutex::new(Connection::open(&path).unwrap());
    let is_there = move |call: &Call| {
        let (sql, id) = ("SELECT version FROM calls WHERE id = ?1", call.id as i64);
        let seen = other.lock().unwrap().query_row(sql, [id], |row| row.get::<_, i64>(0));
        seen.is_ok_and(|version| version as u64 >= call.version)
    };
    let early = Arc::new(Mutex::new(Vec::new()));
    let too_early = Arc::clone(&early);
    let store = Arc::new(store.watched_by(Arc::new(move |call: &Call| {
        if !is_there(call) {
            too_early.lock().unwrap().push(call.version);
        }
        hears.lock().unwrap().push(call.clone());
    })));
    let texts: Vec<String> = (0..50).map(|n| sent("call.overflow", &format!("1.{}", n % 3), n)).collect();
    let all = texts.iter().chain(&texts).map(|text| store.append(event(text), now()));
    let at_once = futures_util::future::join_all(all).await;
    assert!(at_once.iter().all(Result::is_ok));
    // One whose asker went away is told too.
    let waker = futures_util::task::noop_waker();
    let mut gone = Box::pin(store.append(event(&sent("call.finished", "1.0", 59)), now()));
    assert!(gone.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    drop(gone);
    let kept = store.calls(None, Page::OLDEST, 10).await.unwrap();
    let heard = heard.lock().unwrap();
    assert_eq!(*early.lock().unwrap(), [0; 0], "told before they were committed");
    assert_eq!(heard.len(), 51);
    for call in &kept {
        let versions: Vec<u64> = heard.iter().filter(|one| one.id == call.id).map(|one| one.version).collect();
        assert_eq!(versions, (1..=call.version).collect::<Vec<_>>());
        assert_eq!(heard.iter().rfind(|one| one.id == call.id), Some(call));
    }
}

#[tokio::test]
async fn what_is_not_a_file_of_calls_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "these are my notes, and long enough to be taken for a file ".repeat(50)).unwrap();
    let ledger = folder.path().join("ledger");
    Connection::open(&ledger).unwrap().execute_batch("CREATE TABLE mine (a); PRAGMA application_id = 7").unwrap();
    let newer = folder.path().join("newer");
    drop(open(&newer));
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let under = text.join("calls");
    for (path, words) in [
        (&text, "check LEDGER"),
        (&ledger, "not a file of calls: check LEDGER"),
        (&newer, "newer callvault"),
        (&under, "check LEDGER"),
    ] {
        let error = SqliteCalls::open(path).err().unwrap().to_string();
        assert!(error.contains(words) && error.contains(path.to_str().unwrap()), "{error}");
        assert!(!error.contains("ledger cannot"), "{error}");
    }
    let error = SqliteCalls::open_existing(&folder.path().join("none")).err().unwrap().to_string();
    assert!(error.contains("no file of calls"), "{error}");
    assert!(!folder.path().join("none").exists(), "looking makes nothing");
}
