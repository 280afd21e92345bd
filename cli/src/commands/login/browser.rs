//! Opening a page in the person's browser, where there is one.
//!
//! Never in the way: whoever has none opens the printed address elsewhere.

use std::process::{Command, Stdio};

use callvault_bootstrap::system;

/// Opens a page, if there seems to be a browser: the program that `BROWSER` names, or the desktop's own.
pub(super) fn open(url: &str) {
    let Some((program, args)) = opener() else { return };
    let mut command = Command::new(program);
    command.args(args).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // It may run for as long as the browser does: nobody waits for it, but it must not stay behind as a zombie. Where it
    // cannot be started, the address is on the screen.
    if let Ok(mut child) = command.spawn() {
        drop(std::thread::spawn(move || child.wait()));
    }
}

fn opener() -> Option<(String, Vec<&'static str>)> {
    if let Some(browser) = system::environment("BROWSER") {
        // A list of programs, the first one first.
        return browser.split(':').next().map(|program| (program.trim().to_owned(), Vec::new()));
    }
    let named = |program: &str| Some((program.to_owned(), Vec::new()));
    if cfg!(target_os = "macos") {
        named("open")
    } else if cfg!(windows) {
        Some(("rundll32".to_owned(), vec!["url.dll,FileProtocolHandler"]))
    } else {
        let has_display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| system::environment(name).is_some());
        has_display.then(|| named("xdg-open")).flatten()
    }
}
