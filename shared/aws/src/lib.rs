//! Adapters for AWS: ledger and telephony calls in DynamoDB, the archive in S3, secrets in Secrets Manager.
//!
//! | module | owns |
//! |---|---|
//! | [`calls`] | telephony calls in a table of their own, and open websockets |
//! | [`config`] | the SDK's configuration: time-outs, retries, one HTTP stack |
//! | [`dynamodb`] | the ledger's rows in one table |
//! | [`s3`] | the archive's objects in one bucket |
//! | [`secrets`] | Genesys credentials in a secret, and the versions of one that is rotated |
//! | [`sockets`] | messages to open websockets |
//! | [`topic`] | a topic of SNS that is told of closed days |
//! | [`user_secret`] | a signed-in user's secret, for whoever signs in |
//! | [`user_tokens`] | the access token of a signed-in user, from a secret |
//!
//! Must never decide what happens to a row (that is the state machine's), nor what is archived where.

pub mod calls;
pub mod config;
pub mod dynamodb;
pub mod s3;
pub mod secrets;
pub mod sockets;
pub mod topic;
pub mod user_secret;
pub mod user_tokens;
