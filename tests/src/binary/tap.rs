//! A tap on the line between `callvault` and an org: hands every byte on, and remembers what must stay secret.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// A tap. It goes on until the test's process ends.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    /// Listens, and hands everything on to `to`.
    pub fn on(to: SocketAddr) -> Self {
        Self::listen(to, None)
    }

    /// The same, but requests that begin with `line` (`POST /path`) get `answer` and are not handed on.
    pub fn answering(to: SocketAddr, line: &'static str, answer: &'static str) -> Self {
        Self::listen(to, Some((line, answer)))
    }

    fn listen(to: SocketAddr, instead: Option<(&'static str, &'static str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let told = Arc::clone(&heard);
        std::thread::spawn(move || {
            for caller in listener.incoming().flatten() {
                let Ok(org) = TcpStream::connect(to) else { continue };
                hand_on(caller.try_clone().unwrap(), org.try_clone().unwrap(), &told, instead);
                hand_on(org, caller, &told, None);
            }
        });
        Self { address, heard }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every secret that went over the line: access tokens, the credentials in sign-ins, and the signatures of URLs.
    pub fn secrets(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let mut secrets = Vec::new();
        for bytes in heard.iter() {
            let text = String::from_utf8_lossy(bytes);
            for mark in ["\"access_token\":\"", "uthorization: Bearer ", "uthorization: Basic ", "Signature="] {
                for (at, _) in text.match_indices(mark) {
                    let secret: String = text[at + mark.len()..]
                        .chars()
                        .take_while(|c| !c.is_whitespace() && !"\"&".contains(*c))
                        .collect();
                    // Shorter ones were cut off by a fault.
                    if secret.len() >= 8 {
                        secrets.push(secret);
                    }
                }
            }
        }
        secrets.sort();
        secrets.dedup();
        secrets
    }
}

fn hand_on(
    mut from: TcpStream,
    mut to: TcpStream,
    heard: &Arc<Mutex<Vec<Vec<u8>>>>,
    instead: Option<(&'static str, &'static str)>,
) {
    let heard = Arc::clone(heard);
    std::thread::spawn(move || {
        let (mut all, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
        while let Ok(read @ 1..) = from.read(&mut chunk) {
            all.extend_from_slice(&chunk[..read]);
            // A client that waits for its answers sends every request as the first bytes of a segment.
            if let Some((_, answer)) = instead.filter(|(line, _)| chunk[..read].starts_with(line.as_bytes())) {
                let _ = from.write_all(answer.as_bytes());
                break;
            }
            if to.write_all(&chunk[..read]).is_err() {
                break;
            }
        }
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(all);
        let _ = to.shutdown(if instead.is_some() { Shutdown::Both } else { Shutdown::Write });
    });
}
