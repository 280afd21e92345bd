//! The ports of the rotation, as the world answers them.

use async_trait::async_trait;

use super::*;

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

    async fn end_pending(&self, _: &str, version: &str) -> Result<(), StoreFault> {
        self.of_store("end_pending", |state| {
            if state.stage(PENDING).as_deref() != Some(version) {
                return Err(refused());
            }
            state.detach(PENDING);
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
            let before = refresh.expose_secret().to_owned();
            let (access, refresh) = state.issue();
            state.came_for.insert(refresh.clone(), before);
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
