//! The ports on AWS, for a person at a terminal; in a program built without them, one sentence that says so.
//!
//! Must never be asked for anything where the settings name nothing on AWS: whoever works on one machine needs neither
//! region nor credentials.

#[cfg(feature = "aws")]
pub(crate) use with_aws::Cloud;
#[cfg(not(feature = "aws"))]
pub(crate) use without_aws::Cloud;

use callvault_bootstrap::settings::{ArchivePlace, LedgerPlace, OAuthClient, Settings};

/// The setting that needs AWS, if one does.
fn needs_aws(settings: &Settings) -> Option<&'static str> {
    match (&settings.ledger, &settings.archive) {
        (LedgerPlace::DynamoDb(_), _) => Some("LEDGER=dynamodb:..."),
        (_, ArchivePlace::S3(_)) => Some("ARCHIVE=s3://..."),
        _ => source_needs_aws(settings).or(settings.notifications.topic.as_ref().map(|_| "NOTIFY_TOPIC_ARN")),
    }
}

/// The setting of the source that needs AWS, if one does.
fn source_needs_aws(settings: &Settings) -> Option<&'static str> {
    let client = settings.source.as_ref().map(|source| &source.client);
    matches!(client, Some(OAuthClient::Secret(_))).then_some("GENESYS_SECRET_ID")
}

#[cfg(feature = "aws")]
mod with_aws {
    use std::sync::Arc;

    use callvault_aws::config::SdkConfig;
    use callvault_aws::secrets::SecretError;
    use callvault_aws::user_secret::{UserSecretStore, Written};
    use callvault_aws::user_tokens::UserTokens;
    use callvault_bootstrap::aws::{self, Unbound};
    use callvault_bootstrap::settings::{S3Place, Settings};
    use callvault_bootstrap::system;
    use callvault_calls::store::CallStore;
    use callvault_genesys::http::Credentials;
    use callvault_pipeline::api::AccessTokens;
    use callvault_pipeline::archive::Archive;
    use callvault_pipeline::ledger::Ledger;
    use callvault_pipeline::notification::Announcer;
    use secrecy::SecretString;

    use crate::failure::Failure;

    /// AWS, where something of it is needed.
    pub(crate) struct Cloud(Option<SdkConfig>);

    impl Cloud {
        /// Finds region and credentials, if the settings name anything on AWS.
        pub(crate) async fn of(settings: &Settings) -> Result<Self, Failure> {
            Self::for_setting(super::needs_aws(settings)).await
        }

        /// For who asks the source and nobody else.
        pub(crate) async fn of_source(settings: &Settings) -> Result<Self, Failure> {
            Self::for_setting(super::source_needs_aws(settings)).await
        }

        async fn for_setting(needed: Option<&'static str>) -> Result<Self, Failure> {
            if needed.is_none() {
                return Ok(Self(None));
            }
            let sdk = aws::load().await;
            aws::ready(&sdk).await.map_err(Failure::usage)?;
            Ok(Self(Some(sdk)))
        }

        /// The tokens of a user's secret, and the region it names.
        pub(crate) async fn user_tokens(id: &str) -> Result<(Arc<dyn AccessTokens>, Option<String>), Failure> {
            let sdk = aws::load().await;
            aws::ready(&sdk).await.map_err(Failure::usage)?;
            let tokens = UserTokens::new(&sdk, id, system::clock());
            let region = tokens.read().await.map_err(of_secret)?;
            Ok((Arc::new(tokens), region))
        }

        /// For what needs nothing of AWS.
        pub(crate) fn none() -> Self {
            Self(None)
        }

        /// For a user's secret, whatever the settings name.
        pub(crate) async fn for_user_secret() -> Result<Self, Failure> {
            let sdk = aws::load().await;
            aws::ready(&sdk).await.map_err(Failure::usage)?;
            Ok(Self(Some(sdk)))
        }

        /// The text of a user's secret; `None` where there is none.
        pub(crate) async fn user_secret(&self, id: &str) -> Result<Option<SecretString>, Failure> {
            let text = UserSecretStore::new(self.sdk()?, id).text().await;
            text.map_err(|error| Failure::stopped(error.to_string()))
        }

        /// How a user's secret is rotated: whether it is, and how often in hours where that is known. What refuses to
        /// say, in words.
        pub(crate) async fn user_secret_rotation(&self, id: &str) -> Result<(bool, Option<i64>), Failure> {
            let rotation = UserSecretStore::new(self.sdk()?, id).rotation().await;
            let rotation = rotation.map_err(|error| Failure::stopped(error.to_string()))?;
            Ok((rotation.is_enabled, rotation.every_hours))
        }

        /// Writes a user's secret; whether it was made.
        pub(crate) async fn write_user_secret(&self, id: &str, text: &SecretString) -> Result<bool, Failure> {
            let written = UserSecretStore::new(self.sdk()?, id).write(text).await;
            written.map(|written| written == Written::Created).map_err(|error| Failure::stopped(error.to_string()))
        }

        fn sdk(&self) -> Result<&SdkConfig, Failure> {
            self.0.as_ref().ok_or_else(|| Failure::usage("AWS was not set up"))
        }

        pub(crate) async fn archive(&self, place: &S3Place) -> Result<Arc<dyn Archive>, Failure> {
            let archive = aws::archive(self.sdk()?, place, system::clock());
            archive.check().await?;
            Ok(Arc::new(archive))
        }

        pub(crate) fn topic(&self, arn: &str) -> Result<Arc<dyn Announcer>, Failure> {
            Ok(Arc::new(aws::topic(self.sdk()?, arn)))
        }

