//! The ledger in a file: what is not in the contract because only files have it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use callvault_local::sqlite::SqliteLedger;
use callvault_pipeline::day::Day;
use callvault_pipeline::facts::{Facts, Intake, NewConversation};
use callvault_pipeline::ids::ConversationId;
use callvault_pipeline::kind::Kind;
use callvault_pipeline::ledger::machine::{Delivered, Settlement};
use callvault_pipeline::ledger::{HolderId, Ledger, LedgerError, Listing, Row, RowKey, Settled, Stage};
use callvault_pipeline::reason::Reason;
use callvault_pipeline::stages::LEASE;
use callvault_tests::contract_ledger::{Steps, t};
use rusqlite::Connection;

fn open(path: &Path, holder: &str, now: i64) -> SqliteLedger {
    SqliteLedger::open(path, HolderId(holder.to_owned()), t(now)).unwrap()
}

fn refusal(path: &Path) -> LedgerError {
    match SqliteLedger::open(path, HolderId("one".to_owned()), t(0)) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

async fn all(ledger: &SqliteLedger) -> Vec<Row> {
    let mut rows = ledger.days().await.unwrap();
    rows.extend(ledger.list("2026-01-20".parse().unwrap(), Listing::All, None, 1000).await.unwrap());
    rows
}

#[tokio::test]
async fn everything_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made/for/it/ledger.sqlite");
    let before = {
        let ledger = open(&path, "one", 0);
        ledger.plan_day("2026-01-20".parse().unwrap(), t(0)).await.unwrap();
        ledger.found(&["a", "b"], 0).await;
        ledger.submitted_as(1, 1).await;
        let claim = ledger.claimed_one(Stage::Poll, 3).await;
        ledger.settled(&claim, Settlement::Running { due: t(9), steady: None }, 4).await;
        all(&ledger).await
    };
    let ledger = open(&path, "two", 5);
    assert_eq!(all(&ledger).await, before);
    assert_eq!(ledger.next_due(Stage::Poll).await.unwrap(), Some(t(9)));
    assert_eq!(ledger.counts("2026-01-20".parse().unwrap()).await.unwrap().conversations, 2);
}

#[tokio::test]
async fn claims_of_the_dead_are_free_at_once_when_nobody_else_works() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    let dead = {
        let ledger = open(&path, "one", 0);
        ledger.found(&["a"], 0).await;
        ledger.claimed_one(Stage::Submit, 1).await
    };
    let ledger = open(&path, "two", 2);
    assert_eq!(ledger.settled(&dead, Settlement::Later { due: t(9), failed: true }, 2).await, Settled::Stale);
    let claim = ledger.claimed_one(Stage::Submit, 2).await;
    assert!(claim.attempt > dead.attempt);
    assert_eq!(claim.work.unwrap().holder, Some(HolderId("two".to_owned())));
}

#[tokio::test]
async fn claims_of_the_living_stay_theirs_and_readers_free_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    let one = open(&path, "one", 0);
    one.found(&["a"], 0).await;
    let claim = one.claimed_one(Stage::Submit, 1).await;
    let two = open(&path, "two", 2);
    assert!(two.claimed(Stage::Submit, 2).await.is_empty());
    let reader = SqliteLedger::open_existing(&path).unwrap();
    assert_eq!(all(&reader).await, std::slice::from_ref(&claim));
    assert_eq!(one.settled(&claim, Settlement::Later { due: t(5), failed: false }, 3).await, Settled::Done);
    // The first dies with a claim; the second is there, so the claim is not free before its time.
    let claim = one.claimed_one(Stage::Submit, 5).await;
    drop(one);
    let three = open(&path, "three", 6);
    assert!(three.claimed(Stage::Submit, 6).await.is_empty());
    assert_eq!(two.claimed_one(Stage::Submit, 305).await.attempt, claim.attempt + 1);
}

