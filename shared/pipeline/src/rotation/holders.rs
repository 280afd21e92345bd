//! Which of several refresh tokens is the newest. Pure.
//!
//! A token says nothing of its age. What is known: the row of the ledger names the token that was current when the last
//! exchange began, the one that was spent and the one that came for it; the rescue secret carries the first of these
//! with it. As long as the current version still holds that token, whatever else holds one is newer. If it holds another,
//! somebody has signed in or finished a rotation since, and what else there is has had its time.

use callvault_genesys::user_secret::UserSecret;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::ports::Generation;

/// In a rescue secret: the fingerprint of the token that was current when its pair was received.
const RESCUE_OF: &str = "rescueOf";

/// SHA-256 of a refresh token, in hexadecimal digits; empty where there is no token. It names a token and cannot be spent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// That of a token.
    pub fn of(token: &SecretString) -> Self {
        let digest = Sha256::digest(token.expose_secret().as_bytes());
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// That of a document's refresh token.
    pub fn of_document(document: &UserSecret) -> Self {
        document.refresh_token().as_ref().map(Self::of).unwrap_or_default()
    }

    /// As it was kept; `None` for what is none.
    pub fn read(text: &str) -> Option<Self> {
        let legal = matches!(text.len(), 0 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        legal.then(|| Self(text.to_owned()))
    }

    /// For keeping.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the current version.
    Current,
    /// In the rescue secret.
    Rescue,
    /// In another version.
    Version(String),
}

impl Place {
    /// The other version, where it is in one.
    pub fn version(&self) -> Option<&String> {
        match self {
            Self::Version(version) => Some(version),
            Self::Current | Self::Rescue => None,
        }
    }
}

/// A document beside the current one.
#[derive(Debug, Clone)]
pub struct Other {
    /// Where it is.
    pub place: Place,
    /// The document.
    pub document: UserSecret,
    /// What it says itself of when it was made.
    pub base: Option<Fingerprint>,
}

impl Other {
    /// A version's value; `None` for what is no document.
    pub fn in_version(version: &str, text: &SecretString) -> Option<Self> {
        let document = UserSecret::parse(text.expose_secret()).ok()?;
        Some(Self { place: Place::Version(version.to_owned()), document, base: None })
    }

    /// What is in the rescue secret; `None` where it is cleared.
    pub fn rescued(text: &SecretString) -> Option<Self> {
        let document = UserSecret::parse(text.expose_secret()).ok()?;
        Some(Self { place: Place::Rescue, document, base: mark_of(text) })
    }
}

/// A token that may be spent.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Where it is.
    pub place: Place,
    /// The document around it.
    pub document: UserSecret,
    /// The token.
    pub refresh: SecretString,
    /// Names it.
    pub fingerprint: Fingerprint,
    /// Whether it is newer than the current one, and nobody is known to have tried to spend it.
    pub newer: bool,
}

/// All tokens, the newest first, each once. Documents of another OAuth client are of no use to this one.
pub fn in_order(current: &UserSecret, lineage: Option<&Generation>, others: &[Other]) -> Vec<Candidate> {
    let base = Fingerprint::of_document(current);
    let mut ranked: Vec<(u8, Candidate)> = Vec::new();
    ranked.extend(candidate(Place::Current, current, false).map(|one| (3, one)));
    for other in others.iter().filter(|other| other.document.client_id() == current.client_id()) {
        let Some(mut one) = candidate(other.place.clone(), &other.document, false) else { continue };
        let from_here = match (&other.base, lineage) {
            (Some(mark), _) => *mark == base,
            (None, Some(generation)) => generation.base == base,
            // Nothing is known: a pending value is newer (the contract's own words).
            (None, None) => true,
        };
        let got = lineage.is_some_and(|generation| generation.got.as_ref() == Some(&one.fingerprint));
        let spent = lineage.is_some_and(|generation| generation.spent == one.fingerprint);
        one.newer = from_here && !spent;
        ranked.push((
            if !from_here {
                4
            } else if spent {
                2
            } else {
                u8::from(!got)
            },
            one,
        ));
    }
    // Sorting is stable: among equals, the order in which they were looked at.
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut once: Vec<Candidate> = Vec::new();
    for (_, one) in ranked {
        if one.fingerprint == base && one.place != Place::Current {
            continue;
        }
        if once.iter().all(|known| known.fingerprint != one.fingerprint) {
            once.push(one);
        }
    }
    once
}

