//! Archive and ledger: whether they may be written as an export writes them.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use callvault_bootstrap::settings::{ArchivePlace, LedgerPlace, Settings};
use callvault_bootstrap::{binding, system};
use callvault_local::folder::FolderArchive;
use callvault_local::secret_file::SecretFile;
use callvault_local::sqlite::SqliteLedger;
use callvault_pipeline::archive::Archive;
use callvault_pipeline::layout::Key;
use futures_util::TryStreamExt as _;

use super::report::{Check, Report};
use crate::cloud::Cloud;
use crate::clouds;
use crate::connect::archive_url;
use crate::failure::Failure;

/// How the names of probes begin: beside all folders, where no layout puts anything.
const PROBE: &str = "_callvault-doctor-";

/// Writes an object, reads it back and deletes it.
pub(super) async fn archive(report: &mut Report, settings: &Settings, cloud: Option<&Cloud>) {
    let (name, needed_for) = ("archive", "storing recordings");
    let opened: Result<Arc<dyn Archive>, Failure> = match (&settings.archive, cloud) {
        (ArchivePlace::Folder(path), _) => {
            FolderArchive::open(path).map(|archive| Arc::new(archive) as _).map_err(Failure::from)
        }
        (ArchivePlace::S3(place), Some(cloud)) => cloud.archive(place).await,
        (ArchivePlace::Azure(_) | ArchivePlace::Google(_), _) => clouds::archive(settings).await,
        (ArchivePlace::S3(_), None) => {
            return report.add(Check::skipped(name, needed_for, "it is on AWS, which is not set up"));
        }
    };
    report.add(match opened {
        Err(failure) => {
            Check::missing(name, needed_for, failure.text()).advise("check ARCHIVE and who may write there")
        }
        Ok(archive) => match probe(archive.as_ref()).await {
            Ok(detail) => Check::ok(name, needed_for, detail),
            Err(detail) => Check::missing(name, needed_for, detail).advise("check ARCHIVE and who may write there"),
        },
    });
}

async fn probe(archive: &dyn Archive) -> Result<String, String> {
    let key: Key =
        format!("{PROBE}{}.json", system::holder().0).parse().map_err(|_| "no key for a probe".to_owned())?;
    let content = Bytes::from_static(br#"{"from":"callvault doctor","may be deleted":true}"#);
    archive.put_document(&key, "application/json", content.clone()).await.map_err(|error| error.to_string())?;
    let read = async {
        let body = archive.read(&key).await?;
        match body {
            None => Ok(None),
            Some(body) => {
                let pieces: Vec<Bytes> = body.try_collect().await?;
                Ok(Some(pieces.concat()))
            }
        }
    };
    let read = read.await.map_err(|error: callvault_pipeline::archive::ArchiveError| error.to_string())?;
    let deleted = archive.delete(&key).await;
    if read.as_deref() != Some(&content[..]) {
        return Err(format!("{} came back otherwise than it was written", archive.url(&key)));
    }
    // Exports delete markers only; where nobody may delete, what is locked stays.
    Ok(match deleted {
        Ok(()) => "an object was written, read back and deleted".to_owned(),
        Err(error) => format!("an object was written and read back, and {} stays: {error}", archive.url(&key)),
    })
}

/// Opens the ledger, or looks whether it could be made; writes nothing into it.
pub(super) async fn ledger(report: &mut Report, settings: &Settings, cloud: Option<&Cloud>) {
    let (name, needed_for) = ("ledger", "remembering what is done");
    let bound_to = binding::of(settings, archive_url(&settings.archive, ""));
    let checked = match (&settings.ledger, cloud) {
        (LedgerPlace::Sqlite(path), _) if path.exists() => existing(path, &bound_to).await,
        (LedgerPlace::Sqlite(path), _) => creatable(path),
        (LedgerPlace::DynamoDb(table), Some(cloud)) => match cloud.check_ledger(table, &bound_to).await {
            Ok(differing) if differing.is_empty() => Ok(format!("the table {table} may be read and written")),
            Ok(differing) => Err(binding::refusal(table, &differing)),
            Err(failure) => Err(failure.text()),
        },
        (LedgerPlace::DynamoDb(_), None) => {
            return report.add(Check::skipped(name, needed_for, "it is on AWS, which is not set up"));
        }
    };
    report.add(match checked {
        Ok(detail) => Check::ok(name, needed_for, detail),
        Err(detail) => Check::missing(name, needed_for, detail).advise("check LEDGER"),
    });
}

async fn existing(path: &Path, bound_to: &[(&'static str, String)]) -> Result<String, String> {
    let shown = path.display().to_string();
    let ledger =
        SqliteLedger::open(path, system::holder(), system::clock().now()).map_err(|error| error.to_string())?;
    let differing = ledger.bind(bound_to).await.map_err(|error| error.to_string())?;
    if differing.is_empty() {
        Ok(format!("{shown} may be read and written"))
    } else {
        Err(binding::refusal(&shown, &differing))
    }
}

/// Whether the file could be made, with the folders above it.
fn creatable(path: &Path) -> Result<String, String> {
    let mut above =
        path.ancestors().skip(1).map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let folder = above.find(|folder| folder.exists()).unwrap_or(Path::new("."));
    // The same question as for a secret's file: may a file be made there?
    let asked = SecretFile::new(folder.join("ledger")).check_writable();
    asked.map(|()| format!("{} is not there yet and can be made", path.display())).map_err(|error| error.to_string())
}