#[tokio::test]
async fn two_instances_at_once_claim_different_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    let (one, two) = (open(&path, "one", 0), open(&path, "two", 0));
    let ids: Vec<String> = (0..40).map(|n| format!("c{n}")).collect();
    one.found(&ids.iter().map(String::as_str).collect::<Vec<_>>(), 0).await;
    let claims = (0..20).map(|n| {
        let ledger = if n % 2 == 0 { &one } else { &two };
        ledger.claim(Stage::Submit, 3, std::time::Duration::from_secs(300), t(1))
    });
    let claimed: Vec<Row> = futures_util::future::join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
    let keys: BTreeSet<_> = claimed.iter().map(|row| row.key.clone()).collect();
    assert_eq!((claimed.len(), keys.len()), (40, 40));
    let holders: BTreeSet<_> = claimed.iter().map(|row| row.work.clone().unwrap().holder.unwrap().0).collect();
    assert_eq!(holders, ["one".to_owned(), "two".to_owned()].into());
}

#[test]
fn what_is_not_a_ledger_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    fs::write(&text, "these are my notes, and long enough to be taken for a file ".repeat(50)).unwrap();
    let before = fs::read(&text).unwrap();
    let error = refusal(&text);
    assert!(matches!(error, LedgerError::Unusable { .. }));
    assert!(error.to_string().contains("notes.txt") && error.to_string().contains("check LEDGER"), "{error}");
    assert_eq!(fs::read(&text).unwrap(), before);

    let other = folder.path().join("other.sqlite");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)").unwrap();
    let error = refusal(&other);
    assert!(error.to_string().contains("not a ledger"), "{error}");
    let rows: i64 = Connection::open(&other).unwrap().query_row("SELECT count(*) FROM mine", [], |r| r.get(0)).unwrap();
    assert_eq!(rows, 1);
    assert!(SqliteLedger::open_existing(&other).is_err());
}

#[test]
fn a_newer_ledger_is_refused_with_the_advice_to_update() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    drop(open(&path, "one", 0));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = refusal(&path);
    assert!(error.to_string().contains("newer callvault") && error.to_string().contains("update"), "{error}");
    assert!(SqliteLedger::open_existing(&path).is_err());
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    let ledger = open(&path, "one", 0);
    ledger.found(&["a"], 0).await;
    Connection::open(&path).unwrap().execute("UPDATE facts SET fact = '{\"row\":\"new\"}'", []).unwrap();
    let error = ledger.conversation(&"a".parse().unwrap()).await.unwrap_err();
    assert!(matches!(&error, LedgerError::Unreadable { key, .. } if key == "conversation/a/"), "{error}");
}

#[test]
fn a_place_where_no_file_can_be_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for path in [file.join("l"), folder.path().to_path_buf(), Path::new("/proc/callvault/l").to_path_buf()] {
        let error = refusal(&path);
        assert!(matches!(error, LedgerError::Unusable { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap().trim_end_matches("/l")), "{error}");
        assert!(error.to_string().contains("check LEDGER"), "{error}");
    }
    let error = SqliteLedger::open_existing(&folder.path().join("none")).err().unwrap();
    assert!(error.to_string().contains("there is no ledger"), "{error}");
    assert!(!folder.path().join("none").exists(), "looking makes nothing");
}

