//! createSecret: finds the newest refresh token, spends it once, puts its successor away.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use callvault_genesys::user_secret::UserSecret;
use jiff::Timestamp;

use super::fault::RotationFault;
use super::holders::{self, Candidate, Fingerprint, Other};
use super::ports::{Described, Entry, ExchangeFault, Generation, Pair, Spending, Wanted};
use super::{CURRENT, Done, Order, Outcome, PENDING, PREVIOUS, Rotation, parsed};

/// Longest claim on a refresh token: the token request ends a second earlier, so that whoever comes after it knows that
/// none is under way. Nobody can tell a slow process from a dead one, so this is also how long a dead one is waited for.
const CLAIM: Duration = Duration::from_secs(9);

/// How often it is looked whether a claim has come to something.
const LOOK: Duration = Duration::from_secs(1);

/// Between the end of a token request and the end of its claim: two machines' clocks differ.
const APART: Duration = Duration::from_secs(1);

/// Kept back for putting the answer away.
const SAVING: Duration = Duration::from_secs(4);

/// With less time than this nothing is begun: a claim, a request, and putting its answer away.
const SHORTEST: Duration = Duration::from_secs(6);

/// How often a token request is sent that did not go through.
const MOST_SENDINGS: u32 = 3;

/// Versions without a stage that are asked for a token when nothing else is left.
const MOST_OLD_VERSIONS: usize = 5;

/// What there is to go by.
pub(super) struct Known {
    /// The current document, and the fingerprint of its refresh token.
    pub(super) current: UserSecret,
    pub(super) base: Fingerprint,
    pub(super) entry: Option<Entry>,
    others: Vec<Other>,
}

/// What became of a candidate.
enum Spent {
    Pair(Pair),
    /// It is of no use: the next one.
    Refused,
    /// Somebody else has claimed since we looked.
    Overtaken,
}

impl Rotation {
    pub(super) async fn create(
        &self,
        order: &Order,
        described: &Described,
        deadline: Timestamp,
    ) -> Result<Done, RotationFault> {
        loop {
            if self.is_there(order, described).await? {
                return Ok(Done::new(Outcome::NothingToDo));
            }
            // Before anything else: what is read after it is at least as new, and the claim is conditional on it.
            let entry = self.lineage.newest(&described.arn).await?;
            let for_us = entry.as_ref().is_some_and(|entry| entry.generation.version == order.version);
            if for_us && self.is_there(order, described).await? {
                return Ok(Done::new(Outcome::NothingToDo));
            }
            let known = self.look(order, described, entry).await?;
            let now = self.clock.now();
            if let Some(generation) = known.entry.as_ref().map(|entry| &entry.generation)
                && generation.state == Spending::Exchanging
                && generation.holder != self.holder
                && generation.until > now
            {
                let left = Duration::try_from(generation.until.duration_since(now)).unwrap_or_default();
                let pause = left.min(LOOK);
                if now + pause + SHORTEST > deadline {
                    return Err(RotationFault::UnderWay);
                }
                self.clock.sleep(pause).await;
                continue;
            }
            if let Some(outcome) = self.make(order, described, &known, deadline).await? {
                return Ok(Done { outcome, current_ends: known.current.expires_at() });
            }
            if self.clock.now() + SHORTEST > deadline {
                return Err(RotationFault::UnderWay);
            }
        }
    }

    /// Whether the version has its value already. One that can be of no use ends here, and not in every later step.
    async fn is_there(&self, order: &Order, described: &Described) -> Result<bool, RotationFault> {
        let Some(pending) = self.pending(order).await? else { return Ok(false) };
        // What cannot be read is testSecret's to say.
        if let Ok(pending) = parsed(&pending, "pending") {
            self.see_that_nobody_signed_in(order, described, &pending).await?;
        }
        Ok(true)
    }

