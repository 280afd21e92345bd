//! A store of secrets as Secrets Manager is one, a lineage, a token endpoint with single-use refresh tokens, a clock;
//! and a driver as Secrets Manager's own: it stops at a failing step and runs everything again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use jiff::SignedDuration;
use tokio::sync::Notify;

use super::super::fault::RotationFault;
use super::super::ports::*;
use super::super::*;
use crate::ledger::LedgerError;

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    /// It does not arrive.
    Fail,
    /// It is refused for good.
    Refuse,
    /// It takes effect; its answer is lost.
    LoseAnswer,
    /// It takes effect, and the process is gone.
    Kill,
}

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    calls: Vec<String>,
    harms: HashMap<usize, Harm>,
    rotation_enabled: bool,
    /// Values by version, in the order they were made.
    values: BTreeMap<String, String>,
    made: Vec<String>,
    stages: BTreeMap<String, Vec<String>>,
    rescue: String,
    refuse_puts: bool,
    refuse_rescue: bool,
    row: Option<Entry>,
    issued: u32,
    spent: HashSet<String>,
    revoked: HashSet<String>,
    exchanges: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    killed: Notify,
}

/// The world; a clone is another process in it.
#[derive(Debug, Clone)]
pub(super) struct World {
    shared: Arc<Shared>,
    process: String,
    /// How often others come between two of its calls.
    pace: usize,
}

impl World {
    pub(super) const STEPS: [Step; 4] = [Step::Create, Step::Set, Step::Test, Step::Finish];

    /// A secret with a client, in whose name nobody has signed in.
    pub(super) fn new() -> Self {
        let world = Self { shared: Arc::default(), process: "one".to_owned(), pace: 1 };
        let mut state = world.state();
        state.now = "2026-01-20T12:00:00Z".parse().unwrap();
        (state.rotation_enabled, state.rescue) = (true, "{}".to_owned());
        let text = r#"{"owner":"quality","clientId":"client","clientSecret":"s","limit":1.50000000000000000001}"#;
        state.values.insert("v0".to_owned(), text.to_owned());
        state.stages.insert("v0".to_owned(), vec![CURRENT.to_owned()]);
        drop(state);
        world
    }

    pub(super) fn signed_in() -> Self {
        let world = Self::new();
        world.sign_in();
        world
    }

    pub(super) fn process(&self, name: &str) -> Self {
        Self { process: name.to_owned(), ..self.clone() }
    }

