//! callvault as it runs on AWS: the real function binaries under the real runtime protocol, until a day is closed.

mod days;
mod secrets;
mod voicemail;
