//! Blocking work on the disk: temporary files, names that are taken once, synchronised folders.

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use callvault_pipeline::archive::{Listed, Prover};
use tempfile::NamedTempFile;

/// What became of giving a file its name.
pub(super) enum Named {
    /// It has it.
    Ours,
    /// Another file has it.
    Taken,
}

/// A temporary file, locked while this process has it.
pub(super) fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    let make = || tempfile::Builder::new().prefix("").suffix(".part").tempfile_in(folder);
    let file = match make() {
        // Somebody cleaned up.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(folder)?;
            make()?
        }
        made => made?,
    };
    // Somebody who opens the archive between the two lines takes it for an abandoned one, and removes it.
    match file.as_file().try_lock() {
        Err(TryLockError::WouldBlock) => make(),
        // A file system without locks only costs the cleaning up after a crash.
        Ok(()) | Err(TryLockError::Error(_)) if file.path().exists() => Ok(file),
        Ok(()) | Err(TryLockError::Error(_)) => make(),
    }
}

/// Removes temporary files that nobody has locked.
pub(super) fn remove_abandoned(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Ok(file) = File::open(&path) else { continue };
        if file.try_lock().is_ok() {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => tracing::info!("removed a file that an earlier run left half written"),
            }
        }
    }
    Ok(())
}

/// Gives a file its name, unless the name is taken.
pub(super) fn name(file: NamedTempFile, root: &Path, path: &Path) -> io::Result<Named> {
    let folder = make_folder(root, path)?;
    readable(&file)?;
    match file.persist_noclobber(path) {
        Ok(_) => synchronise(&folder).map(|()| Named::Ours),
        Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => Ok(Named::Taken),
        Err(refused) => Err(refused.error),
    }
}

/// Gives a file its name, in place of whatever has it.
pub(super) fn replace(file: NamedTempFile, root: &Path, path: &Path) -> io::Result<()> {
    let folder = make_folder(root, path)?;
    readable(&file)?;
    file.persist(path).map_err(|refused| refused.error)?;
    synchronise(&folder)
}

/// Removes a file, and says so to the disk.
pub(super) fn remove(root: &Path, path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => synchronise(path.parent().unwrap_or(root)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a file has this length and digest.
pub(super) fn has_content(path: &Path, bytes: u64, sha256: &str) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() != bytes {
        return Ok(false);
    }
    let mut prover = Prover::default();
    let mut chunk = vec![0; 128 * 1024];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            read => prover.update(&chunk[..read]),
        }
    }
    Ok(prover.finish(None).is_ok_and(|proof| proof.sha256 == sha256))
}

/// The files of a folder as listed objects, and the folders in it. What is not a key is not ours and not listed.
pub(super) fn list(root: &Path, folder: &Path, skip: &str) -> io::Result<(Vec<Listed>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let entries = match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok((files, folders));
        }
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && entry.file_name() != skip {
            folders.push(path);
        } else if kind.is_file()
            && let Some(key) = path.strip_prefix(root).ok().and_then(Path::to_str).and_then(|key| key.parse().ok())
        {
            files.push(Listed { key, bytes: entry.metadata()?.len() });
        }
    }
    Ok((files, folders))
}

/// Temporary files are made for their owner only; what is archived has the mode that the process's umask gives.
#[cfg(unix)]
fn readable(file: &NamedTempFile) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    // Reading the umask means setting it, which is not safe with threads: owner and group read, as for any archive.
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o640))
}

#[cfg(not(unix))]
fn readable(_: &NamedTempFile) -> io::Result<()> {
    Ok(())
}

/// Makes the folders down to `path`, each synchronised in its parent, and returns the last.
fn make_folder(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let folder = path.parent().unwrap_or(root).to_path_buf();
    if folder.is_dir() {
        return Ok(folder);
    }
    let missing: Vec<&Path> = folder.ancestors().take_while(|ancestor| !ancestor.is_dir()).collect();
    std::fs::create_dir_all(&folder)?;
    for made in missing.iter().rev() {
        if let Some(parent) = made.parent() {
            synchronise(parent)?;
        }
    }
    Ok(folder)
}

/// Makes a folder's entries last through a power cut.
fn synchronise(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
