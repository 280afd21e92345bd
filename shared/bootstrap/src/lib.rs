//! What every program of callvault needs before it can work.
//!
//! | module | owns |
//! |---|---|
//! | [`settings`] | the settings: one read, all faults at once |
//! | [`settings_file`] | `callvault.toml` |
//! | [`system`] | the real clock and real chance, the only ones |
//! | [`logging`] | log lines on stderr |

pub mod logging;
pub mod settings;
pub mod settings_file;
pub mod system;
