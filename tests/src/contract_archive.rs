//! What every archive must do, whatever it is made of.
//!
//! [`archive_contract!`](crate::archive_contract) makes one test of every case, each with a new, empty archive.
#![expect(clippy::unwrap_used, reason = "a contract stops the test where it is broken")]

use std::collections::BTreeMap;

use bytes::Bytes;
use callvault_pipeline::api::MediaError;
use callvault_pipeline::archive::{Archive, Body, Offer, Proof, Put, PutError, prove};
use callvault_pipeline::layout::Key;
use futures_util::{StreamExt, TryStreamExt, stream};

/// Makes a module of tests: every case of the contract over archives made by `$make`, an `async fn` that answers
/// whatever must outlive the archive, and the archive. `one writer at a time` leaves out what a stand-in cannot do whose
/// conditions are looked at before they are acted upon.
#[macro_export]
macro_rules! archive_contract {
    ($name:ident, $make:path) => {
        mod $name {
            $crate::archive_contract!(@alone $make);
            $crate::archive_contract!(@each $make:
                of_many_at_once_one_wins, many_at_once_with_the_same_content_agree
            );
        }
    };
    ($name:ident, $make:path, one writer at a time) => {
        mod $name {
            $crate::archive_contract!(@alone $make);
        }
    };
    (@alone $make:path) => {
        $crate::archive_contract!(@each $make:
            an_object_is_stored_whole, an_empty_object_is_an_object, large_objects_come_in_odd_pieces,
            another_length_than_declared_leaves_nothing, a_body_that_breaks_off_leaves_nothing,
            a_refused_body_may_be_offered_again, the_same_again_changes_nothing, other_content_never_replaces,
            documents_are_replaced, a_document_stands_in_the_way_of_a_new_object, what_is_not_there_is_none, deleting_is_repeatable,
            lists_are_by_folder, a_key_may_be_as_long_as_keys_get, urls_name_their_object
        );
    };
    (@each $make:path: $($case:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (_keep, archive) = $make().await;
                $crate::contract_archive::$case(&archive).await;
            }
        )+
    };
}

/// A key.
pub fn key(text: &str) -> Key {
    text.parse().unwrap()
}

/// A body in pieces of `chunk` bytes.
pub fn body(content: &Bytes, chunk: usize) -> Body {
    let content = content.clone();
    let pieces = (0..content.len()).step_by(chunk).map(move |at| Ok(content.slice(at..content.len().min(at + chunk))));
    stream::iter(pieces.collect::<Vec<_>>()).boxed()
}

/// A body that breaks off after `content`.
pub fn broken(content: &'static [u8]) -> Body {
    let error = MediaError::Interrupted { detail: "on purpose".to_owned() };
    stream::iter([Ok(Bytes::from_static(content)), Err(error)]).boxed()
}

/// Offers `content`, declaring its length.
pub async fn put(archive: &dyn Archive, at: &str, content: &Bytes) -> Put {
    let offer = Offer { key: &key(at), content_type: None, length: Some(content.len() as u64), body: body(content, 7) };
    archive.put_new(offer).await.unwrap()
}

/// All of an object.
pub async fn read(archive: &dyn Archive, at: &str) -> Option<Bytes> {
    let stream = archive.read(&key(at)).await.unwrap()?;
    let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
    Some(pieces.concat().into())
}

/// Everything below a folder, with its length.
pub async fn list(archive: &dyn Archive, folder: &str) -> BTreeMap<String, u64> {
    let listed: Vec<_> = archive.list(folder).await.try_collect().await.unwrap();
    let map: BTreeMap<_, _> = listed.iter().map(|one| (one.key.to_string(), one.bytes)).collect();
    assert_eq!(map.len(), listed.len(), "each object once");
    map
}

async fn is_absent(archive: &dyn Archive, at: &str) {
    assert_eq!(archive.head(&key(at)).await.unwrap(), None);
    assert_eq!(read(archive, at).await, None);
    assert!(list(archive, "").await.is_empty(), "nothing is to be seen");
}

/// Its bytes, its length, its proof.
pub async fn an_object_is_stored_whole(archive: &dyn Archive) {
    let content = Bytes::from_static(b"OggS and what follows it");
    let proof = prove(&content);
    assert_eq!(put(archive, "test/day/call/a_r.ogg", &content).await, Put::Stored(proof));
    assert_eq!(archive.head(&key("test/day/call/a_r.ogg")).await.unwrap(), Some(24));
    assert_eq!(read(archive, "test/day/call/a_r.ogg").await.unwrap(), content);
    // The same where nobody declares a length.
    let at = key("test/undeclared");
    let offer = Offer { key: &at, content_type: Some("audio/ogg"), length: None, body: body(&content, 3) };
    assert!(matches!(archive.put_new(offer).await.unwrap(), Put::Stored(Proof { bytes: 24, .. })));
}

