//! The archive in a folder: the contract, and what only folders can get wrong.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use callvault_local::folder::FolderArchive;
use callvault_pipeline::archive::memory::MemoryArchive;
use callvault_pipeline::archive::{Archive, ArchiveError, Offer, Put, PutError};
use callvault_tests::archive_contract;
use callvault_tests::contract_archive::{body, broken, key, list, put, read};
use callvault_tests::faulty::{FaultyArchive, Script};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tempfile::TempDir;

async fn in_memory() -> ((), MemoryArchive) {
    ((), MemoryArchive::new())
}

async fn in_a_folder() -> (TempDir, FolderArchive) {
    let folder = tempfile::tempdir().unwrap();
    let archive = FolderArchive::open(&folder.path().join("made/for/it")).unwrap();
    (folder, archive)
}

async fn wrapped() -> ((), FaultyArchive<MemoryArchive>) {
    ((), FaultyArchive::new(Arc::new(MemoryArchive::new()), Script::quiet().pace(vec![2, 0, 1])))
}

archive_contract!(memory, crate::folder::in_memory);
archive_contract!(in_folder, crate::folder::in_a_folder);
archive_contract!(faulty, crate::folder::wrapped);

/// Every file below a folder, hidden ones too.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test]
async fn a_file_is_not_to_be_seen_before_it_is_whole() {
    let (_keep, archive) = in_a_folder().await;
    let watched = archive.clone();
    let pieces = stream::iter(0..5).then(move |n| {
        let archive = watched.clone();
        async move {
            // While the body is on its way: nothing under the key, nothing in any list.
            assert_eq!(archive.head(&key("test/a")).await.unwrap(), None);
            assert_eq!(archive.list("").await.try_collect::<Vec<_>>().await.unwrap(), []);
            assert_eq!(files(archive.root()).len(), 1, "it is somewhere, though");
            Ok(Bytes::from(vec![n; 1000]))
        }
    });
    let at = key("test/a");
    let offer = Offer { key: &at, content_type: None, length: Some(5000), body: pieces.boxed() };
    assert!(matches!(archive.put_new(offer).await.unwrap(), Put::Stored(_)));
    assert_eq!(files(archive.root()), [archive.root().join("test/a")], "nothing else is left");
}

#[tokio::test]
async fn nothing_is_left_behind_by_what_did_not_work_out() {
    let (_keep, archive) = in_a_folder().await;
    let at = key("test/a");
    let offer = Offer { key: &at, content_type: None, length: Some(9), body: broken(b"half") };
    archive.put_new(offer).await.unwrap_err();
    let offer = Offer { key: &at, content_type: None, length: Some(9), body: body(&"short".into(), 2) };
    archive.put_new(offer).await.unwrap_err();
    // Nor by whoever was dropped in the middle of it.
    let offer = Offer { key: &at, content_type: None, length: Some(9), body: stream::pending().boxed() };
    let mut dropped = archive.put_new(offer);
    assert!((&mut dropped).now_or_never().is_none());
    drop(dropped);
    put(&archive, "test/b", &"b".into()).await;
    put(&archive, "test/b", &"other".into()).await;
    let left: Vec<_> = files(archive.root()).into_iter().filter(|path| !path.ends_with("test/b")).collect();
    // A file that was about to be made while its maker was dropped may come late; it goes when it does.
    assert!(left.len() <= 1, "{left:?}");
}

#[tokio::test]
async fn what_dead_writers_left_is_removed_and_what_living_ones_write_is_not() {
    let (_keep, archive) = in_a_folder().await;
    let temporary = archive.root().join(".callvault-tmp");
    let (dead, alive) = (temporary.join("dead.part"), temporary.join("alive.part"));
    fs::write(&dead, "half").unwrap();
    let writer = File::create(&alive).unwrap();
    writer.try_lock().unwrap();
    assert!(list(&archive, "").await.is_empty());
    let again = FolderArchive::open(archive.root()).unwrap();
    assert_eq!((dead.exists(), alive.exists()), (false, true));
    drop(writer);
    FolderArchive::open(archive.root()).unwrap();
    assert!(!alive.exists(), "its writer is gone now");
    put(&again, "test/a", &"a".into()).await;
    FolderArchive::open(archive.root()).unwrap();
    assert_eq!(read(&archive, "test/a").await.unwrap(), "a", "what is archived is not touched");
}