        pub(crate) async fn ledger(
            &self,
            table: &str,
            bound_to: &[(&'static str, String)],
        ) -> Result<Arc<dyn Ledger>, Failure> {
            let ledger = aws::ledger(self.sdk()?, table);
            ledger.check().await?;
            match aws::bind(&ledger, table, bound_to).await {
                Ok(()) => Ok(Arc::new(ledger)),
                Err(Unbound::Elsewhere(message)) => Err(Failure::usage(message)),
                Err(Unbound::Ledger(error)) => Err(error.into()),
            }
        }

        /// Whether a table is a ledger that may be written; the names of its binding that differ.
        pub(crate) async fn check_ledger(
            &self,
            table: &str,
            bound_to: &[(&'static str, String)],
        ) -> Result<Vec<(&'static str, String)>, Failure> {
            let ledger = aws::ledger(self.sdk()?, table);
            ledger.check().await?;
            Ok(ledger.check_write(bound_to).await?)
        }

        pub(crate) async fn look_at_ledger(&self, table: &str) -> Result<Arc<dyn Ledger>, Failure> {
            let ledger = aws::ledger(self.sdk()?, table);
            ledger.check().await?;
            Ok(Arc::new(ledger))
        }

        /// The calls in a table.
        pub(crate) fn calls(&self, table: &str) -> Result<Box<dyn CallStore>, Failure> {
            Ok(Box::new(aws::calls(self.sdk()?, table)))
        }

        pub(crate) async fn credentials(&self, secret: &str) -> Result<Credentials, Failure> {
            aws::credentials(self.sdk()?, secret).await.map_err(of_secret)
        }
    }

    fn of_secret(error: SecretError) -> Failure {
        match error {
            SecretError::Missing { .. } | SecretError::Unreadable { .. } => Failure::usage(error.to_string()),
            other => Failure::stopped(other.to_string()),
        }
    }
}

#[cfg(not(feature = "aws"))]
mod without_aws {
    use std::sync::Arc;

    use callvault_bootstrap::settings::{S3Place, Settings};
    use callvault_calls::store::CallStore;
    use callvault_genesys::http::Credentials;
    use callvault_pipeline::api::AccessTokens;
    use callvault_pipeline::archive::Archive;
    use callvault_pipeline::ledger::Ledger;
    use callvault_pipeline::notification::Announcer;
    use secrecy::SecretString;

    use crate::failure::Failure;

    /// There is none here: what needs it is refused before it is asked for anything.
    pub(crate) struct Cloud(());

    impl Cloud {
        #[expect(clippy::unused_async, reason = "the other one asks AWS")]
        pub(crate) async fn of(settings: &Settings) -> Result<Self, Failure> {
            Self::for_setting(super::needs_aws(settings))
        }

        #[expect(clippy::unused_async, reason = "the other one asks AWS")]
        pub(crate) async fn of_source(settings: &Settings) -> Result<Self, Failure> {
            Self::for_setting(super::source_needs_aws(settings))
        }

        fn for_setting(needed: Option<&'static str>) -> Result<Self, Failure> {
            match needed {
                None => Ok(Self(())),
                Some(setting) => Err(Failure::usage(format!(
                    "this callvault was built without AWS, which {setting} needs: build it with its default features"
                ))),
            }
        }

        pub(crate) fn none() -> Self {
            Self(())
        }

        #[expect(clippy::unused_async, reason = "the other one asks AWS")]
        pub(crate) async fn user_tokens(_: &str) -> Result<(Arc<dyn AccessTokens>, Option<String>), Failure> {
            Err(Failure::usage(
                "this callvault was built without AWS, which VOICEMAIL_SECRET_ID needs: set it to file:PATH, or build \
                 callvault with its default features",
            ))
        }

        pub(crate) async fn for_user_secret() -> Result<Self, Failure> {
            Err(Failure::usage("this callvault was built without AWS, which a secret of AWS needs: give --file PATH"))
        }

        pub(crate) async fn user_secret(&self, _: &str) -> Result<Option<SecretString>, Failure> {
            Err(refused())
        }

        pub(crate) async fn user_secret_rotation(&self, _: &str) -> Result<(bool, Option<i64>), Failure> {
            Err(refused())
        }

        pub(crate) async fn write_user_secret(&self, _: &str, _: &SecretString) -> Result<bool, Failure> {
            Err(refused())
        }

        pub(crate) async fn archive(&self, _: &S3Place) -> Result<Arc<dyn Archive>, Failure> {
            Err(refused())
        }

        pub(crate) fn topic(&self, _: &str) -> Result<Arc<dyn Announcer>, Failure> {
            Err(refused())
        }

        pub(crate) async fn ledger(&self, _: &str, _: &[(&'static str, String)]) -> Result<Arc<dyn Ledger>, Failure> {
            Err(refused())
        }

        pub(crate) async fn check_ledger(
            &self,
            _: &str,
            _: &[(&'static str, String)],
        ) -> Result<Vec<(&'static str, String)>, Failure> {
            Err(refused())
        }

        pub(crate) async fn look_at_ledger(&self, _: &str) -> Result<Arc<dyn Ledger>, Failure> {
            Err(refused())
        }

        pub(crate) fn calls(&self, _: &str) -> Result<Box<dyn CallStore>, Failure> {
            Err(refused())
        }

        pub(crate) async fn credentials(&self, _: &str) -> Result<Credentials, Failure> {
            Err(refused())
        }
    }

    fn refused() -> Failure {
        Failure::usage("this callvault was built without AWS")
    }
}