/// Zero bytes are content like any other.
pub async fn an_empty_object_is_an_object(archive: &dyn Archive) {
    let nothing = Bytes::new();
    assert_eq!(put(archive, "test/empty", &nothing).await, Put::Stored(prove(b"")));
    assert_eq!(archive.head(&key("test/empty")).await.unwrap(), Some(0));
    assert_eq!(read(archive, "test/empty").await.unwrap(), nothing);
    assert_eq!(list(archive, "").await, [("test/empty".to_owned(), 0)].into());
    assert!(matches!(put(archive, "test/empty", &nothing).await, Put::AlreadyThere { same: true, .. }));
    assert!(matches!(put(archive, "test/empty", &"x".into()).await, Put::AlreadyThere { same: false, .. }));
}

/// More than any buffer, in pieces that fit none.
pub async fn large_objects_come_in_odd_pieces(archive: &dyn Archive) {
    let content: Bytes = (0..3 * 1024 * 1024 + 17).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let at = key("test/large");
    let length = Some(content.len() as u64);
    let offer = Offer { key: &at, content_type: None, length, body: body(&content, 40_009) };
    assert_eq!(archive.put_new(offer).await.unwrap(), Put::Stored(prove(&content)));
    assert_eq!(read(archive, "test/large").await.unwrap(), content);
}

/// Too short and too long.
pub async fn another_length_than_declared_leaves_nothing(archive: &dyn Archive) {
    let content = Bytes::from_static(b"0123456789");
    for declared in [0, 9, 11, u64::MAX] {
        let at = key("test/wrong");
        let offer = Offer { key: &at, content_type: None, length: Some(declared), body: body(&content, 4) };
        let error = archive.put_new(offer).await.unwrap_err();
        assert!(matches!(error, PutError::Length { declared: d, received: 10 } if d == declared), "{error}");
        is_absent(archive, "test/wrong").await;
    }
}

/// At the first byte or later.
pub async fn a_body_that_breaks_off_leaves_nothing(archive: &dyn Archive) {
    for content in [&b""[..], b"half of it"] {
        let at = key("test/broken");
        let offer = Offer { key: &at, content_type: None, length: Some(10), body: broken(content) };
        let error = archive.put_new(offer).await.unwrap_err();
        assert!(matches!(error, PutError::Body(MediaError::Interrupted { .. })), "{error}");
        is_absent(archive, "test/broken").await;
    }
}

/// Nothing of the first attempt is in the way.
pub async fn a_refused_body_may_be_offered_again(archive: &dyn Archive) {
    let at = key("test/again");
    let offer = Offer { key: &at, content_type: None, length: Some(4), body: broken(b"abcd") };
    archive.put_new(offer).await.unwrap_err();
    assert!(matches!(put(archive, "test/again", &"abcd".into()).await, Put::Stored(_)));
    // Nor does a failed repetition harm what is there.
    let offer = Offer { key: &at, content_type: None, length: Some(4), body: broken(b"xyz") };
    archive.put_new(offer).await.unwrap_err();
    assert_eq!(read(archive, "test/again").await.unwrap(), "abcd");
}

/// And says so.
pub async fn the_same_again_changes_nothing(archive: &dyn Archive) {
    let content = Bytes::from_static(b"the same");
    put(archive, "test/same", &content).await;
    let again = put(archive, "test/same", &content).await;
    assert_eq!(again, Put::AlreadyThere { same: true, proof: prove(&content) });
    assert_eq!(list(archive, "").await, [("test/same".to_owned(), 8)].into());
}

/// Whatever its length.
pub async fn other_content_never_replaces(archive: &dyn Archive) {
    put(archive, "test/first", &"first".into()).await;
    for other in ["other", "second", ""] {
        let answer = put(archive, "test/first", &other.into()).await;
        assert_eq!(answer, Put::AlreadyThere { same: false, proof: prove(other.as_bytes()) });
        assert_eq!(read(archive, "test/first").await.unwrap(), "first");
    }
}

