//! The secret of a signed-in user in a file of one machine.
//!
//! Only its owner may read it (0600). It is written under a temporary name beside it, synchronised, and renamed, so it
//! is whole whenever it is read, also after a power cut. Whoever changes it holds the lock beside it. Must never show
//! content: not in an error, not in a log, not in Debug.

#[cfg(test)]
mod tests;
mod tokens;

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Once;

use callvault_pipeline::archive::prove;
use callvault_pipeline::user_secret::{UserSecret, UserSecretFault};
use secrecy::{ExposeSecret as _, SecretString};

pub use tokens::FileTokens;

/// No secret is near this; what is larger is some other file.
const LARGEST: u64 = 1 << 20;

/// A file that holds a user's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    path: PathBuf,
}

/// Why a secret's file cannot be used. No kind shows content.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretFileError {
    /// It cannot be read.
    #[error("{path} cannot be read ({detail})")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        detail: String,
    },
    /// It is no secret of a user.
    #[error(r#"{path} is no secret of a user ({fault}): it should be {{"clientId": "...", "clientSecret": "..."}}"#)]
    Useless {
        /// The file.
        path: String,
        /// What is wrong with it.
        fault: UserSecretFault,
    },
    /// It cannot be written.
    #[error("{path} cannot be written ({detail})")]
    Unwritable {
        /// The file.
        path: String,
        /// Why.
        detail: String,
    },
}

impl SecretFileError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "secret-file-unreadable",
            Self::Useless { .. } => "secret-file-useless",
            Self::Unwritable { .. } => "secret-file-unwritable",
        }
    }
}

/// The right to change a secret's file; given up when it is dropped.
#[derive(Debug)]
pub struct Locked {
    _lock: File,
}

impl SecretFile {
    /// The file at `path`, which need not be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a pair of tokens goes that could not be written here: `NAME.rescue`, beside it; or, where that cannot be
    /// written either, a file of its own in the folder for temporary files.
    pub fn rescues(&self) -> [Self; 2] {
        let path = self.target().and_then(std::path::absolute).unwrap_or_else(|_| self.path.clone());
        let digest = prove(path.as_os_str().as_encoded_bytes()).sha256;
        let elsewhere = std::env::temp_dir().join(format!("callvault-{digest}.rescue"));
        [Self::new(self.beside(".rescue")), Self::new(elsewhere)]
    }

    /// Its text; `None` where there is no file.
    ///
    /// # Errors
    /// [`SecretFileError::Unreadable`].
    pub fn text(&self) -> Result<Option<SecretString>, SecretFileError> {
        let failed = |error: &io::Error| self.unreadable(error.to_string());
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        let about = file.metadata().map_err(|error| failed(&error))?;
        if !about.is_file() || about.len() > LARGEST {
            return Err(self.unreadable("it is no file that could hold a secret".to_owned()));
        }
        if readable_by_others(&about) {
            // Once: it is read again and again.
            static SAID: Once = Once::new();
            let path = self.path.display();
            SAID.call_once(|| tracing::warn!("{path} holds tokens and others may read it: chmod 600 {path}"));
        }
        let text = io::read_to_string(file).map_err(|error| failed(&error))?;
        Ok(Some(text.into()))
    }

    /// The secret in it; `None` where there is no file.
    ///
    /// # Errors
    /// [`SecretFileError::Unreadable`], [`SecretFileError::Useless`].
    pub fn read(&self) -> Result<Option<UserSecret>, SecretFileError> {
        let Some(text) = self.text()? else { return Ok(None) };
        let useless = |fault| SecretFileError::Useless { path: self.path.display().to_string(), fault };
        UserSecret::parse(text.expose_secret()).map(Some).map_err(useless)
    }

    /// Whether it could be written now. Leaves nothing behind.
    ///
    /// # Errors
    /// [`SecretFileError::Unwritable`].
    pub fn check_writable(&self) -> Result<(), SecretFileError> {
        let checked = self.target().and_then(|target| {
            if target.is_dir() {
                return Err(io::Error::other("it is a folder"));
            }
            temporary(&target).map(drop)
        });
        checked.map_err(|error| self.unwritable(&error))
    }

    /// Writes a secret in place of what is there. On disk when this returns.
    ///
    /// # Errors
    /// [`SecretFileError::Unwritable`]: what was there is there.
    pub fn write(&self, secret: &UserSecret) -> Result<(), SecretFileError> {
        let json = secret.to_json();
        self.replace(json.expose_secret().as_bytes()).map_err(|error| self.unwritable(&error))
    }

    /// Takes the lock; `None` while somebody else has it.
    ///
    /// # Errors
    /// [`SecretFileError::Unwritable`] where no lock can be had.
    pub fn try_lock(&self) -> Result<Option<Locked>, SecretFileError> {
        let lock = self.target().and_then(|target| {
            let lock = private(&mut File::options()).open(appended(&target, ".lock"))?;
            match lock.try_lock() {
                Ok(()) => Ok(Some(Locked { _lock: lock })),
                Err(TryLockError::WouldBlock) => Ok(None),
                Err(TryLockError::Error(error)) => Err(error),
            }
        });
        lock.map_err(|error| self.unwritable(&error))
    }

    /// Forgets what an earlier renewal left beside it: after a new sign-in it is of no use.
    ///
    /// # Errors
    /// [`SecretFileError::Unwritable`].
    pub fn forget_leftovers(&self) -> Result<(), SecretFileError> {
        let rescues = self.rescues().map(|rescue| rescue.path);
        for path in rescues.iter().chain([&self.beside(".exchanging")]) {
            remove(path).map_err(|error| self.unwritable(&error))?;
        }
        Ok(())
    }

    /// A file beside the one it is a link to, if it is one.
    fn beside(&self, suffix: &str) -> PathBuf {
        appended(&self.target().unwrap_or_else(|_| self.path.clone()), suffix)
    }

    /// The file itself, where the path is a link to it: a rename must not take the link's place.
    fn target(&self) -> io::Result<PathBuf> {
        match self.path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(self.path.clone()),
            target => target,
        }
    }

    fn replace(&self, content: &[u8]) -> io::Result<()> {
        let target = self.target()?;
        let mut file = temporary(&target)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|refused| refused.error)?;
        synchronise(folder_of(&target))
    }

    fn unreadable(&self, detail: String) -> SecretFileError {
        SecretFileError::Unreadable { path: self.path.display().to_string(), detail }
    }

    fn unwritable(&self, error: &io::Error) -> SecretFileError {
        SecretFileError::Unwritable { path: self.path.display().to_string(), detail: error.to_string() }
    }
}

/// A temporary file beside `target`, for its owner only, as `tempfile` makes them.
fn temporary(target: &Path) -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(".callvault-").suffix(".part").tempfile_in(folder_of(target))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn appended(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().map_or_else(|| OsString::from("secret"), OsString::from);
    name.push(suffix);
    path.with_file_name(name)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => synchronise(folder_of(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a folder's entries last through a power cut. Only Unix can open a folder.
fn synchronise(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Options for a file that only its owner may read.
fn private(options: &mut std::fs::OpenOptions) -> &mut std::fs::OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options.create(true).append(true)
}

#[cfg(unix)]
fn readable_by_others(about: &std::fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o077 != 0
}

#[cfg(not(unix))]
fn readable_by_others(_: &std::fs::Metadata) -> bool {
    false
}
