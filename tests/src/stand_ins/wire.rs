//! The wire between the SDK and DynamoDB's stand-in: counts calls, meters them by AWS's rules, and loses or replaces
//! answers by script. What the SDK makes of that is its own, real behaviour.
#![expect(clippy::unwrap_used, reason = "a harness of tests fails by panicking")]

mod meter;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{AsyncSleep, HttpClient, RuntimeComponents, Sleep};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use meter::Meter;
pub use meter::Units;

/// What becomes of a call.
pub enum Step {
    /// It is answered by the stand-in.
    Pass,
    /// It takes effect, and its answer is lost.
    LoseAnswer,
    /// It never arrives.
    LoseCall,
    /// It never arrives, and this is answered.
    Answer(u16, Value),
}

impl Step {
    /// An error of DynamoDB's.
    pub fn error(code: &str, message: &str) -> Self {
        Self::Answer(400, json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": message}))
    }
}

/// A call: its operation, and its body.
pub struct Call {
    /// `PutItem`, `Query`...
    pub operation: String,
    /// As DynamoDB gets it.
    pub body: Value,
}

type Script = Box<dyn FnMut(&Call) -> Step + Send>;

/// The wire. Clones are the same one.
#[derive(Clone)]
pub struct Wire(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    script: Mutex<Script>,
    calls: Mutex<Vec<Call>>,
    meter: Mutex<Meter>,
    /// Held while a write is with the stand-in.
    writing: Option<tokio::sync::Mutex<()>>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    /// One that passes everything.
    pub fn quiet() -> Self {
        Self::made(None)
    }

    /// The same, and one write at a time: the stand-in looks at a condition and writes in two steps, which threads get between, while
    /// DynamoDB does it in one.
    pub fn atomic() -> Self {
        Self::made(Some(tokio::sync::Mutex::default()))
    }

    fn made(writing: Option<tokio::sync::Mutex<()>>) -> Self {
        Self(Arc::new(Inner {
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            script: Mutex::new(Box::new(|_| Step::Pass)),
            calls: Mutex::default(),
            meter: Mutex::default(),
            writing,
        }))
    }

    /// From now on this becomes of the calls.
    pub fn script(&self, script: impl FnMut(&Call) -> Step + Send + 'static) {
        *self.0.script.lock().unwrap() = Box::new(script);
    }

    /// The `n` first calls of an operation from now on come to this; the others pass.
    pub fn first(&self, operation: &'static str, n: usize, step: impl Fn() -> Step + Send + 'static) {
        let mut left = n;
        self.script(move |call| {
            if call.operation != operation || left == 0 {
                return Step::Pass;
            }
            left -= 1;
            step()
        });
    }

    /// The calls so far; they are forgotten.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.calls.lock().unwrap())
    }

    /// The units consumed so far, by AWS's rules.
    pub fn units(&self) -> Units {
        self.0.meter.lock().unwrap().units()
    }

    /// The bytes that are kept, as AWS bills them.
    pub fn bytes(&self) -> usize {
        self.0.meter.lock().unwrap().bytes()
    }

    /// `sdk` over this wire; pauses between retries take no time.
    pub fn over(&self, sdk: &SdkConfig) -> SdkConfig {
        sdk.to_builder()
            .http_client(self.clone())
            .sleep_impl(NoSleep)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .build()
    }

    async fn carry(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let bytes = request.body().bytes().unwrap_or_default().to_vec();
        let call = Call { operation, body: serde_json::from_slice(&bytes).unwrap_or_default() };
        let step = (self.0.script.lock().unwrap())(&call);
        let timeout = || ConnectorError::timeout("lost on the wire".into());
        let answered = match step {
            Step::LoseCall => Err(timeout()),
            Step::Answer(status, body) => Ok(response(status, body.to_string().into_bytes())),
            Step::Pass | Step::LoseAnswer => {
                let writes = ["PutItem", "UpdateItem", "DeleteItem"].contains(&call.operation.as_str());
                let _alone = match &self.0.writing {
                    Some(writing) if writes => Some(writing.lock().await),
                    _ => None,
                };
                let (status, body) = self.forward(&request, bytes).await?;
                let answer = serde_json::from_slice(&body).unwrap_or_default();
                self.0.meter.lock().unwrap().count(&call, status, &answer);
                if matches!(step, Step::LoseAnswer) { Err(timeout()) } else { Ok(response(status, body)) }
            }
        };
        self.0.calls.lock().unwrap().push(call);
        answered
    }

    async fn forward(&self, request: &HttpRequest, bytes: Vec<u8>) -> Result<(u16, Vec<u8>), ConnectorError> {
        let mut forwarded = self.0.client.post(request.uri()).body(bytes);
        for (name, value) in request.headers() {
            forwarded = forwarded.header(name, value);
        }
        let broken = |error: reqwest::Error| ConnectorError::io(error.without_url().into());
        let answer = forwarded.send().await.map_err(broken)?;
        let status = answer.status().as_u16();
        Ok((status, answer.bytes().await.map_err(broken)?.to_vec()))
    }
}

fn response(status: u16, body: Vec<u8>) -> HttpResponse {
    HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().carry(request))
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// Pauses that are over at once.
#[derive(Debug)]
struct NoSleep;

impl AsyncSleep for NoSleep {
    fn sleep(&self, _: Duration) -> Sleep {
        Sleep::new(async {})
    }
}
