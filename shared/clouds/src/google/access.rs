//! Who writes to Google Cloud: `object_store`'s credentials, renewed by it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use callvault_pipeline::archive::ArchiveError;
use object_store::gcp::{GcpCredentialProvider, GoogleCloudStorageBuilder};
use object_store::{BackoffConfig, RetryConfig};

use crate::BadSettings;
use crate::wire::{Authority, Call};
use crate::words::no_credentials;

/// Who writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleSignIn {
    /// Whom a file names: the key of a service account, or what `gcloud auth application-default login` leaves.
    File(PathBuf),
    /// As Google's own tools find it: what gcloud left in its usual place, otherwise the machine's service account.
    Default,
    /// Nobody: an emulator on this machine.
    Nobody,
}

struct Nobody;

#[async_trait]
impl Authority for Nobody {
    async fn authorise(&self, _: &mut Call) -> Result<(), ArchiveError> {
        Ok(())
    }
}

struct Bearer {
    credentials: GcpCredentialProvider,
    advice: &'static str,
}

/// The permission of `sign_in`. Reads its file, asks nobody yet.
///
/// # Errors
/// [`BadSettings`]: a file that cannot be read or used.
pub(super) fn authority(sign_in: GoogleSignIn) -> Result<Arc<dyn Authority>, BadSettings> {
    let retries =
        RetryConfig { backoff: BackoffConfig::default(), max_retries: 2, retry_timeout: Duration::from_secs(15) };
    let builder = GoogleCloudStorageBuilder::new().with_bucket_name("x").with_retry(retries);
    let (builder, advice, what) = match sign_in {
        GoogleSignIn::Nobody => return Ok(Arc::new(Nobody)),
        GoogleSignIn::File(path) => {
            let shown = path.display().to_string();
            if let Err(error) = std::fs::metadata(&path) {
                return Err(BadSettings(format!("GOOGLE_APPLICATION_CREDENTIALS names {shown}: {error}")));
            }
            let advice = "check the file that GOOGLE_APPLICATION_CREDENTIALS names: its key may have been removed";
            (builder.with_application_credentials(&shown), advice, format!("{shown} (GOOGLE_APPLICATION_CREDENTIALS)"))
        }
        GoogleSignIn::Default => {
            let advice = "set GOOGLE_APPLICATION_CREDENTIALS, sign in with `gcloud auth application-default login`, or \
                          run where there is a service account";
            (builder, advice, "what gcloud has left".to_owned())
        }
    };
    // What it says may repeat what it has read.
    let built = builder.build().map_err(|_| {
        BadSettings(format!(
            "{what} cannot be used: expected the key of a service account, or what `gcloud auth application-default \
             login` leaves"
        ))
    })?;
    Ok(Arc::new(Bearer { credentials: built.credentials().clone(), advice }))
}

#[async_trait]
impl Authority for Bearer {
    async fn authorise(&self, call: &mut Call) -> Result<(), ArchiveError> {
        let credential = self.credentials.get_credential().await;
        let credential = credential.map_err(|error| no_credentials(self.advice, &error))?;
        let header = http::HeaderValue::from_str(&format!("Bearer {}", credential.bearer));
        let mut header = header.map_err(|_| ArchiveError::Denied { detail: format!("no token: {}", self.advice) })?;
        header.set_sensitive(true);
        call.headers.insert(http::header::AUTHORIZATION, header);
        Ok(())
    }
}
