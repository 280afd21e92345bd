//! The world: the org, its clock and everything that changes while the simulator runs.
//!
//! Owns access tokens, rate windows, jobs, restores and what a recording's standing is now. No network here: endpoints ask
//! and change the world, the server talks.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::api::batches::Batch;
use crate::api::history::Export;
use crate::chance::Chance;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::grants::{Grant, Grants, User};
use crate::lock;
use crate::media::hex;
use crate::options::Options;
use crate::org::{Org, Recording, State};
use crate::requests::{Counters, Requests};
use crate::truth::{self, Sums, Truth, TruthVoicemail};
use crate::voicemail::{Holder, Mailboxes, NewVoicemails, Voicemail};

/// Where a recording stands at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Available,
    UploadingYet,
    UploadingForEver,
    Archived,
    Restoring,
    Deleted { told: bool },
    Sensitive,
}

/// The whole state of a running simulator.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) org: Org,
    /// `http://127.0.0.1:PORT`.
    pub(crate) base: String,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) counters: Counters,
    pub(crate) sums: Sums,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) grants: Grants,
    pub(crate) batches: Mutex<HashMap<String, Batch>>,
    pub(crate) exports: Mutex<HashMap<String, Export>>,
    /// Rows of recent queries: paging must not evaluate the filters again for each page.
    pub(crate) rows: Mutex<HashMap<String, Arc<Vec<usize>>>>,
    /// Conversations and recordings whose transcoding was asked for once.
    pub(crate) transcoded: Mutex<HashSet<String>>,
    tokens: Mutex<HashMap<String, Token>>,
    windows: Mutex<HashMap<String, Window>>,
    restores: Mutex<HashMap<String, Duration>>,
    chance: Mutex<Chance>,
}

#[derive(Debug, Clone)]
struct Token {
    bearer: Bearer,
    dies: Duration,
}

/// Who sends a request: a client, in a user's name or its own.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    pub(crate) client: String,
    pub(crate) grant: Option<Grant>,
}

/// A fixed minute of one client's requests.
#[derive(Debug, Clone, Copy)]
struct Window {
    began: Duration,
    count: u32,
}

/// How much of its minute a client has used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) count: u32,
    pub(crate) reset_seconds: u64,
}

const MINUTE: Duration = Duration::from_secs(60);

impl World {
    pub(crate) fn new(options: Options, base: String) -> Result<Self, jiff::Error> {
        let org = Org::new(&options)?;
        Ok(Self {
            mailboxes: Mailboxes::new(&options, &org),
            grants: Grants::default(),
            org,
            base,
            clock: Clock::new(),
            faults: Faults::new(options.faults.faults(), options.seed),
            counters: Counters::default(),
            sums: Sums::default(),
            batches: Mutex::default(),
            exports: Mutex::default(),
            rows: Mutex::default(),
            transcoded: Mutex::default(),
            tokens: Mutex::default(),
            windows: Mutex::default(),
            restores: Mutex::default(),
            chance: Mutex::new(Chance::new(options.seed, "world")),
            options,
        })
    }

    pub(crate) fn truth(&self) -> Truth {
        truth::tell(&self.org, &self.sums, &self.mailboxes.all(), |recording| self.standing(recording))
    }

    /// The truth about one voicemail.
    pub(crate) fn told(&self, message: &Voicemail) -> TruthVoicemail {
        truth::voicemail(message, &self.sums)
    }

    /// Leaves voicemail; `None` where the holder is not one of the org's.
    pub(crate) fn leave(&self, new: &NewVoicemails) -> Option<Vec<Voicemail>> {
        let places = &self.org.places;
        let holder = match (&new.queue, &new.group, &new.user) {
            (None, None, None) => Holder::Queue(places.queues[0].clone()),
            (Some(queue), None, None) if places.queues.contains(queue) => Holder::Queue(queue.clone()),
            (None, Some(group), None) if places.groups.contains(group) => Holder::Group(group.clone()),
            (None, None, Some(user)) => Holder::User(user.clone()),
            _ => return None,
        };
        let delay = SignedDuration::try_from(self.options.voicemail_delay).unwrap_or(SignedDuration::MAX);
        Some(self.mailboxes.leave(new, &holder, self.clock.now(), delay))
    }

    pub(crate) fn requests(&self) -> Requests {
        Requests { allowed: self.options.rate_per_minute, faults: self.faults.totals(), ..self.counters.shown() }
    }

    pub(crate) fn uuid(&self) -> String {
        lock(&self.chance).uuid()
    }

    /// Asks the world's chance, which many requests share.
    pub(crate) fn chance<T>(&self, ask: impl FnOnce(&mut Chance) -> T) -> T {
        ask(&mut lock(&self.chance))
    }

