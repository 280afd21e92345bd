//! Containers of Azure and buckets of Google Cloud, and who writes there.
//!
//! The names are those that the clouds' own tools read. They are read only where `ARCHIVE` is there: on another machine they
//! may belong to something else.

use std::path::PathBuf;

use secrecy::SecretString;

use super::super::reader::Reader;
use super::names;

/// The account of every Azurite, and its key: both are in its documentation.
const EMULATED: (&str, &str) =
    ("devstoreaccount1", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==");

/// A container of Azure Blob Storage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AzurePlace {
    /// The storage account.
    pub account: String,
    /// Its name.
    pub container: String,
    /// Before every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// The address of the account's blobs; `None` for the public cloud's.
    pub endpoint: Option<String>,
}

/// A bucket of Google Cloud Storage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GooglePlace {
    /// Its name.
    pub bucket: String,
    /// Before every key, without slashes at its ends; may be empty.
    pub prefix: String,
    /// The address of an emulator; `None` for Google's.
    pub endpoint: Option<String>,
}

/// Who writes to Azure or Google Cloud.
#[derive(Debug, Clone, Default)]
pub enum CloudSignIn {
    /// The archive is neither.
    #[default]
    None,
    /// Azure.
    Azure(AzureSignIn),
    /// Google Cloud.
    Google(GoogleSignIn),
}

/// Who writes to Azure.
#[derive(Debug, Clone)]
pub enum AzureSignIn {
    /// The account's key.
    Key(SecretString),
    /// A shared access signature.
    Sas(SecretString),
    /// An application, by its secret.
    ClientSecret {
        /// Tenant and client id.
        application: Application,
        /// Its secret.
        secret: SecretString,
    },
    /// An application, by a token that the platform leaves in a file.
    Workload {
        /// Tenant and client id.
        application: Application,
        /// The file.
        token_file: PathBuf,
    },
    /// The machine's identity.
    Managed {
        /// One of several, by its client id.
        client: Option<String>,
        /// Where it is given, on platforms that say it.
        endpoint: Option<String>,
    },
    /// Whoever is signed in with `az login`.
    Cli,
    /// Nothing is set: `az` where it is installed, otherwise the machine's identity.
    Found,
}

/// An application of Microsoft Entra.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The tenant's id.
    pub tenant: String,
    /// The client id.
    pub client: String,
    /// Who signs in; `None` for the public cloud's.
    pub authority: Option<String>,
}

/// Who writes to Google Cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoogleSignIn {
    /// Whom a file names.
    File(PathBuf),
    /// As Google's own tools find it.
    Default,
    /// Nobody: an emulator.
    Nobody,
}

/// What `az://` is followed by.
pub(super) fn azure(read: &mut Reader<'_>, rest: &str) -> Result<AzurePlace, &'static str> {
    let emulator = names::emulator(read, "AZURITE_BLOB_STORAGE_URL");
    let expected = "the address of the account's blobs, such as https://ACCOUNT.blob.core.usgovcloudapi.net";
    let own = names::endpoint(read, "AZURE_STORAGE_ENDPOINT", expected);
    let (account, container, prefix) = names::azure_container(rest)?;
    // An emulator has its accounts in its paths.
    let endpoint = emulator.map(|address| format!("{address}/{account}")).or(own);
    Ok(AzurePlace { account, container, prefix, endpoint })
}

/// What `gs://` is followed by.
pub(super) fn google(read: &mut Reader<'_>, rest: &str) -> Result<GooglePlace, &'static str> {
    let endpoint = names::emulator(read, "STORAGE_EMULATOR_HOST");
    let (bucket, prefix) = names::google_bucket(rest)?;
    Ok(GooglePlace { bucket, prefix, endpoint })
}

/// Who writes to Google Cloud.
pub(super) fn google_sign_in(read: &Reader<'_>, place: &GooglePlace) -> GoogleSignIn {
    match (&place.endpoint, read.text("GOOGLE_APPLICATION_CREDENTIALS")) {
        (Some(_), _) => GoogleSignIn::Nobody,
        (None, Some(path)) => GoogleSignIn::File(path.into()),
        (None, None) => GoogleSignIn::Default,
    }
}

/// Who writes to Azure: a key, a signature, an application, otherwise an identity.
pub(super) fn azure_sign_in(read: &mut Reader<'_>, place: &AzurePlace) -> AzureSignIn {
    let key = read.text("AZURE_STORAGE_ACCOUNT_KEY").or_else(|| read.text("AZURE_STORAGE_KEY"));
    let sas = read.text("AZURE_STORAGE_SAS_TOKEN");
    match (key, sas) {
        (Some(_), Some(_)) => {
            read.refuse("AZURE_STORAGE_SAS_TOKEN is set beside AZURE_STORAGE_ACCOUNT_KEY: expected one of them");
            return AzureSignIn::Found;
        }
        (Some(key), None) => return AzureSignIn::Key(key.into()),
        (None, Some(sas)) => return AzureSignIn::Sas(sas.into()),
        (None, None) => {}
    }
    let (tenant, client) = (read.text("AZURE_TENANT_ID"), read.text("AZURE_CLIENT_ID"));
    let (secret, token_file) = (read.text("AZURE_CLIENT_SECRET"), read.text("AZURE_FEDERATED_TOKEN_FILE"));
    let authority = names::endpoint(read, "AZURE_AUTHORITY_HOST", "the address of a sign-in, such as https://HOST");
    match (tenant, client, token_file, secret) {
        (Some(tenant), Some(client), Some(file), _) => {
            let application = Application { tenant, client, authority };
            AzureSignIn::Workload { application, token_file: file.into() }
        }
        (Some(tenant), Some(client), None, Some(secret)) => {
            let application = Application { tenant, client, authority };
            AzureSignIn::ClientSecret { application, secret: secret.into() }
        }
        (tenant, client, file, secret) if secret.is_some() || file.is_some() => {
            for (name, is_set) in [("AZURE_TENANT_ID", tenant.is_some()), ("AZURE_CLIENT_ID", client.is_some())] {
                if !is_set {
                    read.missing(name, "the id that belongs to AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE");
                }
            }
            AzureSignIn::Found
        }
        _ if place.endpoint.as_deref().is_some_and(|at| at.ends_with(EMULATED.0)) && place.account == EMULATED.0 => {
            AzureSignIn::Key(EMULATED.1.into())
        }
        (_, client, ..) => identity(read, client),
    }
}

fn identity(read: &mut Reader<'_>, client: Option<String>) -> AzureSignIn {
    let endpoint = read.text("IDENTITY_ENDPOINT");
    let managed = AzureSignIn::Managed { client: client.clone(), endpoint: endpoint.clone() };
    match read.text("AZURE_TOKEN_CREDENTIALS").map(|word| word.to_ascii_lowercase()).as_deref() {
        Some("dev" | "azureclicredential") => AzureSignIn::Cli,
        Some("prod" | "managedidentitycredential") => managed,
        None if client.is_some() || endpoint.is_some() => managed,
        None => AzureSignIn::Found,
        Some(other) => {
            read.fault("AZURE_TOKEN_CREDENTIALS", other, "dev (`az login`) or prod (the machine's identity)");
            managed
        }
    }
}
