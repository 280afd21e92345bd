//! The harness of the tests: what more than one of them needs.
//!
//! | module | owns |
//! |---|---|
//! | [`contract_ledger`], [`contract_archive`] | what every implementation of a port must do |
//! | [`faulty`] | ports that fail, by call number |
//! | [`fakes`] | a source in memory, a clock that tests move |
//! | [`binary`] | the real `callvault`, built and run |
//! | [`truth`] | an archive compared with the simulator's truth |

pub mod binary;
pub mod contract_archive;
pub mod contract_ledger;
pub mod fakes;
pub mod faulty;
pub mod truth;
