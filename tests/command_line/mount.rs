//! A small file system of its own, where this process may make one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs. It is unmounted when this is dropped.
#[derive(Debug)]
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// Mounts one; `None` where that is not allowed, and says so. With `REQUIRE_MOUNT` set that is a failure.
    #[expect(clippy::print_stdout, reason = "whoever reads the run must see what it did not try")]
    #[expect(clippy::disallowed_methods, reason = "a question to whoever runs the tests, not a setting")]
    pub(crate) fn new(at: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        if mount(&["-t", "tmpfs", "-o", options, "tmpfs"], at) {
            return Some(Self(at.to_owned()));
        }
        let required = std::env::var_os("REQUIRE_MOUNT").is_some_and(|value| !value.is_empty());
        assert!(!required, "REQUIRE_MOUNT is set, and this process may not mount a file system");
        println!("skipped: only root may mount a file system, which this test needs to fill one");
        None
    }

    /// Other options, such as another size.
    pub(crate) fn remount(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.0));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(args: &[&str], at: &Path) -> bool {
    Command::new("mount").args(args).arg(at).output().is_ok_and(|output| output.status.success())
}
