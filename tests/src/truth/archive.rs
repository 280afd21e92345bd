//! The folder as it is on disk.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

/// One file.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256 in lower-case hex.
    pub sha256: String,
    /// Its first bytes.
    pub head: Vec<u8>,
}

/// Every file of a folder.
#[derive(Debug, Default)]
pub struct Archive {
    root: std::path::PathBuf,
    /// By key.
    pub files: BTreeMap<String, Stored>,
    /// What has no business in an archive: hidden or temporary files, and what is neither file nor folder.
    pub leftovers: Vec<String>,
}

impl Archive {
    /// Reads every file below `root`.
    pub fn read(root: &Path) -> Self {
        let mut archive = Self { root: root.to_owned(), ..Self::default() };
        archive.folder(root);
        archive
    }

    /// A file's whole content.
    pub fn content(&self, key: &str) -> Option<Vec<u8>> {
        std::fs::read(self.root.join(key)).ok()
    }

    fn folder(&mut self, folder: &Path) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let key = path.strip_prefix(&self.root).unwrap().to_str().unwrap().to_owned();
            if kind.is_dir() {
                self.folder(&path);
            } else if !kind.is_file() || key.split('/').any(|part| part.starts_with('.')) || key.ends_with(".part") {
                self.leftovers.push(key);
            } else {
                self.files.insert(key, digest(&path));
            }
        }
    }
}

fn digest(path: &Path) -> Stored {
    let mut file = File::open(path).unwrap();
    let (mut hash, mut bytes, mut head) = (Sha256::new(), 0, Vec::new());
    let mut chunk = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut chunk).unwrap();
        if read == 0 {
            break;
        }
        if head.is_empty() {
            head = chunk[..read.min(16)].to_vec();
        }
        hash.update(&chunk[..read]);
        bytes += read as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Stored { bytes, sha256, head }
}
