//! Which part answers a request, and who may ask it.
//!
//! Must never show a token, nor answer anybody who does not have it: also not what there is and what there is not.

use bytes::Bytes;
use callvault_bootstrap::settings::Settings;
use callvault_jobs::{Jobs, PREFIX, Problem};
use callvault_pipeline::stages::House;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Request, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

/// Everything that is answered.
pub(super) struct Site {
    jobs: Option<Guarded<Jobs>>,
}

/// A part, and the token that opens it.
struct Guarded<T> {
    part: T,
    token: SecretString,
}

impl Site {
    /// What the settings switch on.
    pub(super) fn of(settings: &Settings, house: &House) -> Self {
        let jobs = settings.jobs_token.clone().map(|token| Guarded {
            part: Jobs { ledger: house.ledger.clone(), clock: house.clock.clone(), calendar: house.calendar.clone() },
            token,
        });
        if jobs.is_none() {
            tracing::warn!("JOBS_TOKEN is not set: the jobs API is off");
        }
        Self { jobs }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let answered = match request.uri().path() {
            path if path.starts_with(PREFIX) => match &self.jobs {
                Some(jobs) => jobs.open(request.headers()),
                None => Err(off()),
            },
            _ => Err(Problem::not_found()),
        };
        match answered {
            Ok(jobs) => jobs.answer(request).await,
            Err(problem) => problem.response(),
        }
    }
}

impl<T> Guarded<T> {
    /// The part, for whoever has its token.
    fn open(&self, headers: &HeaderMap) -> Result<&T, Problem> {
        let expected = self.token.expose_secret().as_bytes();
        match bearer(headers).is_some_and(|token| token.ct_eq(expected).into()) {
            true => Ok(&self.part),
            false => {
                let detail = "send the header `Authorization: Bearer TOKEN`, with the value of JOBS_TOKEN";
                let problem = Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail);
                Err(problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"callvault\"")))
            }
        }
    }
}

/// The bearer token of a request that has exactly one authorization.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (Some(one), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = one.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

fn off() -> Problem {
    let detail = "the jobs API is off: set JOBS_TOKEN where `callvault serve` runs, and start it again";
    Problem::new(StatusCode::NOT_FOUND, "jobs-api-off", detail)
}
