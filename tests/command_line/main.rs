//! The command line, as scripts and people meet it: exit codes, messages, JSON, signals.
//!
//! | module | what |
//! |---|---|
//! | `usage` | flags, days, help, completions |
//! | `settings` | every setting that is wrong, by environment and by file |
//! | `sources` | orgs that refuse, do not answer or are not there |
//! | `places` | archives and ledgers that are not what they should be, or full |
//! | `clouds` | archives in Azure and Google Cloud that are not what they should be |
//! | `sign_ins` | who writes to Azure |
//! | `answers` | what `export`, `status` and `where` print |
//! | `estimate` | what an export will take, and what it then takes |
//! | `calls` | telephony's events, from the webhook to the websocket and to `calls` |
//! | `report` | the file it leaves, and what it refuses |
//! | `doctor` | everything that is there, and each thing that is not |
//! | `login` | a person who signs in, and what can come between |
//! | `panics` | what is said when a process dies of one |
//! | `person` | somebody with a browser, for `login` |
//! | `running` | signals, `simulator`, `demo`, a stdout that nobody reads |
//! | `serve` | who may ask it, bytes that are no request, stopping it |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod answers;
mod calls;
mod clouds;
mod doctor;
mod estimate;
mod login;
mod mount;
mod on_aws;
mod panics;
mod person;
mod places;
mod report;
mod running;
mod serve;
mod settings;
#[cfg(unix)]
mod sign_ins;
mod sources;
mod usage;

use callvault_tests::binary::Output;

/// The command ended with `code`, said nothing on stdout, and on stderr something that holds all of `words`.
#[track_caller]
fn refused(what: &str, output: &Output, code: i32, words: &[&str]) {
    let Output { stdout, stderr, .. } = output;
    assert_eq!(output.code, Some(code), "{what}: signal {:?}\n{stdout}\n{stderr}", output.signal);
    assert_eq!(stdout, "", "{what}");
    for word in words {
        assert!(stderr.contains(word), "{what}: no `{word}` in:\n{stderr}");
    }
    // Warnings of the log may come first; the message that comes with the exit code is the last.
    let message = stderr.lines().find(|line| !line.contains(" WARN ")).unwrap_or_default();
    assert!(message.starts_with("callvault: ") || message.starts_with("error: "), "{what}:\n{stderr}");
    // What went wrong, in words for whoever runs it: no debug output, no stack.
    for odd in ["panicked", "Error {", "Err(", "Some(", "stack backtrace", "Os {"] {
        assert!(!stderr.contains(odd), "{what}: `{odd}` in:\n{stderr}");
    }
}