    /// Everything that may hold a token newer than the current one, the rescue secret first: what is there is there because
    /// a version refused it.
    async fn look(&self, order: &Order, described: &Described, entry: Option<Entry>) -> Result<Known, RotationFault> {
        let none = || super::ports::StoreFault::Missing {
            id: described.name.clone(),
            detail: "no current value: sign in with `callvault login --secret ID`".to_owned(),
        };
        let current = self.secrets.value(&order.secret, Wanted::Stage(CURRENT)).await?.ok_or_else(none)?;
        let current = parsed(&current, "current")?;
        let base = Fingerprint::of_document(&current);
        let rescued = self.secrets.rescued(described).await?;
        let mut others: Vec<Other> = rescued.as_ref().and_then(Other::rescued).into_iter().collect();
        for version in earlier(described, &order.version, entry.as_ref()) {
            let value = self.secrets.value(&order.secret, Wanted::Version(&version)).await?;
            others.extend(value.as_ref().and_then(|text| Other::in_version(&version, text)));
        }
        Ok(Known { current, base, entry, others })
    }

    /// Makes the value; `None` when somebody else was faster.
    async fn make(
        &self,
        order: &Order,
        described: &Described,
        known: &Known,
        deadline: Timestamp,
    ) -> Result<Option<Outcome>, RotationFault> {
        let lineage = known.entry.as_ref().map(|entry| &entry.generation);
        let mut row = known.entry.clone();
        let mut queue = VecDeque::from(holders::in_order(&known.current, lineage, &known.others));
        let (mut tried, mut looked_everywhere) = (HashSet::new(), false);
        loop {
            let Some(candidate) = queue.pop_front() else {
                if looked_everywhere {
                    break;
                }
                looked_everywhere = true;
                queue.extend(self.last_resorts(order, described, known).await?);
                continue;
            };
            if !tried.insert(candidate.fingerprint.clone()) {
                continue;
            }
            if candidate.newer && self.is_good(&candidate.document, deadline).await {
                return self.adopt(order, described, known, &candidate, deadline).await;
            }
            match self.spend(order, described, known, &mut row, &candidate, deadline).await? {
                Spent::Refused => tracing::warn!(place = ?candidate.place, "a refresh token is of no use any more"),
                Spent::Overtaken => return Ok(None),
                Spent::Pair(pair) => {
                    let document = known.current.with_tokens(&pair.access, &pair.refresh, pair.expires_at);
                    let saved = self.save(order, described, &document, &known.base, deadline).await;
                    let (state, got) = match &saved {
                        Err(RotationFault::PairNotSaved { .. }) => (Spending::Unknown, None),
                        _ => (Spending::Done, Some(Fingerprint::of(&pair.refresh))),
                    };
                    self.mark(described, &mut row, state, got).await;
                    saved?;
                    return Ok(Some(Outcome::Exchanged));
                }
            }
        }
        Err(RotationFault::SignInNeeded { tried: tried.len() })
    }

