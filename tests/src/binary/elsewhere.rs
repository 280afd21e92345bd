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
use crate::stand_ins::s3s::S3sFs;
use crate::stand_ins::verifying_gcs::VerifyingGcs;
use crate::stand_ins::verifying_s3::VerifyingS3;

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// azurite.
    Azure,
    /// The verifying stand-in: the emulator lets different content replace what is there.
    Google,
    /// The emulator, for another's idea of the protocol.
    GoogleEmulator,
    /// The verifying stand-in, as a store that is not AWS's.
    S3,
    /// Another's idea of S3, over a folder.
    S3sFs,
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
        let prefix = unique("journey");
        match store {
            Store::Azure => {
                let azurite = StandIn::azurite();
                let url = azurite.url().to_owned();
                Self::in_azure(&url, &prefix, azurite)
            }
            Store::Google => {
                let gcs = VerifyingGcs::start().await;
                Self::in_google(&gcs.url(), "bucket", &prefix, gcs)
            }
            Store::GoogleEmulator => {
                let gcs = StandIn::gcs();
                let url = gcs.url().to_owned();
                Self::in_google(&url, "recordings", &prefix, gcs)
            }
            Store::S3 => {
                let s3 = VerifyingS3::start(0).await;
                Self::in_s3(&s3.url(), &prefix, s3)
            }
            Store::S3sFs => {
                let s3 = S3sFs::start("testing", "testing").await;
                Self::in_s3(&s3.url(), &prefix, s3)
            }
        }
    }

    /// An archive in an S3 at this URL, which lives as long.
    fn in_s3(url: &str, prefix: &str, store: impl std::any::Any) -> Self {
        let keys = Credentials::new("testing", "testing", None, None, "tests");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(keys));
        let options = S3Options { path_style: true, endpoint: Some(url.to_owned()), ..S3Options::default() };
        let settings = [
            ("ARCHIVE", format!("s3://bucket/{prefix}").as_str()),
            ("S3_ENDPOINT", url),
            ("S3_PATH_STYLE", "true"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "testing"),
            ("AWS_SECRET_ACCESS_KEY", "testing"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        let clock = Arc::new(TestClock::at(jiff::Timestamp::UNIX_EPOCH));
        let archive = Arc::new(S3Archive::new(&sdk.build(), "bucket", prefix, options, clock));
        Self { archive, settings: settings.into(), _store: Box::new(store) }
    }

    /// An archive in a bucket of a Google Cloud at this URL, which lives as long.
    pub fn in_google(url: &str, bucket: &str, prefix: &str, store: impl std::any::Any) -> Self {
        let clock = Arc::new(TestClock::at(jiff::Timestamp::UNIX_EPOCH));
        let options = GoogleOptions {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: Some(url.to_owned()),
            sign_in: GoogleSignIn::Nobody,
            sizes: Sizes::default(),
        };
        let settings = vec![("ARCHIVE", format!("gs://{bucket}/{prefix}")), ("STORAGE_EMULATOR_HOST", url.to_owned())];
        let archive = Arc::new(GoogleArchive::new(options, World { clock, chance: Arc::new(|| 0.5) }).unwrap());
        Self { archive, settings, _store: Box::new(store) }
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