/// A candidate of a document, if it holds a token.
pub fn candidate(place: Place, document: &UserSecret, newer: bool) -> Option<Candidate> {
    let refresh = document.refresh_token()?;
    let fingerprint = Fingerprint::of(&refresh);
    Some(Candidate { place, document: document.clone(), refresh, fingerprint, newer })
}

/// A document for the rescue secret: the same, and what was current when it was received.
pub fn marked(document: &UserSecret, base: &Fingerprint) -> SecretString {
    let text = document.to_json();
    // A document is an object with at least a client in it.
    let rest = text.expose_secret().strip_prefix('{').unwrap_or_default();
    format!("{{\"{RESCUE_OF}\":\"{}\",{rest}", base.as_str()).into()
}

/// A document of a rescue secret without the mark.
pub fn unmarked(text: &SecretString) -> SecretString {
    let marked = text.expose_secret().strip_prefix(&format!("{{\"{RESCUE_OF}\":\""));
    match marked.and_then(|rest| rest.split_once("\",")) {
        Some((_, rest)) => format!("{{{rest}").into(),
        None => text.clone(),
    }
}

/// Whether what is in the rescue secret is of no use beside this current version: the same pair, or an older one.
pub fn is_of_the_past(rescued: &SecretString, current: &UserSecret) -> bool {
    let Some(rescued) = Other::rescued(rescued) else { return false };
    let now = Fingerprint::of_document(current);
    Fingerprint::of_document(&rescued.document) == now || rescued.base.is_some_and(|base| base != now)
}

/// Whether a pending pair was made from another sign-in than the one that is current now. Only the exchange it came from
/// can tell; of any other pair nothing is known.
pub fn is_overtaken(lineage: &Generation, version: &str, pending: &Fingerprint, current: &Fingerprint) -> bool {
    let is_its_own = lineage.version == version || lineage.got.as_ref() == Some(pending);
    is_its_own && lineage.base != *current && pending != current
}

