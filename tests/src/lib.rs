//! The harness of the tests: what more than one of them needs.
//!
//! | module | owns |
//! |---|---|
//! | [`contract_ledger`], [`contract_archive`], [`contract_calls`] | what every implementation of a port must do |
//! | [`faulty`] | ports that fail, by call number |
//! | [`fakes`] | a source in memory, a clock that tests move |
//! | [`binary`] | the real `callvault`, built and run |
//! | [`cloud`] | callvault as it runs on AWS, on this machine |
//! | [`planted`] | secrets, and the search for them |
//! | [`stand_ins`] | AWS without an account: moto, the Lambda runtime |
//! | [`truth`] | an archive compared with the simulator's truth |

pub mod binary;
pub mod cloud;
pub mod contract_archive;
pub mod contract_calls;
pub mod contract_ledger;
pub mod fakes;
pub mod faulty;
pub mod planted;
pub mod stand_ins;
pub mod truth;
