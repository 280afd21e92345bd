//! What every program of callvault needs before it can work.
//!
//! | module | owns |
//! |---|---|
//! | [`settings`] | the settings: one read, all faults at once |
//! | [`settings_file`] | `callvault.toml` |
//! | [`system`] | the real clock and real chance, the only ones |
//! | [`logging`] | log lines on stderr |
//! | [`binding`] | what a ledger is bound to |
//! | [`webhook`] | the webhook that is told of closed days |
//! | [`wiring`] | settings into stages |
//! | `aws` (feature `aws`) | settings into the adapters for AWS |
//! | `clouds` (feature `clouds`) | settings into the archives in Azure and Google Cloud |
//! | `lambda` (feature `lambda`) | the Lambda runtime around a function: events, deadlines, errors, logs |
//! | `metrics` (feature `lambda`) | metrics in CloudWatch's embedded format |

#[cfg(feature = "aws")]
pub mod aws;
pub mod binding;
#[cfg(feature = "clouds")]
pub mod clouds;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod logging;
#[cfg(feature = "lambda")]
pub mod metrics;
pub mod settings;
pub mod settings_file;
pub mod system;
pub mod webhook;
pub mod wiring;