/// The first schema, as the first callvault wrote it.
const FIRST_SCHEMA: &str = "
    CREATE TABLE facts (
        key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, day TEXT NOT NULL, state TEXT NOT NULL, reason TEXT, stage TEXT,
        due INTEGER, holder TEXT, attempt INTEGER NOT NULL, tries INTEGER NOT NULL, bytes INTEGER NOT NULL,
        open INTEGER NOT NULL, fact TEXT NOT NULL
    ) STRICT;
    CREATE INDEX facts_due    ON facts (stage, due) WHERE stage IS NOT NULL;
    CREATE INDEX facts_day    ON facts (day, key);
    CREATE INDEX facts_open   ON facts (day) WHERE open = 1;
    CREATE INDEX facts_parked ON facts (day, key) WHERE state = 'parked';
    CREATE INDEX facts_held   ON facts (holder) WHERE holder IS NOT NULL;
    CREATE TABLE bound (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE VIEW days AS SELECT day FROM facts;
    CREATE VIEW conversations AS SELECT key FROM facts;
    CREATE VIEW recordings AS SELECT key FROM facts;
    PRAGMA application_id = 0x63766c74;
    PRAGMA user_version = 1;";

fn one_recording() -> Delivered {
    Delivered { recording: "r".parse().unwrap(), kind: Kind::Call, results: 1, error: None, verdict: None }
}

#[tokio::test]
async fn a_ledger_of_the_first_schema_is_brought_up_to_date_and_keeps_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (new, old) = (folder.path().join("new"), folder.path().join("old"));
    let before = {
        let ledger = open(&new, "one", 0);
        ledger.plan_day("2026-01-20".parse().unwrap(), t(0)).await.unwrap();
        ledger.found(&["a", "b"], 0).await;
        ledger.delivered_one("a", vec![one_recording()]).await;
        ledger.bind(&[("archive", "here".to_owned())]).await.unwrap();
        all(&ledger).await
    };
    assert!(before.iter().any(|row| matches!(row.key, RowKey::Recording(..))), "{before:?}");
    // What the newest schema holds, in the first one.
    let connection = Connection::open(&old).unwrap();
    connection.execute_batch(FIRST_SCHEMA).unwrap();
    connection.execute("ATTACH ?1 AS new", [new.to_str().unwrap()]).unwrap();
    let columns = "key, kind, day, state, reason, stage, due, holder, attempt, tries, bytes, open, fact";
    connection.execute(&format!("INSERT INTO facts ({columns}) SELECT {columns} FROM new.facts"), []).unwrap();
    connection.execute("INSERT INTO bound SELECT * FROM new.bound", []).unwrap();
    drop(connection);

    let error = SqliteLedger::open_existing(&old).err().unwrap();
    assert!(error.to_string().contains("run an export first"), "{error}");
    let ledger = open(&old, "two", 3);
    assert_eq!(all(&ledger).await, before);
    assert_eq!(ledger.bind(&[("archive", "there".to_owned())]).await.unwrap(), [("archive", "here".to_owned())]);
    assert_eq!(all(&SqliteLedger::open_existing(&old).unwrap()).await, before);
}

#[tokio::test]
async fn a_conversation_that_is_wanted_on_another_day_is_in_that_day_only() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder.path().join("l"), "one", 0);
    let (first, second) = ("2026-01-19".parse().unwrap(), "2026-01-20".parse().unwrap());
    let found = |intake| [NewConversation { id: "a".parse().unwrap(), facts: Facts::default(), intake }];
    ledger.add_conversations(first, &found(Intake::LeftOut(Reason::NoAgent)), t(0)).await.unwrap();
    assert_eq!(ledger.add_conversations(second, &found(Intake::Export), t(1)).await.unwrap(), 1);
    assert_eq!(ledger.counts(first).await.unwrap().conversations, 0);
    ledger.delivered_one("a", vec![one_recording()]).await;
    let family = ledger.conversation(&"a".parse().unwrap()).await.unwrap();
    assert_eq!(family.iter().map(|row| row.day).collect::<Vec<_>>(), [second, second]);
    assert_eq!(ledger.list(second, Listing::All, None, 9).await.unwrap(), family);
    assert!(ledger.list(first, Listing::All, None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_conversation_is_found_whichever_of_many_days_it_is_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l");
    let ledger = open(&path, "one", 0);
    let days = "2025-12-01".parse::<Day>().unwrap().through("2026-01-20".parse().unwrap());
    let id = |day: &Day| format!("of-{day}").parse::<ConversationId>().unwrap();
    for day in &days {
        let found = [NewConversation { id: id(day), facts: Facts::default(), intake: Intake::Export }];
        assert_eq!(ledger.add_conversations(*day, &found, t(0)).await.unwrap(), 1);
    }
    for ledger in [&ledger, &SqliteLedger::open_existing(&path).unwrap()] {
        for day in &days {
            let family = ledger.conversation(&id(day)).await.unwrap();
            assert_eq!(family.iter().map(|row| row.day).collect::<Vec<_>>(), [*day]);
        }
        assert!(ledger.conversation(&"nowhere".parse().unwrap()).await.unwrap().is_empty());
    }
    let claimed = ledger.claim(Stage::Submit, days.len(), LEASE, t(1)).await.unwrap();
    assert_eq!(claimed.len(), days.len());
    for row in claimed {
        let settled = ledger.settle(&row.key, row.attempt, Settlement::Later { due: t(9), failed: false }, t(2)).await;
        assert_eq!(settled.unwrap(), Settled::Done, "{}", row.key);
    }
}