/// The others learn that they came too late, and what is there is the winner's, whole.
pub async fn of_many_at_once_one_wins(archive: &dyn Archive) {
    let contents: Vec<Bytes> = (0_u8..16).map(|n| Bytes::from(vec![n; 100_000])).collect();
    let at = key("test/race");
    let puts = contents.iter().map(|content| {
        let length = Some(content.len() as u64);
        archive.put_new(Offer { key: &at, content_type: None, length, body: body(content, 1000) })
    });
    let answers: Vec<Put> = futures_util::future::join_all(puts).await.into_iter().map(Result::unwrap).collect();
    let winners: Vec<usize> = (0..16).filter(|n| matches!(answers[*n], Put::Stored(_))).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert!(answers.iter().all(|answer| !matches!(answer, Put::AlreadyThere { same: true, .. })));
    assert_eq!(read(archive, "test/race").await.unwrap(), contents[winners[0]]);
}

/// One stores it, the others find it there.
pub async fn many_at_once_with_the_same_content_agree(archive: &dyn Archive) {
    let content = Bytes::from(vec![7; 50_000]);
    let puts = (0..8).map(|_| put(archive, "test/agree", &content));
    let answers = futures_util::future::join_all(puts).await;
    let stored = answers.iter().filter(|answer| matches!(answer, Put::Stored(_))).count();
    let same = answers.iter().filter(|answer| matches!(answer, Put::AlreadyThere { same: true, .. })).count();
    assert_eq!((stored, same), (1, 7));
}

/// Whole for whole, by longer and by shorter ones.
pub async fn documents_are_replaced(archive: &dyn Archive) {
    for content in ["{}", r#"{"longer": true}"#, "x", ""] {
        archive.put_document(&key("test/_SUCCESS"), "application/json", content.into()).await.unwrap();
        assert_eq!(read(archive, "test/_SUCCESS").await.unwrap(), content);
        assert_eq!(archive.head(&key("test/_SUCCESS")).await.unwrap(), Some(content.len() as u64));
    }
    assert_eq!(list(archive, "test/").await.len(), 1);
}

/// Keys are keys.
pub async fn a_document_stands_in_the_way_of_a_new_object(archive: &dyn Archive) {
    archive.put_document(&key("test/d"), "text/plain", "document".into()).await.unwrap();
    assert!(matches!(put(archive, "test/d", &"object".into()).await, Put::AlreadyThere { same: false, .. }));
    assert_eq!(read(archive, "test/d").await.unwrap(), "document");
}

/// Also where a part of its key is an object.
pub async fn what_is_not_there_is_none(archive: &dyn Archive) {
    put(archive, "test/object", &"x".into()).await;
    for at in ["nothing", "test/nothing", "test/object/inside", "other/a/b"] {
        assert_eq!(archive.head(&key(at)).await.unwrap(), None, "{at}");
        assert_eq!(read(archive, at).await, None, "{at}");
        archive.delete(&key(at)).await.unwrap();
    }
    assert!(list(archive, "nowhere/").await.is_empty());
}

/// And makes room for another.
pub async fn deleting_is_repeatable(archive: &dyn Archive) {
    put(archive, "test/gone", &"x".into()).await;
    put(archive, "test/stays", &"x".into()).await;
    for _ in 0..2 {
        archive.delete(&key("test/gone")).await.unwrap();
        assert_eq!(archive.head(&key("test/gone")).await.unwrap(), None);
    }
    assert!(matches!(put(archive, "test/gone", &"other".into()).await, Put::Stored(_)));
    assert_eq!(list(archive, "").await.len(), 2);
}

/// At any depth, and nothing of a folder whose name only begins alike.
pub async fn lists_are_by_folder(archive: &dyn Archive) {
    for at in ["a/1", "a/b/2", "a/b/c/3", "a-b/4", "ab/5", "a.b=1/6"] {
        put(archive, at, &at.into()).await;
    }
    let keys = async |folder: &str| list(archive, folder).await.into_keys().collect::<Vec<_>>();
    assert_eq!(keys("a/").await, ["a/1", "a/b/2", "a/b/c/3"]);
    assert_eq!(keys("a/b/").await, ["a/b/2", "a/b/c/3"]);
    assert_eq!(keys("").await.len(), 6);
    assert_eq!(list(archive, "a/b/c/").await, [("a/b/c/3".to_owned(), 7)].into());
}

/// 900 bytes, 250 a segment.
pub async fn a_key_may_be_as_long_as_keys_get(archive: &dyn Archive) {
    let segment = "s".repeat(250);
    let at = format!("{segment}/{segment}/{segment}/{}", "x".repeat(147));
    put(archive, &at, &"deep".into()).await;
    assert_eq!(list(archive, "").await, [(at.clone(), 4)].into());
    assert_eq!(read(archive, &at).await.unwrap(), "deep");
}

/// For people.
pub async fn urls_name_their_object(archive: &dyn Archive) {
    let url = archive.url(&key("test/day/a_r.ogg"));
    assert!(url.contains("://") && url.ends_with("/test/day/a_r.ogg"), "{url}");
}