    /// Claims a refresh token and spends it.
    async fn spend(
        &self,
        order: &Order,
        described: &Described,
        known: &Known,
        row: &mut Option<Entry>,
        candidate: &Candidate,
        deadline: Timestamp,
    ) -> Result<Spent, RotationFault> {
        for sending in 1..=MOST_SENDINGS {
            let now = self.clock.now();
            if now + SHORTEST > deadline {
                return Err(RotationFault::OutOfTime);
            }
            let (number, revision) = row.as_ref().map_or((0, 0), |entry| (entry.generation.number, entry.revision));
            let generation = Generation {
                number: number + 1,
                base: known.base.clone(),
                spent: candidate.fingerprint.clone(),
                got: None,
                state: Spending::Exchanging,
                version: order.version.clone(),
                from: candidate.place.version().cloned(),
                holder: self.holder.clone(),
                since: now,
                until: now + CLAIM,
            };
            let Some(revision) = self.lineage.write(&described.arn, revision, &generation).await? else {
                return Ok(Spent::Overtaken);
            };
            let until = (generation.until - APART).min(deadline - SAVING);
            *row = Some(Entry { revision, generation });
            let fault = match self.tokens.exchange(&known.current, &candidate.refresh, until).await {
                Ok(pair) => return Ok(Spent::Pair(pair)),
                Err(fault) => fault,
            };
            let unknown = matches!(fault, ExchangeFault::Unknown { .. } | ExchangeFault::Unreadable { .. });
            let state = if unknown { Spending::Unknown } else { Spending::Refused };
            self.mark(described, row, state, None).await;
            match fault {
                ExchangeFault::GrantRefused => return Ok(Spent::Refused),
                ExchangeFault::Unknown { detail } => return Err(RotationFault::OutcomeUnknown { detail }),
                ExchangeFault::Unreadable { at } => return Err(RotationFault::AnswerUnreadable { at }),
                ExchangeFault::Refused { code, reason } => return Err(RotationFault::ExchangeRefused { code, reason }),
                ExchangeFault::NoEndpoint { why } => return Err(RotationFault::NoEndpoint { why }),
                ExchangeFault::NotTaken { detail, wait } => {
                    let wait = wait.max(LOOK);
                    if sending == MOST_SENDINGS || self.clock.now() + wait + SHORTEST > deadline {
                        return Err(RotationFault::NotTaken { detail });
                    }
                    self.clock.sleep(wait).await;
                }
            }
        }
        Err(RotationFault::OutOfTime)
    }

    /// What is left when every other token was refused: the previous version, then versions without a stage.
    async fn last_resorts(
        &self,
        order: &Order,
        described: &Described,
        known: &Known,
    ) -> Result<Vec<Candidate>, RotationFault> {
        let mut wanted: Vec<String> = described.with_stage(PREVIOUS).map(str::to_owned).into_iter().collect();
        let every = self.secrets.versions(&order.secret).await?;
        let old = every.into_iter().filter(|version| {
            *version != order.version && described.with_stage(CURRENT) != Some(version) && !wanted.contains(version)
        });
        let old: Vec<String> = old.take(MOST_OLD_VERSIONS).collect();
        wanted.extend(old);
        let mut found = Vec::new();
        for version in wanted {
            let value = self.secrets.value(&order.secret, Wanted::Version(&version)).await?;
            let other = value.as_ref().and_then(|text| Other::in_version(&version, text));
            let same_client = other.filter(|other| other.document.client_id() == known.current.client_id());
            found.extend(same_client.and_then(|other| holders::candidate(other.place, &other.document, false)));
        }
        Ok(found)
    }

    /// Says in the row what became of the exchange, and ends the claim. What is to be decided later is decided without it:
    /// a row that stays as it was is only less to the point.
    async fn mark(&self, described: &Described, row: &mut Option<Entry>, state: Spending, got: Option<Fingerprint>) {
        let Some(entry) = row else { return };
        let generation = Generation { state, got, until: self.clock.now(), ..entry.generation.clone() };
        match self.lineage.write(&described.arn, entry.revision, &generation).await {
            Ok(Some(revision)) => *entry = Entry { revision, generation },
            Ok(None) => tracing::warn!("somebody else has written the lineage of this secret since"),
            Err(error) => tracing::warn!(code = error.code(), "the lineage was not brought up to date: {error}"),
        }
    }
}

/// The versions that an earlier rotation may have left a newer pair in.
fn earlier(described: &Described, version: &str, entry: Option<&Entry>) -> Vec<String> {
    let of_stage = described.versions.iter().filter(|(_, stages)| stages.iter().any(|stage| stage == PENDING));
    let mut found: Vec<String> = of_stage.map(|(version, _)| version.clone()).collect();
    if let Some(entry) = entry {
        found.push(entry.generation.version.clone());
        found.extend(entry.generation.from.clone());
    }
    let current = described.with_stage(CURRENT);
    let mut once = HashSet::new();
    found.retain(|one| one != version && current != Some(one) && once.insert(one.clone()));
    found
}
