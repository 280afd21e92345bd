//! The chain of manifests: each closing of a day names the one before it by its digest, so that none can be changed or
//! taken away later without every later marker saying otherwise. Pure.
//!
//! A link stands for one generation of a day. It follows the link of the day that was closed last when it was made, whichever
//! that is: as a rule the day before, and after a day that was looked at again, that one. Two that are closed at the same
//! instant may follow the same one.
//!
//! The words and the text that is digested are stored, and checked by others: changing them is a new version.

use serde::{Deserialize, Serialize};

use super::row::{DayFact, Fact, Row};
use crate::archive::prove;
use crate::day::Day;

/// What the digested text begins with.
const VERSION: &str = "callvault-chain-1";

/// The link before another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Previous {
    /// Its day.
    pub day: Day,
    /// Its generation of that day.
    pub generation: u32,
    /// Its digest.
    pub digest: String,
}

/// One generation of a day in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// The generation.
    pub generation: u32,
    /// The SHA-256 of its manifest, in lower-case hex.
    pub manifest: String,
    /// What it follows; `None` for the first link of all.
    pub previous: Option<Previous>,
    /// SHA-256, in lower-case hex, of these lines, each ended by a line feed: `callvault-chain-1`, the day, the generation,
    /// [`Link::manifest`], and the previous link's digest or `-`.
    pub digest: String,
}

impl Link {
    /// The link of a generation.
    pub fn new(day: Day, generation: u32, manifest: &str, previous: Option<Previous>) -> Self {
        let digest = digest(day, generation, manifest, previous.as_ref());
        Self { generation, manifest: manifest.to_owned(), previous, digest }
    }

    /// Whether its digest follows from what it says.
    pub fn holds(&self, day: Day) -> bool {
        self.digest == digest(day, self.generation, &self.manifest, self.previous.as_ref())
    }
}

fn digest(day: Day, generation: u32, manifest: &str, previous: Option<&Previous>) -> String {
    let before = previous.map_or("-", |previous| &previous.digest);
    prove(format!("{VERSION}\n{day}\n{generation}\n{manifest}\n{before}\n").as_bytes()).sha256
}

/// The newest link of the day that was closed last: what the next one follows.
pub fn last_of(days: &[Row]) -> Option<Previous> {
    let linked = days.iter().filter_map(|row| match &row.fact {
        Fact::Day(DayFact { chain, closed_at, .. }) => Some((*closed_at, row.day, chain.last()?)),
        _ => None,
    });
    let (_, day, link) = linked.max_by_key(|(closed_at, day, _)| (*closed_at, *day))?;
    Some(Previous { day, generation: link.generation, digest: link.digest.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_sha256sum_says_of_the_lines() {
        // printf 'callvault-chain-1\n2026-01-20\n1\nabc\n-\n' | sha256sum
        let day: Day = "2026-01-20".parse().unwrap();
        let first = Link::new(day, 1, "abc", None);
        assert_eq!(first.digest, "ef0bb33d9b3962b0350ce3d43a3b260751f7619264e875b6c8b6d8f50fd0ddac");
        // printf 'callvault-chain-1\n2026-01-21\n2\ndef\nFIRST\n' | sha256sum
        let previous = Previous { day, generation: 1, digest: first.digest };
        let second = Link::new("2026-01-21".parse().unwrap(), 2, "def", Some(previous));
        assert_eq!(second.digest, "537319154252a175b3f097e9e9d80449e233b6b4ec48871933d1e77c2d3cf77a");
    }

    #[test]
    fn whatever_is_changed_in_a_link_breaks_it() {
        let day: Day = "2026-01-20".parse().unwrap();
        let previous = Previous { day: "2026-01-19".parse().unwrap(), generation: 3, digest: "d".to_owned() };
        let link = Link::new(day, 1, "abc", Some(previous.clone()));
        assert!(link.holds(day));
        assert!(!link.holds("2026-01-21".parse().unwrap()));
        let other = Previous { digest: "e".to_owned(), ..previous };
        for changed in [
            Link { generation: 2, ..link.clone() },
            Link { manifest: "abd".to_owned(), ..link.clone() },
            Link { previous: None, ..link.clone() },
            Link { previous: Some(other), ..link },
        ] {
            assert!(!changed.holds(day), "{changed:?}");
        }
    }
}
