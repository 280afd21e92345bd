//! Archives that are not a folder: where a scene exports to, and its objects as files, to be compared as a folder is.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};
use callvault_aws::s3::{S3Archive, S3Options};
use callvault_clouds::azure::{AzureArchive, AzureOptions, AzureSignIn};
use callvault_clouds::google::{GoogleArchive, GoogleOptions, GoogleSignIn};
use callvault_clouds::{Sizes, World};
use callvault_pipeline::archive::Archive;
use futures_util::TryStreamExt;

use super::scene::Scene;
use crate::fakes::TestClock;
use crate::stand_ins::clouds::{AZURITE_KEY, StandIn};
use crate::stand_ins::moto::unique;
use crate::stand_ins::verifying_gcs::VerifyingGcs;
use crate::stand_ins::verifying_s3::VerifyingS3;

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// azurite.
    Azure,
    /// The verifying stand-in: the emulator lets different content replace what is there.
    Google,
    /// The verifying stand-in, as a store that is not AWS's.
    S3,
}

/// An archive in a store, empty.
pub struct Elsewhere {
    archive: Arc<dyn Archive>,
    settings: Vec<(&'static str, String)>,
    /// Stops with it.
    _store: Box<dyn std::any::Any>,
}

impl Elsewhere {
    /// Starts the store where it is none of all tests', and chooses a prefix in it.
    pub async fn start(store: Store) -> Self {
        let (prefix, text) = (unique("journey"), str::to_owned);
        let clock = Arc::new(TestClock::at(jiff::Timestamp::UNIX_EPOCH));
        match store {
            Store::Azure => {
                let azurite = StandIn::azurite();
                let url = azurite.url().to_owned();
                Self::in_azure(&url, &prefix, azurite)
            }
            Store::Google => Self::in_google(VerifyingGcs::start().await, &prefix),
            Store::S3 => {
                let s3 = VerifyingS3::start(0).await;
                let keys = Credentials::new("testing", "testing", None, None, "tests");
                let sdk = SdkConfig::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::from_static("eu-west-1"))
                    .credentials_provider(SharedCredentialsProvider::new(keys));
                let options = S3Options { path_style: true, endpoint: Some(s3.url()), ..S3Options::default() };
                let settings = vec![
                    ("ARCHIVE", format!("s3://bucket/{prefix}")),
                    ("S3_ENDPOINT", s3.url()),
                    ("S3_PATH_STYLE", text("true")),
                    ("AWS_REGION", text("eu-west-1")),
                    ("AWS_ACCESS_KEY_ID", text("testing")),
                    ("AWS_SECRET_ACCESS_KEY", text("testing")),
                ];
                let archive = Arc::new(S3Archive::new(&sdk.build(), "bucket", &prefix, options, clock));
                Self { archive, settings, _store: Box::new(s3) }
            }
        }
    }

    /// An archive in this Google Cloud, which lives as long.
    pub fn in_google(gcs: VerifyingGcs, prefix: &str) -> Self {
        let clock = Arc::new(TestClock::at(jiff::Timestamp::UNIX_EPOCH));
        let options = GoogleOptions {
            bucket: "bucket".to_owned(),
            prefix: prefix.to_owned(),
            endpoint: Some(gcs.url()),
            sign_in: GoogleSignIn::Nobody,
            sizes: Sizes::default(),
        };
        let settings = vec![("ARCHIVE", format!("gs://bucket/{prefix}")), ("STORAGE_EMULATOR_HOST", gcs.url())];
        let archive = Arc::new(GoogleArchive::new(options, World { clock, chance: Arc::new(|| 0.5) }).unwrap());
        Self { archive, settings, _store: Box::new(gcs) }
    }

    /// An archive in an Azure at this URL, which lives as long.
    pub fn in_azure(url: &str, prefix: &str, store: impl std::any::Any) -> Self {
        let clock = Arc::new(TestClock::at(jiff::Timestamp::UNIX_EPOCH));
        let options = AzureOptions {
            account: "devstoreaccount1".to_owned(),
            container: "recordings".to_owned(),
            prefix: prefix.to_owned(),
            endpoint: Some(format!("{url}/devstoreaccount1")),
            sign_in: AzureSignIn::Key(AZURITE_KEY.into()),
            sizes: Sizes::default(),
        };
        let settings = vec![
            ("ARCHIVE", format!("az://devstoreaccount1/recordings/{prefix}")),
            ("AZURITE_BLOB_STORAGE_URL", url.to_owned()),
        ];
        let archive = Arc::new(AzureArchive::new(options, World { clock, chance: Arc::new(|| 0.5) }).unwrap());
        Self { archive, settings, _store: Box::new(store) }
    }

    /// The environment of a command that exports there.
    pub fn settings(&self) -> &[(&'static str, String)] {
        &self.settings
    }

    /// A scene that exports there.
    #[must_use]
    pub fn scene(&self, scene: Scene) -> Scene {
        self.settings.iter().fold(scene, |scene, (name, value)| scene.with(name, value))
    }

    /// Writes every object into the scene's archive folder, in the place of what is there.
    pub async fn bring(&self, scene: &Scene) {
        let folder = scene.archive();
        let _ = std::fs::remove_dir_all(&folder);
        let listed: Vec<_> = self.archive.list("").await.try_collect().await.unwrap();
        for object in listed {
            let pieces: Vec<_> = self.archive.read(&object.key).await.unwrap().unwrap().try_collect().await.unwrap();
            let path = folder.join(object.key.as_str());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, pieces.concat()).unwrap();
        }
    }
}
