//! A store of secrets as Secrets Manager is one, a lineage, a token endpoint with single-use refresh tokens, a clock;
//! and a driver as Secrets Manager's own: it stops at a failing step and runs everything again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::{Either, select};
use jiff::SignedDuration;
use tokio::sync::Notify;

mod ports;

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

/// How somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Login {
    /// As `callvault login` does it: a rotation that is under way is over.
    Ours,
    /// A new current version, and nothing else.
    Another,
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
    /// Which refresh token one came for.
    came_for: HashMap<String, String>,
    login: Option<(usize, Login)>,
    signed_in: Option<String>,
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

    pub(super) fn sign_in(&self) -> String {
        self.sign_in_by(Login::Another)
    }

    pub(super) fn sign_in_by(&self, login: Login) -> String {
        self.state().sign_in(login)
    }

    /// Somebody signs in right before this call.
    pub(super) fn sign_in_at(&self, call: usize, login: Login) {
        self.state().login = Some((call, login));
    }

    /// The refresh token of whoever did.
    pub(super) fn signed_in_at(&self) -> Option<String> {
        self.state().signed_in.clone()
    }

    /// Whether the current refresh token came, in the end, for this one, or is it.
    pub(super) fn is_from(&self, refresh: &str) -> bool {
        let mut now = self.current().refresh_token().unwrap().expose_secret().to_owned();
        let state = self.state();
        while now != refresh {
            let Some(before) = state.came_for.get(&now) else { return false };
            now.clone_from(before);
        }
        true
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

    /// The steps, without a beginning. After the last Secrets Manager itself takes the pending stage away.
    pub(super) async fn rotate_again(&self, version: &str) -> Result<(), RotationFault> {
        self.steps(version, "again").await.map_err(|fault| fault.unwrap_or(RotationFault::OutOfTime))?;
        self.state().detach(PENDING);
        Ok(())
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

    pub(super) fn pending_version(&self) -> Option<String> {
        self.state().stage(PENDING)
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
            if let Some((_, login)) = state.login.filter(|(at, _)| *at == state.calls.len()) {
                state.signed_in = Some(state.sign_in(login));
            }
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

    /// A version without stages is not described any more.
    fn detach(&mut self, stage: &str) {
        for stages in self.stages.values_mut() {
            stages.retain(|one| one != stage);
        }
        self.stages.retain(|_, stages| !stages.is_empty());
    }

    /// A stage is on one version only.
    fn attach(&mut self, stage: &str, version: &str) {
        self.detach(stage);
        self.stages.entry(version.to_owned()).or_default().push(stage.to_owned());
    }

    fn sign_in(&mut self, login: Login) -> String {
        self.login = None;
        let (access, refresh) = self.issue();
        let current = self.stage(CURRENT).unwrap();
        let document = UserSecret::parse(&self.values[&current]).unwrap();
        let ends = self.now + Duration::from_secs(48 * 3600);
        let text = document.with_tokens(&access.into(), &refresh.clone().into(), ends).to_json();
        let version = format!("login-{}", self.issued);
        self.values.insert(version.clone(), text.expose_secret().to_owned());
        self.made.push(version.clone());
        self.attach(CURRENT, &version);
        self.attach(PREVIOUS, &current);
        if login == Login::Ours {
            self.detach(PENDING);
        }
        refresh
    }

    fn issue(&mut self) -> (String, String) {
        self.issued += 1;
        (format!("access-{}", self.issued), format!("refresh-{}", self.issued))
    }
}
