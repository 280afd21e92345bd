//! The commands, one module each.

pub(crate) mod calls;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod estimate;
pub(crate) mod export;
pub(crate) mod login;
pub(crate) mod redrive;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod simulator;
pub(crate) mod status;
pub(crate) mod verify;
pub(crate) mod r#where;