    pub(crate) fn standing(&self, recording: &Recording) -> Standing {
        match recording.state {
            State::Available => Standing::Available,
            State::Late if self.clock.age() >= self.options.uploading_delay => Standing::Available,
            State::Late => Standing::UploadingYet,
            State::Stuck => Standing::UploadingForEver,
            State::Archived => match lock(&self.restores).get(&recording.id) {
                Some(&done) if self.clock.age() >= done => Standing::Available,
                Some(_) => Standing::Restoring,
                None => Standing::Archived,
            },
            State::Deleted { told } => Standing::Deleted { told },
            State::Sensitive => Standing::Sensitive,
        }
    }

    /// Starts the restore of an archived recording; one that runs goes on.
    pub(crate) fn restore(&self, recording: &Recording) {
        if recording.state == State::Archived {
            let done = self.clock.age() + self.options.restore_delay;
            lock(&self.restores).entry(recording.id.clone()).or_insert(done);
        }
    }

    // Tokens

    /// A word that nobody guesses.
    pub(crate) fn secret(&self) -> String {
        self.chance(|chance| hex(&[chance.next().to_be_bytes(), chance.next().to_be_bytes()].concat()))
    }

    /// A new access token.
    pub(crate) fn token(&self, bearer: Bearer) -> String {
        let token = self.secret();
        let dies = self.clock.age() + self.options.token_life;
        lock(&self.tokens).insert(token.clone(), Token { bearer, dies });
        token
    }

    /// Whose token it is, while it lives.
    pub(crate) fn bearer(&self, token: &str) -> Option<Bearer> {
        let tokens = lock(&self.tokens);
        let found = tokens.get(token)?;
        (self.clock.age() < found.dies).then(|| found.bearer.clone())
    }

    /// Id and secret of every client.
    pub(crate) fn clients(&self) -> impl Iterator<Item = (&str, &str)> {
        let (options, second) = (&self.options, &self.options.second_client);
        let second = second.as_ref().map(|(id, secret)| (id.as_str(), secret.as_str()));
        std::iter::once((options.client_id.as_str(), options.client_secret.as_str())).chain(second)
    }

    /// The user of that name; every name is one.
    pub(crate) fn user(&self, name: &str) -> User {
        let id = Chance::new(self.options.seed, &format!("user {name}")).uuid();
        User { id, name: name.into() }
    }

    pub(crate) fn forget(&self, token: &str) {
        lock(&self.tokens).remove(token);
    }

    // Rate limit

    /// Counts one request of a client in its fixed minute.
    pub(crate) fn count(&self, client: &str) -> Usage {
        let age = self.clock.age();
        let mut windows = lock(&self.windows);
        let window = windows.entry(client.into()).or_insert(Window { began: age, count: 0 });
        if age.saturating_sub(window.began) >= MINUTE {
            *window = Window { began: age, count: 0 };
        }
        window.count += 1;
        let left = MINUTE.saturating_sub(age.saturating_sub(window.began));
        // Rounded up: whoever waits that long must find the next minute open.
        Usage { count: window.count, reset_seconds: left.as_millis().div_ceil(1000) as u64 }
    }

    // Media URLs

    /// A signed URL for a file of a recording.
    pub(crate) fn media_url(&self, recording: &str, part: usize) -> String {
        self.signed_url(&format!("/_media/{recording}/{part}"))
    }

    /// A signed URL. The path stays the same from poll to poll, the signature never does.
    pub(crate) fn signed_url(&self, path: &str) -> String {
        let life = i64::try_from(self.options.url_life.as_secs()).unwrap_or(i64::MAX);
        let expires = self.clock.now().as_second().saturating_add(life);
        let salt = self.chance(Chance::next);
        let signature = self.sign(path, expires, salt);
        format!("{}{path}?Expires={expires}&Signature={signature}", self.base)
    }

    /// Whether a URL was signed here and is still alive.
    pub(crate) fn admits(&self, path: &str, expires: &str, signature: &str) -> Admission {
        let (Ok(expires), Some(salt)) = (expires.parse::<i64>(), signature.get(..16)) else {
            return Admission::Forged;
        };
        let Ok(salt) = u64::from_str_radix(salt, 16) else {
            return Admission::Forged;
        };
        if self.sign(path, expires, salt) != signature {
            return Admission::Forged;
        }
        let alive = Timestamp::from_second(expires).is_ok_and(|end| self.clock.now() < end);
        if alive { Admission::Granted } else { Admission::Expired }
    }

    fn sign(&self, path: &str, expires: i64, salt: u64) -> String {
        let text = format!("{}\n{path}\n{expires}\n{salt}", self.options.seed);
        format!("{salt:016x}{}", hex(&Sha256::digest(text.as_bytes())))
    }
}

/// What becomes of a signed URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    Granted,
    Expired,
    Forged,
}
