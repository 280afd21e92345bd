//! Waiting for an address that a person pastes.

use std::io::BufRead as _;

use secrecy::SecretString;
use tokio::sync::mpsc;

use super::redirect::Redirect;
use crate::failure::Failure;
use crate::screen;

/// The lines of stdin.
pub(super) struct Lines(mpsc::Receiver<SecretString>);

impl Lines {
    /// Reads on a thread of its own: nothing can stop a read of a terminal, so nobody may have to wait for it.
    pub(super) fn of_stdin() -> Self {
        let (tell, lines) = mpsc::channel(1);
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                if tell.blocking_send(line.into()).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    /// The first line that is a redirect.
    pub(super) async fn wait(mut self, state: &SecretString) -> Result<Redirect, Failure> {
        use secrecy::ExposeSecret as _;
        while let Some(line) = self.0.recv().await {
            if line.expose_secret().trim().is_empty() {
                continue;
            }
            match Redirect::pasted(line.expose_secret(), state) {
                Some(redirect) => return Ok(redirect),
                None => screen::line(
                    "That is not the address: copy all of the browser's address line, it holds `code=` and `state=`. Again:",
                ),
            }
        }
        Err(Failure::stopped("the input ended before an address was pasted: nothing was written"))
    }
}