#[tokio::test]
async fn opening_while_somebody_writes_does_not_disturb_them() {
    let (_keep, archive) = in_a_folder().await;
    let root = archive.root().to_path_buf();
    let pieces = stream::iter(0..3).then(move |n| {
        let root = root.clone();
        async move {
            FolderArchive::open(&root).unwrap();
            Ok(Bytes::from(vec![n; 10]))
        }
    });
    let at = key("test/a");
    let offer = Offer { key: &at, content_type: None, length: Some(30), body: pieces.boxed() };
    assert!(matches!(archive.put_new(offer).await.unwrap(), Put::Stored(_)));
    assert_eq!(archive.head(&at).await.unwrap(), Some(30));
}

#[tokio::test]
async fn a_temporary_folder_that_somebody_cleaned_up_is_made_again() {
    let (_keep, archive) = in_a_folder().await;
    fs::remove_dir(archive.root().join(".callvault-tmp")).unwrap();
    assert!(matches!(put(&archive, "test/a", &"a".into()).await, Put::Stored(_)));
}

#[tokio::test]
async fn what_is_no_key_is_not_ours() {
    let (_keep, archive) = in_a_folder().await;
    put(&archive, "test/a", &"a".into()).await;
    fs::write(archive.root().join("test/not a key.txt"), "x").unwrap();
    fs::create_dir(archive.root().join("test/empty")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", archive.root().join("test/link")).unwrap();
    assert_eq!(list(&archive, "").await, [("test/a".to_owned(), 1)].into());
    assert!(matches!(archive.head(&key("test/empty")).await, Err(ArchiveError::Failed { .. })));
}

#[tokio::test]
async fn a_link_under_a_key_is_never_written_through() {
    let (keep, archive) = in_a_folder().await;
    let outside = keep.path().join("outside");
    fs::write(&outside, "mine").unwrap();
    fs::create_dir_all(archive.root().join("test")).unwrap();
    std::os::unix::fs::symlink(&outside, archive.root().join("test/a")).unwrap();
    assert!(matches!(put(&archive, "test/a", &"theirs".into()).await, Put::AlreadyThere { same: false, .. }));
    archive.put_document(&key("test/a"), "text/plain", "new".into()).await.unwrap();
    assert_eq!(fs::read_to_string(&outside).unwrap(), "mine");
}

#[tokio::test]
async fn a_root_that_is_no_folder_is_out_of_reach() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    for root in [file.clone(), file.join("below")] {
        let error = FolderArchive::open(&root).unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
        assert!(matches!(error, ArchiveError::Unreachable { .. } | ArchiveError::Failed { .. }), "{error:?}");
    }
    // An object stands where a folder is needed.
    let archive = FolderArchive::open(&folder.path().join("archive")).unwrap();
    put(&archive, "test/a", &"a".into()).await;
    let at = key("test/a/b");
    let offer = Offer { key: &at, content_type: None, length: None, body: body(&"b".into(), 1) };
    let error = archive.put_new(offer).await.unwrap_err();
    assert!(matches!(error, PutError::Store(_)), "{error:?}");
    assert_eq!(read(&archive, "test/a").await.unwrap(), "a");
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let (_keep, archive) = in_a_folder().await;
    let locked = archive.root().join(".callvault-tmp");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
    if File::create(locked.join("probe")).is_ok() {
        // /proc refuses root too.
        println!("running as root, whom no permission stops: /proc stands in for a read-only folder");
        let error = FolderArchive::open(Path::new("/proc/callvault")).unwrap_err();
        assert!(error.to_string().contains("/proc"), "{error}");
        return;
    }
    let error = archive.put_document(&key("test/a"), "text/plain", "a".into()).await.unwrap_err();
    assert!(matches!(error, ArchiveError::Denied { .. }), "{error:?}");
    assert!(error.is_general());
}
