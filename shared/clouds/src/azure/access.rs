//! Who writes to Azure: `object_store`'s credentials, renewed by it, and its signatures.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use callvault_pipeline::archive::ArchiveError;
use object_store::azure::{AzureAuthorizer, AzureCredentialProvider, MicrosoftAzureBuilder};
use object_store::client::HttpRequestBody;
use object_store::{BackoffConfig, RetryConfig};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::BadSettings;
use crate::wire::{Authority, Call, is_loopback};
use crate::words::no_credentials;

/// Who writes.
#[derive(Debug, Clone)]
pub enum AzureSignIn {
    /// The account's key.
    Key(SecretString),
    /// A shared access signature, as a query with or without its question mark.
    Sas(SecretString),
    /// An application with a secret.
    ClientSecret {
        /// The tenant's id.
        tenant: String,
        /// The application's id.
        client: String,
        /// Its secret.
        secret: SecretString,
        /// Who signs in; `None` for the public cloud's.
        authority: Option<String>,
    },
    /// An application whose token a platform such as Kubernetes leaves in a file.
    Workload {
        /// The tenant's id.
        tenant: String,
        /// The application's id.
        client: String,
        /// The token's file.
        token_file: PathBuf,
        /// Who signs in; `None` for the public cloud's.
        authority: Option<String>,
    },
    /// The identity of the machine; one of several by its client id.
    Managed {
        /// The client id.
        client: Option<String>,
        /// Where tokens are given, on platforms that say it.
        endpoint: Option<String>,
    },
    /// Whoever is signed in with `az login`.
    Cli,
}

impl AzureSignIn {
    /// Whether it is somebody with roles, rather than a key or a signature.
    pub(super) fn is_identity(&self) -> bool {
        !matches!(self, Self::Key(_) | Self::Sas(_))
    }

    /// What to look at when it is refused.
    fn advice(&self) -> &'static str {
        match self {
            Self::Key(_) => "check AZURE_STORAGE_ACCOUNT_KEY",
            Self::Sas(_) => "check AZURE_STORAGE_SAS_TOKEN",
            Self::ClientSecret { .. } => "check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
            Self::Workload { .. } => "check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE",
            Self::Managed { .. } => {
                "this machine gives no managed identity: assign one, or set AZURE_STORAGE_ACCOUNT_KEY, \
                 AZURE_STORAGE_SAS_TOKEN or AZURE_CLIENT_ID"
            }
            Self::Cli => "sign in with `az login`, or set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN",
        }
    }
}

struct AzureAuthority {
    account: String,
    credentials: AzureCredentialProvider,
    advice: &'static str,
}

/// The permission of `sign_in`. Asks nobody yet.
///
/// # Errors
/// [`BadSettings`]: a key that is not Base64, a signature that is no query.
pub(super) fn authority(account: &str, sign_in: AzureSignIn) -> Result<Arc<dyn Authority>, BadSettings> {
    let advice = sign_in.advice();
    // A container and an address must be named; nothing is asked of them.
    let builder = MicrosoftAzureBuilder::new().with_account(account).with_container_name("x").with_retry(retries());
    let with_authority = |builder: MicrosoftAzureBuilder, authority: Option<String>| match authority {
        // Without TLS on this machine only: a sidecar that signs in for it.
        Some(authority) => {
            let is_here = Url::parse(&authority).is_ok_and(|url| is_loopback(&url));
            builder.with_allow_http(is_here).with_authority_host(authority)
        }
        None => builder,
    };
    let builder = match sign_in {
        AzureSignIn::Key(key) => builder.with_access_key(key.expose_secret()).with_credential_type("access_key"),
        AzureSignIn::Sas(sas) => {
            let sas = sas.expose_secret().trim_start_matches('?');
            if !sas.contains("sig=") {
                return Err(BadSettings(
                    "AZURE_STORAGE_SAS_TOKEN is no shared access signature: it has no `sig`".into(),
                ));
            }
            builder.with_config(object_store::azure::AzureConfigKey::SasKey, sas).with_credential_type("sas_token")
        }
        AzureSignIn::ClientSecret { tenant, client, secret, authority } => {
            let builder = builder.with_client_secret_authorization(client, secret.expose_secret(), tenant);
            with_authority(builder, authority).with_credential_type("client_secret")
        }
        AzureSignIn::Workload { tenant, client, token_file, authority } => {
            let builder = builder.with_tenant_id(tenant).with_client_id(client);
            let builder = builder.with_federated_token_file(token_file.display().to_string());
            with_authority(builder, authority).with_credential_type("workload_identity")
        }
        AzureSignIn::Managed { client, endpoint } => {
            let builder = match client {
                Some(client) => builder.with_client_id(client),
                None => builder,
            };
            let builder = match endpoint {
                Some(endpoint) => builder.with_msi_endpoint(endpoint),
                None => builder,
            };
            builder.with_credential_type("managed_identity")
        }
        AzureSignIn::Cli => builder.with_credential_type("azure_cli"),
    };
    // What it says may repeat what it was given.
    let built =
        builder.build().map_err(|_| BadSettings(format!("the credentials for Azure cannot be used: {advice}")))?;
    let credentials = built.credentials().clone();
    Ok(Arc::new(AzureAuthority { account: account.to_owned(), credentials, advice }))
}

/// For tokens: whoever gives none now is asked again with the next request.
fn retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: 2, retry_timeout: Duration::from_secs(15) }
}

#[async_trait]
impl Authority for AzureAuthority {
    async fn authorise(&self, call: &mut Call) -> Result<(), ArchiveError> {
        let credential = self.credentials.get_credential().await;
        let credential = credential.map_err(|error| no_credentials(self.advice, &error))?;
        let unusable = || ArchiveError::Failed { detail: "a request to Azure could not be signed".to_owned() };
        let mut request = http::Request::new(HttpRequestBody::empty());
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.url.as_str().parse().map_err(|_| unusable())?;
        *request.headers_mut() = std::mem::take(&mut call.headers);
        let authorizer = AzureAuthorizer::new(&credential, &self.account);
        authorizer.try_authorize(&mut request).map_err(|_| unusable())?;
        call.url = Url::parse(&request.uri().to_string()).map_err(|_| unusable())?;
        call.headers = std::mem::take(request.headers_mut());
        if let Some(value) = call.headers.get_mut(http::header::AUTHORIZATION) {
            value.set_sensitive(true);
        }
        Ok(())
    }
}