    pub(super) fn at_pace(self, pace: usize) -> Self {
        Self { pace, ..self }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    /// As `callvault login` does it: a new current version.
    pub(super) fn sign_in(&self) -> String {
        let mut state = self.state();
        let (access, refresh) = state.issue();
        let current = state.stage(CURRENT).unwrap();
        let document = UserSecret::parse(&state.values[&current]).unwrap();
        let ends = state.now + Duration::from_secs(48 * 3600);
        let text = document.with_tokens(&access.into(), &refresh.clone().into(), ends).to_json();
        let version = format!("login-{}", state.issued);
        state.values.insert(version.clone(), text.expose_secret().to_owned());
        state.made.push(version.clone());
        state.attach(CURRENT, &version);
        state.attach(PREVIOUS, &current);
        refresh
    }

    /// A rotation begins: a version without a value.
    pub(super) fn begin(&self, version: &str) {
        let mut state = self.state();
        if !state.stages.contains_key(version) {
            state.made.push(version.to_owned());
            state.attach(PENDING, version);
        }
    }

    pub(super) fn keep_stageless(&self, version: &str) {
        self.state().stages.insert(version.to_owned(), Vec::new());
    }

    pub(super) async fn step(&self, step: Step, version: &str) -> Result<Done, RotationFault> {
        let rotation = Rotation {
            secrets: Arc::new(self.clone()),
            lineage: Arc::new(self.clone()),
            tokens: Arc::new(self.clone()),
            clock: Arc::new(self.clone()),
            holder: HolderId(self.process.clone()),
        };
        let order = Order { step, secret: "secret".to_owned(), version: version.to_owned() };
        rotation.run(&order, self.now() + Duration::from_secs(60)).await
    }

    /// Runs the steps until one fails. A process that is killed fails the step without a word.
    async fn steps(&self, version: &str, process: &str) -> Result<(), Option<RotationFault>> {
        let world = self.process(process);
        for step in Self::STEPS {
            let killed = self.shared.killed.notified();
            let step = world.step(step, version);
            match select(std::pin::pin!(step), std::pin::pin!(killed)).await {
                Either::Left((done, _)) => drop(done.map_err(Some)?),
                Either::Right(_) => return Err(None),
            }
        }
        Ok(())
    }

    /// Whether a process is killed in a step.
    pub(super) async fn killed_at(&self, step: Step, version: &str, process: &str) -> bool {
        let (world, killed) = (self.process(process), self.shared.killed.notified());
        matches!(select(std::pin::pin!(world.step(step, version)), std::pin::pin!(killed)).await, Either::Right(_))
    }

    pub(super) async fn rotate(&self, version: &str) -> Result<(), RotationFault> {
        self.begin(version);
        self.steps(version, "rotate").await.map_err(|fault| fault.unwrap_or(RotationFault::OutOfTime))
    }

    /// As AWS does it: five times with one version, later with a new one. Every run may be another process.
    pub(super) async fn rotate_until_done(&self, version: &str, later: &str) -> Result<(), RotationFault> {
        let mut last = None;
        for (round, version) in [version; 5].into_iter().chain([later; 5]).enumerate() {
            self.begin(version);
            match self.steps(version, &format!("process-{round}")).await {
                Ok(()) => return Ok(()),
                Err(fault) => last = fault,
            }
        }
        Err(last.unwrap_or(RotationFault::OutOfTime))
    }

    pub(super) fn harm(&self, call: usize, harm: Harm) {
        self.state().harms.insert(call, harm);
    }

    /// As after the table was brought back to an earlier point in time.
    pub(super) fn forget_lineage(&self) {
        self.state().row = None;
    }

    pub(super) fn no_more_harm(&self) {
        self.state().harms.clear();
    }

    pub(super) fn refuse_puts(&self, refuse: bool) {
        self.state().refuse_puts = refuse;
    }

    pub(super) fn refuse_rescue(&self, refuse: bool) {
        self.state().refuse_rescue = refuse;
    }

    pub(super) fn enable_rotation(&self, enable: bool) {
        self.state().rotation_enabled = enable;
    }

    pub(super) fn pass(&self, seconds: i64) {
        let mut state = self.state();
        state.now += SignedDuration::from_secs(seconds);
    }

    /// No access token that was issued so far is accepted any more.
    pub(super) fn revoke_access(&self) {
        let mut state = self.state();
        let all: Vec<String> = (1..=state.issued).map(|n| format!("access-{n}")).collect();
        state.revoked.extend(all);
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    pub(super) fn exchanges(&self) -> usize {
        self.state().exchanges
    }

    pub(super) fn newest(&self) -> Option<Entry> {
        self.state().row.clone()
    }

    pub(super) fn rescue_text(&self) -> String {
        self.state().rescue.clone()
    }

    pub(super) fn current_version(&self) -> String {
        self.state().stage(CURRENT).unwrap()
    }

    pub(super) fn current_text(&self) -> String {
        let state = self.state();
        state.values[&state.stage(CURRENT).unwrap()].clone()
    }

    pub(super) fn was_spent(&self, refresh: &str) -> bool {
        self.state().spent.contains(refresh)
    }

    fn current(&self) -> UserSecret {
        let one = self.state().stages.values().flatten().filter(|stage| *stage == CURRENT).count();
        assert_eq!(one, 1);
        UserSecret::parse(&self.current_text()).unwrap()
    }

    pub(super) fn current_access_works(&self) -> bool {
        let access = self.current().access_token().unwrap();
        !self.state().revoked.contains(access.expose_secret())
    }

    /// Both tokens of the current version are good.
    pub(super) fn current_works(&self) -> bool {
        let refresh = self.current().refresh_token().unwrap();
        self.current_access_works() && !self.was_spent(refresh.expose_secret())
    }

    /// Counts a call, lets it take effect unless it is to fail, and says what becomes of its answer.
    async fn call<T>(&self, name: String, effect: impl FnOnce(&mut State) -> T) -> Result<T, Harm> {
        let (answer, harm) = {
            let mut state = self.state();
            let harm = state.harms.get(&state.calls.len()).copied();
            state.calls.push(name);
            if let Some(harm @ (Harm::Fail | Harm::Refuse)) = harm {
                return Err(harm);
            }
            (effect(&mut state), harm)
        };
        for _ in 0..self.pace {
            tokio::task::yield_now().await;
        }
        match harm {
            None => Ok(answer),
            Some(Harm::Kill) => {
                self.shared.killed.notify_one();
                std::future::pending().await
            }
            Some(harm) => Err(harm),
        }
    }

    async fn of_store<T>(
        &self,
        name: &str,
        effect: impl FnOnce(&mut State) -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        self.call(name.to_owned(), effect).await.unwrap_or_else(|harm| match harm {
            Harm::Refuse => Err(refused()),
            _ => Err(StoreFault::Unreachable { id: "s".to_owned(), action: "x", detail: "lost".to_owned() }),
        })
    }
}

fn refused() -> StoreFault {
    StoreFault::Refused { id: "s".to_owned(), action: "x", detail: "no".to_owned() }
}

impl State {
    fn stage(&self, stage: &str) -> Option<String> {
        self.stages.iter().find(|(_, stages)| stages.iter().any(|one| one == stage)).map(|(v, _)| v.clone())
    }

    /// A stage is on one version only; a version without stages is not described any more.
    fn attach(&mut self, stage: &str, version: &str) {
        for stages in self.stages.values_mut() {
            stages.retain(|one| one != stage);
        }
        self.stages.retain(|_, stages| !stages.is_empty());
        self.stages.entry(version.to_owned()).or_default().push(stage.to_owned());
    }

    fn issue(&mut self) -> (String, String) {
        self.issued += 1;
        (format!("access-{}", self.issued), format!("refresh-{}", self.issued))
    }
}

#[async_trait]
impl SecretStore for World {
    async fn describe(&self, _: &str) -> Result<Described, StoreFault> {
        self.of_store("describe", |state| {
            let (arn, name) = ("arn".to_owned(), "secret".to_owned());
            Ok(Described { arn, name, rotation_enabled: state.rotation_enabled, versions: state.stages.clone() })
        })
        .await
    }

    async fn value(&self, _: &str, wanted: Wanted<'_>) -> Result<Option<SecretString>, StoreFault> {
        let name = match wanted {
            Wanted::Stage(stage) => format!("value {stage}"),
            Wanted::Version(_) => "value of a version".to_owned(),
            Wanted::Pending(_) => "value pending".to_owned(),
        };
        self.of_store(&name, |state| {
            let version = match wanted {
                Wanted::Stage(stage) => state.stage(stage),
                Wanted::Version(version) => Some(version.to_owned()),
                Wanted::Pending(version) => state.stage(PENDING).filter(|pending| pending == version),
            };
            Ok(version.and_then(|version| state.values.get(&version)).map(|text| text.clone().into()))
        })
        .await
    }

    async fn put_pending(&self, _: &str, version: &str, value: &SecretString) -> Result<(), StoreFault> {
        self.of_store("put_pending", |state| {
            if state.refuse_puts {
                return Err(refused());
            }
            let text = value.expose_secret().to_owned();
            // A version's value never changes.
            if state.values.get(version).is_some_and(|there| *there != text) {
                return Err(refused());
            }
            state.values.insert(version.to_owned(), text);
            Ok(())
        })
        .await
    }

    async fn make_current(&self, _: &str, version: &str, from: Option<&str>) -> Result<(), StoreFault> {
        self.of_store("make_current", |state| {
            let was = state.stage(CURRENT);
            if was.as_deref() != from {
                return Err(refused());
            }
            state.attach(CURRENT, version);
            state.attach(PREVIOUS, &was.unwrap());
            Ok(())
        })
        .await
    }

    async fn versions(&self, _: &str) -> Result<Vec<String>, StoreFault> {
        self.of_store("versions", |state| Ok(state.made.iter().rev().cloned().collect())).await
    }

    async fn rescued(&self, _: &Described) -> Result<Option<SecretString>, StoreFault> {
        self.of_store("rescued", |state| Ok(Some(state.rescue.clone().into()))).await
    }

    async fn rescue(&self, _: &Described, value: &SecretString) -> Result<(), StoreFault> {
        self.of_store("rescue", |state| {
            if state.refuse_rescue {
                return Err(refused());
            }
            state.rescue = value.expose_secret().to_owned();
            Ok(())
        })
        .await
    }

    async fn clear_rescue(&self, _: &Described) -> Result<(), StoreFault> {
        self.of_store("clear_rescue", |state| {
            state.rescue = "{}".to_owned();
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Lineage for World {
    async fn newest(&self, _: &str) -> Result<Option<Entry>, LedgerError> {
        let found = self.call("newest".to_owned(), |state| state.row.clone()).await;
        found.map_err(|_| LedgerError::Unusable { detail: "lost".to_owned() })
    }

    async fn write(&self, _: &str, revision: u64, generation: &Generation) -> Result<Option<u64>, LedgerError> {
        let name = format!("write {}", generation.state.as_str());
        let written = self.call(name, |state| {
            let now = state.row.as_ref().map_or(0, |entry| entry.revision);
            (now == revision).then(|| {
                state.row = Some(Entry { revision: revision + 1, generation: generation.clone() });
                revision + 1
            })
        });
        written.await.map_err(|_| LedgerError::Unusable { detail: "lost".to_owned() })
    }
}

#[async_trait]
impl UserTokens for World {
    async fn exchange(&self, _: &UserSecret, refresh: &SecretString, _: Timestamp) -> Result<Pair, ExchangeFault> {
        let spent = self.call("exchange".to_owned(), |state| {
            state.exchanges += 1;
            if !state.spent.insert(refresh.expose_secret().to_owned()) {
                return Err(ExchangeFault::GrantRefused);
            }
            let (access, refresh) = state.issue();
            let expires_at = state.now + Duration::from_secs(48 * 3600);
            Ok(Pair { access: access.into(), refresh: refresh.into(), expires_at })
        });
        spent.await.unwrap_or_else(|harm| {
            Err(match harm {
                Harm::Fail => ExchangeFault::NotTaken { detail: "429".to_owned(), wait: Duration::from_secs(2) },
                Harm::Refuse => ExchangeFault::Refused { code: "client-refused", reason: "x".to_owned() },
                _ => ExchangeFault::Unknown { detail: "lost".to_owned() },
            })
        })
    }

    async fn check(&self, document: &UserSecret, _: Timestamp) -> Result<String, CheckFault> {
        let access = document.access_token().unwrap().expose_secret().to_owned();
        let checked = self.call("check".to_owned(), |state| {
            let refused = CheckFault::Refused { detail: "401".to_owned() };
            if state.revoked.contains(&access) { Err(refused) } else { Ok("user".to_owned()) }
        });
        checked.await.unwrap_or_else(|_| Err(CheckFault::Unavailable { detail: "lost".to_owned() }))
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    async fn sleep(&self, span: Duration) {
        self.state().now += span;
        tokio::task::yield_now().await;
    }
}
