//! Genesys credentials in Secrets Manager: from moto, and what its refusals mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::primitives::Blob;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use callvault_aws::secrets::{GenesysSecret, SecretError};
use callvault_bootstrap::lambda::gate::{LONGEST_KEPT, SHORTEST_KEPT, SecretGate};
use callvault_pipeline::clock::Clock as _;
use callvault_tests::fakes::TestClock;
use callvault_tests::stand_ins::moto::{Moto, unique};
use secrecy::ExposeSecret;

use crate::s3::sdk;

#[tokio::test]
async fn the_current_version_is_read() {
    let moto = Moto::shared();
    let (sdk, id) = (sdk(moto.url()), unique("genesys"));
    let client = Client::new(&sdk);
    let first = r#"{"clientId":"one","clientSecret":"old","refreshToken":"r","region":"mypurecloud.ie"}"#;
    let created = client.create_secret().name(&id).secret_string(first).send().await.unwrap();
    let read = GenesysSecret::read(&sdk, &id).await.unwrap();
    assert_eq!((read.client_id.as_str(), read.client_secret.expose_secret()), ("one", "old"));
    assert_eq!(read.region.as_deref(), Some("mypurecloud.ie"));
    // A new version is current at once; one that is pending is not.
    let second = r#"{"clientId":"two","clientSecret":"new"}"#;
    client.put_secret_value().secret_id(&id).secret_string(second).send().await.unwrap();
    let pending = client.put_secret_value().secret_id(&id).version_stages("AWSPENDING");
    pending.secret_string(r#"{"clientId":"three","clientSecret":"newer"}"#).send().await.unwrap();
    for id in [id.as_str(), created.arn().unwrap()] {
        let read = GenesysSecret::read(&sdk, id).await.unwrap();
        assert_eq!((read.client_id.as_str(), read.client_secret.expose_secret(), read.region), ("two", "new", None));
    }
}

#[tokio::test]
async fn what_is_missing_or_no_use_says_so_without_content() {
    let moto = Moto::shared();
    let sdk = sdk(moto.url());
    let client = Client::new(&sdk);
    let error = GenesysSecret::read(&sdk, &unique("nothing")).await.unwrap_err();
    assert_eq!(error.code(), "secret-missing");
    assert!(error.to_string().contains("GENESYS_SECRET_ID"), "{error}");
    let id = unique("empty");
    client.create_secret().name(&id).send().await.unwrap();
    assert_eq!(GenesysSecret::read(&sdk, &id).await.unwrap_err().code(), "secret-missing");
    for text in ["hunter2", r#"{"clientId":"hunter2"}"#, r#"{"clientId":"hunter2","clientSecret":["hunter2"]}"#] {
        let id = unique("useless");
        client.create_secret().name(&id).secret_string(text).send().await.unwrap();
        let error = GenesysSecret::read(&sdk, &id).await.unwrap_err();
        assert_eq!(error.code(), "secret-unreadable");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let id = unique("binary");
    client.create_secret().name(&id).secret_binary(Blob::new("hunter2")).send().await.unwrap();
    assert_eq!(GenesysSecret::read(&sdk, &id).await.unwrap_err().code(), "secret-unreadable");
}

/// Answers every request the same.
#[derive(Debug, Clone)]
struct Replay(Option<(u16, &'static str)>);

impl HttpConnector for Replay {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(match self.0 {
            None => Err(ConnectorError::io("refused".into())),
            Some((status, code)) => {
                let body = format!(r#"{{"__type":"{code}","message":"said so"}}"#);
                let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
                response.headers_mut().insert("content-type", "application/x-amz-json-1.1");
                Ok(response)
            }
        })
    }
}

/// Gives a token the first time, and no answer any more.
#[derive(Debug, Clone, Default)]
struct Once(Arc<AtomicU32>);

impl HttpConnector for Once {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        match self.0.fetch_add(1, Ordering::Relaxed) {
            0 => {
                let body = r#"{"Name":"n","SecretString":"planted-0123456789abcdef"}"#;
                let mut response = HttpResponse::new(200.try_into().unwrap(), SdkBody::from(body));
                response.headers_mut().insert("content-type", "application/x-amz-json-1.1");
                HttpConnectorFuture::ready(Ok(response))
            }
            _ => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}

#[test]
fn a_secret_that_cannot_be_read_again_is_used_on_and_not_waited_for_by_everybody() {
    TestClock::run(async {
        let once = Once::default();
        let connector = SharedHttpConnector::new(once.clone());
        let sdk: SdkConfig = sdk("http://127.0.0.1:1");
        let sdk = sdk.into_builder().http_client(http_client_fn(move |_, _| connector.clone())).build();
        let clock = Arc::new(TestClock::at("2026-01-31T12:00:00Z".parse().unwrap()));
        let gate = SecretGate::connect(&sdk, "calls", clock.clone()).await.unwrap();
        clock.sleep(LONGEST_KEPT).await;
        let begun = clock.now();
        for _ in 0..20 {
            let open = gate.for_whom(|gate| gate.is_opened_by("planted-0123456789abcdef")).await.unwrap();
            assert!(open.is_opened_by("planted-0123456789abcdef"), "who was let in before is let in");
            gate.for_whom(|gate| gate.is_opened_by("another")).await.unwrap();
        }
        assert!(clock.now().duration_since(begun).as_secs() <= 2, "one waits, for two seconds");
        let tried = once.0.load(Ordering::Relaxed);
        clock.sleep(SHORTEST_KEPT).await;
        gate.for_whom(|_| true).await.unwrap();
        assert!(once.0.load(Ordering::Relaxed) > tried, "after a minute it is tried again");
    });
}

async fn answered(answer: Option<(u16, &'static str)>) -> SecretError {
    let connector = SharedHttpConnector::new(Replay(answer));
    let sdk: SdkConfig = sdk("http://127.0.0.1:1");
    let sdk = sdk.into_builder().http_client(http_client_fn(move |_, _| connector.clone())).build();
    GenesysSecret::read(&sdk, "prod/genesys").await.unwrap_err()
}

#[tokio::test]
async fn refusals_have_their_codes() {
    for (answer, code, says) in [
        (Some((400, "AccessDeniedException")), "secret-denied", "secretsmanager:GetSecretValue"),
        (Some((400, "DecryptionFailure")), "secret-denied", "kms:Decrypt"),
        (Some((400, "ExpiredTokenException")), "secret-denied", "ExpiredTokenException"),
        (Some((400, "ResourceNotFoundException")), "secret-missing", "prod/genesys"),
        (Some((400, "ThrottlingException")), "secret-unreachable", "ThrottlingException"),
        (Some((500, "InternalServiceError")), "secret-unreachable", "run again"),
        (None, "secret-unreachable", "AWS_REGION"),
    ] {
        let error = answered(answer).await;
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}
