//! The archive in Azure or Google Cloud, from settings: the one place that builds it, for every program.

use std::sync::Arc;

use callvault_clouds::azure::{self, AzureArchive, AzureOptions};
use callvault_clouds::google::{self, GoogleArchive, GoogleOptions};
use callvault_clouds::{BadSettings, Sizes, World};
use callvault_pipeline::archive::{Archive, ArchiveError};

use crate::settings::{ArchivePlace, AzurePlace, AzureSignIn, CloudSignIn, GooglePlace, GoogleSignIn, Settings};
use crate::system;

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoArchive {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] BadSettings),
    /// It refuses, or is not there.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// The archive of the settings, asked whether it is there; `None` where it is in neither cloud.
///
/// # Errors
/// [`NoArchive`].
pub async fn open(settings: &Settings) -> Result<Option<Arc<dyn Archive>>, NoArchive> {
    Ok(match (&settings.archive, &settings.cloud_sign_in) {
        (ArchivePlace::Azure(place), CloudSignIn::Azure(sign_in)) => {
            let archive = azure(place, sign_in)?;
            archive.check().await?;
            Some(Arc::new(archive))
        }
        (ArchivePlace::Google(place), CloudSignIn::Google(sign_in)) => {
            let archive = google(place, sign_in)?;
            archive.check().await?;
            Some(Arc::new(archive))
        }
        _ => None,
    })
}

fn world() -> World {
    World { clock: system::clock(), chance: system::chance() }
}

fn azure(place: &AzurePlace, sign_in: &AzureSignIn) -> Result<AzureArchive, BadSettings> {
    let sign_in = match sign_in.clone() {
        AzureSignIn::Key(key) => azure::AzureSignIn::Key(key),
        AzureSignIn::Sas(sas) => azure::AzureSignIn::Sas(sas),
        AzureSignIn::ClientSecret { application, secret } => azure::AzureSignIn::ClientSecret {
            tenant: application.tenant,
            client: application.client,
            secret,
            authority: application.authority,
        },
        AzureSignIn::Workload { application, token_file } => azure::AzureSignIn::Workload {
            tenant: application.tenant,
            client: application.client,
            token_file,
            authority: application.authority,
        },
        AzureSignIn::Managed { client, endpoint } => azure::AzureSignIn::Managed { client, endpoint },
        AzureSignIn::Cli => azure::AzureSignIn::Cli,
        // A person's machine has `az`; a machine of Azure's has an identity.
        AzureSignIn::Found if is_installed("az") => azure::AzureSignIn::Cli,
        AzureSignIn::Found => azure::AzureSignIn::Managed { client: None, endpoint: None },
    };
    let AzurePlace { account, container, prefix, endpoint } = place.clone();
    AzureArchive::new(AzureOptions { account, container, prefix, endpoint, sign_in, sizes: Sizes::default() }, world())
}

fn google(place: &GooglePlace, sign_in: &GoogleSignIn) -> Result<GoogleArchive, BadSettings> {
    let sign_in = match sign_in.clone() {
        GoogleSignIn::File(path) => google::GoogleSignIn::File(path),
        GoogleSignIn::Default => google::GoogleSignIn::Default,
        GoogleSignIn::Nobody => google::GoogleSignIn::Nobody,
    };
    let GooglePlace { bucket, prefix, endpoint } = place.clone();
    GoogleArchive::new(GoogleOptions { bucket, prefix, endpoint, sign_in, sizes: Sizes::default() }, world())
}

/// Whether a program is in one of the folders of `PATH`.
fn is_installed(program: &str) -> bool {
    let path = system::environment("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
