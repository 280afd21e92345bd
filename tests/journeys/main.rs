//! Journeys: the real binary against a simulated org, and the archive compared with the org's truth.
//!
//! | module | promise |
//! |---|---|
//! | `whole_days` | nothing is lost or doubled, whatever goes wrong at the source |
//! | `killed` | killed anywhere, it goes on |
//! | `calls_killed` | an event that was answered is kept, whatever kills the server |
//! | `together` | two at once do what one does |
//! | `again` | what is done is not done again |
//! | `polite` | the source is treated politely |
//! | `calendars` | days of other zones, long ago, many, and in pieces |
//! | `choices` | settings that choose what is exported and where it goes |
//! | `elsewhere` | the same in Azure, Google Cloud and a store that speaks S3 |
//! | `scheduled` | `run` exports every day, whatever stops it |
//! | `notified` | people are told of closed days, each generation once |
//! | `verified` | what differs is found, and mended where it can be |
//! | `secrets` | no secret in anything that is written |

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod again;
mod calendars;
mod calls_killed;
mod choices;
mod elsewhere;
mod killed;
mod notified;
mod polite;
mod scheduled;
mod secrets;
mod together;
mod verified;
mod voicemail;
mod whole_days;
