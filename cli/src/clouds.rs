//! The archive in Azure or Google Cloud; in a program built without them, one sentence that says so.

use std::sync::Arc;

use callvault_bootstrap::settings::Settings;
use callvault_pipeline::archive::Archive;

use crate::failure::Failure;

/// The archive of the settings, asked whether it is there.
#[cfg(feature = "clouds")]
pub(crate) async fn archive(settings: &Settings) -> Result<Arc<dyn Archive>, Failure> {
    use callvault_bootstrap::clouds::{self, NoArchive};
    match clouds::open(settings).await {
        Ok(Some(archive)) => Ok(archive),
        Ok(None) => Err(Failure::usage("ARCHIVE is in neither Azure nor Google Cloud")),
        Err(NoArchive::Settings(bad)) => Err(Failure::usage(bad.0)),
        Err(NoArchive::Archive(error)) => Err(error.into()),
    }
}

/// There is none here.
#[cfg(not(feature = "clouds"))]
#[expect(clippy::unused_async, reason = "the other one asks the cloud")]
pub(crate) async fn archive(_: &Settings) -> Result<Arc<dyn Archive>, Failure> {
    Err(Failure::usage(
        "this callvault was built without Azure and Google Cloud, which ARCHIVE needs: build it with its default features",
    ))
}