fn mark_of(text: &SecretString) -> Option<Fingerprint> {
    /// The one key that is ours.
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marked {
        rescue_of: Option<String>,
    }
    let marked: Marked = serde_json::from_str(text.expose_secret()).ok()?;
    Fingerprint::read(&marked.rescue_of?)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::ports::Spending;
    use super::*;
    use crate::ledger::HolderId;

    fn document(refresh: &str) -> UserSecret {
        let empty = UserSecret::new("client", &"secret".into(), None);
        empty.with_tokens(&format!("access-{refresh}").into(), &refresh.into(), Timestamp::UNIX_EPOCH)
    }

    fn fingerprint(refresh: &str) -> Fingerprint {
        Fingerprint::of(&refresh.into())
    }

    fn other(place: Place, refresh: &str) -> Other {
        Other { place, document: document(refresh), base: None }
    }

    fn version(name: &str, refresh: &str) -> Other {
        other(Place::Version(name.to_owned()), refresh)
    }

    fn generation(base: &str, spent: &str, got: Option<&str>) -> Generation {
        Generation {
            number: 1,
            base: fingerprint(base),
            spent: fingerprint(spent),
            got: got.map(fingerprint),
            state: Spending::Done,
            version: "t".to_owned(),
            from: None,
            holder: HolderId("h".to_owned()),
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
        }
    }

    fn order(current: &str, lineage: Option<Generation>, others: &[Other]) -> Vec<(String, bool)> {
        let found = in_order(&document(current), lineage.as_ref(), others);
        found.into_iter().map(|one| (one.refresh.expose_secret().to_owned(), one.newer)).collect()
    }

    fn expected(list: &[(&str, bool)]) -> Vec<(String, bool)> {
        list.iter().map(|(text, newer)| ((*text).to_owned(), *newer)).collect()
    }

    #[test]
    fn with_nothing_else_known_a_pending_value_is_newer_than_the_current_one() {
        let found = order("r0", None, &[version("t1", "r1")]);
        assert_eq!(found, expected(&[("r1", true), ("r0", false)]));
        assert_eq!(order("r0", None, &[]), expected(&[("r0", false)]));
    }

    #[test]
    fn what_came_for_the_current_token_goes_first_and_what_was_spent_for_it_after() {
        let others = [version("t1", "r1"), version("t2", "r2")];
        let found = order("r0", Some(generation("r0", "r1", Some("r2"))), &others);
        assert_eq!(found, expected(&[("r2", true), ("r1", false), ("r0", false)]));
        // Its outcome is unknown: it is tried before what is older.
        let found = order("r0", Some(generation("r0", "r1", None)), &others[..1]);
        assert_eq!(found, expected(&[("r1", false), ("r0", false)]));
    }

    #[test]
    fn a_new_sign_in_goes_before_what_was_left_behind() {
        let others = [version("t1", "r1")];
        let found = order("login", Some(generation("r0", "r0", Some("r1"))), &others);
        assert_eq!(found, expected(&[("login", false), ("r1", false)]));
    }

    #[test]
    fn the_rescue_secret_speaks_for_itself() {
        let mut rescue = Other::rescued(&marked(&document("r1"), &fingerprint("r0"))).unwrap();
        assert_eq!(rescue.base, Some(fingerprint("r0")));
        let text = document("r1").to_json();
        for kept in [&marked(&document("r1"), &fingerprint("r0")), &text] {
            assert_eq!(unmarked(kept).expose_secret(), text.expose_secret());
        }
        assert_eq!(order("r0", None, std::slice::from_ref(&rescue)), expected(&[("r1", true), ("r0", false)]));
        rescue.base = Some(fingerprint("long-ago"));
        let found = order("r0", None, &[rescue, version("t1", "r2")]);
        assert_eq!(found, expected(&[("r2", true), ("r0", false), ("r1", false)]));
    }

    #[test]
    fn the_current_pair_is_not_newer_than_itself_and_another_clients_is_no_use() {
        let mut foreign = version("t2", "r2");
        foreign.document = UserSecret::new("another", &"secret".into(), None).with_tokens(
            &"a".into(),
            &"r2".into(),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(order("r0", None, &[version("t1", "r0"), foreign]), expected(&[("r0", false)]));
    }

    #[test]
    fn a_rescue_secret_is_of_the_past_once_its_pair_is_current_or_what_it_was_for_is_not() {
        let rescued = marked(&document("r1"), &fingerprint("r0"));
        assert!(is_of_the_past(&rescued, &document("r1")));
        assert!(is_of_the_past(&rescued, &document("r2")));
        assert!(!is_of_the_past(&rescued, &document("r0")), "it is newer");
        assert!(!is_of_the_past(&"{}".into(), &document("r0")));
    }

    #[test]
    fn a_pair_is_overtaken_where_its_own_exchange_began_with_another_sign_in() {
        let overtaken = |row: &Generation, version: &str, pending: &str, current: &str| {
            is_overtaken(row, version, &fingerprint(pending), &fingerprint(current))
        };
        let row = generation("r0", "r0", Some("r1"));
        assert!(overtaken(&row, "t", "r1", "login"));
        assert!(overtaken(&row, "t2", "r1", "login"), "taken over by another version");
        assert!(overtaken(&generation("r0", "r0", None), "t", "r1", "login"), "its outcome was not written");
        assert!(!overtaken(&row, "t", "r1", "r0"), "nobody signed in");
        assert!(!overtaken(&row, "t", "r1", "r1"), "it is the current pair itself");
        assert!(!overtaken(&row, "t2", "other", "login"), "nothing is known of it");
    }

    #[test]
    fn a_fingerprint_is_read_as_it_was_kept() {
        let kept = fingerprint("r0");
        assert_eq!(Fingerprint::read(kept.as_str()), Some(kept));
        assert_eq!(Fingerprint::read(""), Some(Fingerprint::default()));
        assert_eq!(Fingerprint::read("ABC"), None);
    }
}
