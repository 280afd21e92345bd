//! The place of the secret: a file of this machine or a secret of AWS.
//!
//! A pair of tokens that cannot be written there is written elsewhere, and the person is told where: it exists nowhere
//! else. Must never show it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use callvault_bootstrap::system;
use callvault_genesys::user_secret::UserSecret;
use callvault_local::secret_file::SecretFile;
use secrecy::SecretString;

use crate::args::Login;
use crate::cloud::Cloud;
use crate::connect::Given;
use crate::failure::Failure;

/// Pauses between attempts to write a file.
const AGAIN: [Duration; 3] = [Duration::ZERO, Duration::from_millis(200), Duration::from_secs(1)];

/// How long another process may hold the file's lock: longer than an exchange takes.
const LONGEST_LOCK: u32 = 400;

/// Where a secret is kept.
pub(crate) enum Destination {
    /// In a file of this machine.
    File(SecretFile),
    /// In a secret of AWS Secrets Manager.
    Secret { id: String, cloud: Box<Cloud> },
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.path().display()),
            Self::Secret { id, .. } => write!(f, "the secret {id}"),
        }
    }
}

impl Destination {
    /// What the flags say, or else the setting.
    pub(crate) async fn of(args: &Login, given: &Given) -> Result<Self, Failure> {
        let setting = given.setting("VOICEMAIL_SECRET_ID")?;
        match (&args.file, &args.secret, setting) {
            (Some(path), ..) => Self::file(path),
            (None, Some(id), _) => Self::secret(id).await,
            (None, None, Some(place)) => Self::named(&place).await,
            (None, None, None) => Err(Failure::usage(
                "where do the tokens go? Give --file PATH for this machine or --secret ID for AWS Secrets Manager, or set VOICEMAIL_SECRET_ID",
            )),
        }
    }

    /// What the setting says: `file:PATH`, or the name or ARN of a secret.
    pub(crate) async fn named(place: &str) -> Result<Self, Failure> {
        match place.strip_prefix("file:") {
            Some(path) => Self::file(Path::new(path.strip_prefix("//").unwrap_or(path))),
            None => Self::secret(place).await,
        }
    }

    fn file(path: &Path) -> Result<Self, Failure> {
        if path.as_os_str().is_empty() {
            return Err(Failure::usage("the path of the secret's file is empty: give --file PATH"));
        }
        Ok(Self::File(SecretFile::new(path)))
    }

    async fn secret(id: &str) -> Result<Self, Failure> {
        if id.trim().is_empty() {
            return Err(Failure::usage("the secret's name is empty: give --secret ID"));
        }
        Ok(Self::Secret { id: id.trim().to_owned(), cloud: Box::new(Cloud::for_user_secret().await?) })
    }

    /// What VOICEMAIL_SECRET_ID must be for this place.
    pub(crate) fn setting(&self) -> String {
        match self {
            Self::File(file) => {
                let path = std::path::absolute(file.path()).unwrap_or_else(|_| file.path().to_owned());
                format!("file:{}", path.display())
            }
            Self::Secret { id, .. } => id.clone(),
        }
    }

    /// Says at once what would otherwise come out after somebody has signed in. (Of AWS only asking tells.)
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let Self::File(file) = self else { return Ok(()) };
        let folder = file.path().parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(Failure::usage(format!(
                "there is no folder {}: make it, or give another --file",
                folder.display()
            )));
        }
        file.check_writable().map_err(|error| Failure::stopped(format!("{error}: give another --file")))
    }

    /// What is there now.
    pub(crate) async fn text(&self) -> Result<Option<SecretString>, Failure> {
        match self {
            Self::File(file) => file.text().map_err(|error| Failure::stopped(error.to_string())),
            Self::Secret { id, cloud } => cloud.user_secret(id).await,
        }
    }

    /// Writes what `make` makes of what is there; says where it is, as a sentence. `before` is what was there: it is what
    /// counts where nothing can be read now.
    pub(crate) async fn write(
        &self,
        before: Option<&SecretString>,
        make: impl Fn(Option<&SecretString>) -> UserSecret,
    ) -> Result<String, Failure> {
        match self {
            Self::File(file) => self.write_file(file, before, make).await,
            Self::Secret { id, cloud } => {
                // Read again: a rotation may have been here while the person signed in.
                let secret = make(self.text().await.ok().flatten().as_ref().or(before));
                match cloud.write_user_secret(id, &secret.to_json()).await {
                    Ok(true) => Ok(format!("The tokens are in the new secret {id}.")),
                    Ok(false) => Ok(format!("The tokens are in the secret {id}.")),
                    Err(failure) => Err(rescued(&secret, &failure.text(), |path| {
                        format!("`aws secretsmanager put-secret-value --secret-id {id} --secret-string file://{path}`")
                    })),
                }
            }
        }
    }

    async fn write_file(
        &self,
        file: &SecretFile,
        before: Option<&SecretString>,
        make: impl Fn(Option<&SecretString>) -> UserSecret,
    ) -> Result<String, Failure> {
        let clock = system::clock();
        // Whoever renews tokens in this file holds the lock for a moment. One who holds it longer is not waited for:
        // what a person signed in for is newer than whatever comes of that.
        let mut lock = file.try_lock();
        for _ in 0..LONGEST_LOCK {
            // A fault of the lock is one of the file: writing says which.
            let Ok(None) = lock else { break };
            clock.sleep(Duration::from_millis(100)).await;
            lock = file.try_lock();
        }
        let secret = make(file.text().ok().flatten().as_ref().or(before));
        let mut fault = String::new();
        for pause in AGAIN {
            clock.sleep(pause).await;
            match file.write(&secret).and_then(|()| file.forget_leftovers()) {
                Ok(()) => return Ok(format!("The tokens are in {}.", file.path().display())),
                Err(error) => fault = error.to_string(),
            }
        }
        let home = file.path().display();
        Err(rescued(&secret, &fault, |path| format!("`mv {path} {home}`")))
    }
}

/// Writes a pair that could not be written where it belongs: into this folder, or the one for temporary files.
fn rescued(secret: &UserSecret, fault: &str, bring_home: impl Fn(&str) -> String) -> Failure {
    let folders = [PathBuf::from("."), std::env::temp_dir()];
    for folder in folders {
        let Some(rescue) = free_name(&folder) else { continue };
        if rescue.write(secret).is_ok() {
            let path = rescue.path().canonicalize().unwrap_or_else(|_| rescue.path().to_owned()).display().to_string();
            return Failure::stopped(format!(
                "{fault}. The sign-in itself worked: its tokens are in {path}, for you alone to read. Bring them home with {}, then delete that file",
                bring_home(&path)
            ));
        }
    }
    Failure::stopped(format!("{fault}. The tokens could be written nowhere and are gone: run `callvault login` again"))
}

/// A name that nobody has: an earlier rescue may still be wanted.
fn free_name(folder: &Path) -> Option<SecretFile> {
    (1..100)
        .map(|n| folder.join(format!("callvault-login-rescue-{n}.json")))
        .find(|path| !path.exists())
        .map(SecretFile::new)
}
