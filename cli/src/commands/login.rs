//! `callvault login`: a person signs in, and the tokens go where callvault finds them.
//!
//! The authorization-code flow with PKCE and state: the browser is sent to Genesys Cloud and comes back to this machine
//! (or its address is pasted), the code becomes a pair of tokens, the pair is proved and written.
//!
//! | module | owns |
//! |---|---|
//! | `application` | which org and which OAuth client: from the secret, the settings, or asked for |
//! | `destination` | the place of the secret: read before, written after |
//! | `request` | the page to open, with its state and PKCE challenge |
//! | `redirect` | what a redirect says, wherever it came from |
//! | `loopback`, `page` | waiting for the browser, and what it shows then |
//! | `paste` | waiting for a pasted address |
//! | `browser` | opening the page |
//!
//! Must never print a token, a secret, a code or a verifier.

mod application;
mod browser;
pub(crate) mod destination;
mod loopback;
mod page;
mod paste;
mod redirect;
mod request;

use std::process::ExitCode;
use std::time::Duration;

use callvault_bootstrap::system;
use callvault_genesys::api::{ApiError, ExchangeError, Refusal, TokenPair};
use callvault_genesys::http::{AuthorizationCode, SignedInUser, UserSignIn};
use jiff::{SignedDuration, Timestamp, Unit};
use secrecy::SecretString;

use crate::args::Login;
use crate::connect::Given;
use crate::failure::Failure;
use crate::screen;
use crate::signals::interrupted;
use crate::user;
use application::Application;
use destination::Destination;
use loopback::{Browser, Loopback};
use redirect::Redirect;
use request::SignInRequest;

/// One request for tokens takes no longer.
const LONGEST_EXCHANGE: Duration = Duration::from_secs(30);

/// Requests for tokens that did not get through, before we give up.
const MOST_EXCHANGES: u32 = 3;

/// Time to prove a new token.
const LONGEST_PROOF: SignedDuration = SignedDuration::from_secs(20);

/// Rotation on AWS comes every twelve hours, and a failed one is tried again: a token should outlive some of them.
const SHORT_LIFE: Duration = Duration::from_secs(36 * 3600);

/// How the person comes back.
enum Way {
    Browser(Loopback),
    Paste(paste::Lines),
}

pub(crate) async fn run(args: Login, given: &Given) -> Result<ExitCode, Failure> {
    let destination = Destination::of(&args, given).await?;
    destination.check()?;
    let application = Application::find(&args, given, &destination).await?;
    let way = if args.paste { Way::Paste(paste::Lines::of_stdin()) } else { Way::Browser(listen(&args).await?) };
    let redirect_uri = match (&way, &args.redirect_uri) {
        (_, Some(uri)) => uri.clone(),
        (Way::Browser(loopback), None) => loopback.uri(),
        (Way::Paste(_), None) => format!("http://127.0.0.1:{}/callback", args.port),
    };
    let request = SignInRequest::new(&application, &redirect_uri)?;
    introduce(&application, &request, &way);
    if let Way::Browser(_) = &way
        && !args.no_browser
    {
        browser::open(request.url());
    }
    let patience = Duration::from_secs(args.timeout);
    let (redirect, browser) = wait(way, &request, patience).await?;
    let ended = match code_of(redirect) {
        Ok(code) => finish(&application, &destination, &request, code).await,
        Err(failure) => Err(failure),
    };
    if let Some(browser) = browser {
        browser.show(ended.as_ref().map(|signed| signed.words.as_str()).map_err(Failure::text)).await;
    }
    let mut signed = ended?;
    let place = destination.setting();
    if given.setting("VOICEMAIL_SECRET_ID")?.as_ref() != Some(&place) {
        signed.notes.push(format!("Next: set VOICEMAIL_SECRET_ID to {place}, and run `callvault doctor`."));
    }
    screen::line(&signed.words);
    for note in &signed.notes {
        screen::line(note);
    }
    Ok(ExitCode::SUCCESS)
}

async fn listen(args: &Login) -> Result<Loopback, Failure> {
    let port = match &args.redirect_uri {
        Some(uri) => redirect::loopback_port(uri).ok_or_else(|| {
            Failure::usage(format!(
                "--redirect-uri {uri} does not lead to this machine: give http://127.0.0.1:PORT/PATH or http://localhost:PORT/PATH, or use --paste"
            ))
        })?,
        None => args.port,
    };
    Loopback::listen(port, args.redirect_uri.as_deref()).await
}

fn introduce(application: &Application, request: &SignInRequest, way: &Way) {
    screen::line(format!(
        "Signing in at {} with the OAuth client {} (from {}).",
        application.endpoints.login().as_str().trim_end_matches('/'),
        application.client_id,
        application.client_from
    ));
    match way {
        Way::Browser(_) => screen::line("Open this page in a browser on this machine:"),
        Way::Paste(_) => screen::line("Open this page in any browser:"),
    }
    screen::line(format!("\n{}\n", request.url()));
    match way {
        Way::Browser(_) => screen::line(format!("Waiting for it to come back to {} ...", request.redirect_uri())),
        Way::Paste(_) => screen::line(format!(
            "At the end the browser goes to {}?code=..., and may say that it cannot be reached.\n\
             Paste that whole address here, and press Enter:",
            request.redirect_uri()
        )),
    }
}

/// Waits until the person is back, and says whom to tell how it ended.
async fn wait(way: Way, request: &SignInRequest, patience: Duration) -> Result<(Redirect, Option<Browser>), Failure> {
    let clock = system::clock();
    let minutes = patience.as_secs().div_ceil(60);
    let back = async {
        match way {
            Way::Browser(loopback) => loopback.wait(request.state()).await.map(|(back, browser)| (back, Some(browser))),
            Way::Paste(lines) => lines.wait(request.state()).await.map(|back| (back, None)),
        }
    };
    tokio::select! {
        back = back => back,
        () = interrupted() => Err(Failure::stopped("interrupted: nobody was signed in and nothing was written")),
        () = clock.sleep(patience) => Err(Failure::stopped(format!(
            "nobody came back from the sign-in page within {minutes} min: nothing was written, run `callvault login` again"
        ))),
    }
}

fn code_of(redirect: Redirect) -> Result<SecretString, Failure> {
    match redirect {
        Redirect::Code(code) => Ok(code),
        Redirect::Denied => Err(Failure::stopped(
            "the sign-in was denied (access_denied): nothing was written; run `callvault login` again and allow it",
        )),
        Redirect::Refused(word) => Err(Failure::stopped(format!(
            "Genesys Cloud refused the sign-in ({word}): check that the OAuth client's grant is `Code Authorization` and that its redirect URIs and scopes are as the README says"
        ))),
        Redirect::WrongState => Err(Failure::stopped(
            "what came back does not belong to this sign-in (wrong state): nothing was written; close other sign-in pages and run `callvault login` again",
        )),
    }
}

/// What there is to say at the end.
struct Signed {
    words: String,
    notes: Vec<String>,
}

/// The code becomes a pair, the pair is proved and written. From here on nothing interrupts: a pair exists.
async fn finish(
    application: &Application,
    destination: &Destination,
    request: &SignInRequest,
    code: SecretString,
) -> Result<Signed, Failure> {
    let code = AuthorizationCode {
        code,
        redirect_uri: request.redirect_uri().to_owned(),
        verifier: Some(request.verifier().clone()),
    };
    let asked_at = system::clock().now();
    let pair = exchange(application, &code).await?;
    let mut notes = Vec::new();
    let user = match prove(application, &pair).await {
        Ok(me) => me,
        Err(error @ (ApiError::SignInRefused { .. } | ApiError::Refused { .. } | ApiError::Forbidden { .. })) => {
            return Err(Failure::stopped(format!(
                "Genesys Cloud gave a token and does not accept it ({error}): nothing was written; check the region, and that the OAuth client's grant is `Code Authorization`"
            )));
        }
        Err(error) => {
            notes.push(format!("The token could not be tried now ({error}): run `callvault doctor` later."));
            SignedInUser::default()
        }
    };
    let life = SignedDuration::try_from(pair.expires_in).unwrap_or_default();
    let ends = asked_at.checked_add(life).unwrap_or(asked_at);
    let made = |text: Option<&SecretString>| application.secret(text).with_tokens(&pair.access, &pair.refresh, ends);
    let written = destination.write(application.before(), made).await?;
    if pair.expires_in < SHORT_LIFE {
        notes.push(format!(
            "The token lives for {} h. Set the OAuth client's token duration to 172800 seconds (48 h): a renewal that fails then has time to be tried again.",
            pair.expires_in.as_secs() / 3600
        ));
    }
    Ok(Signed { words: format!("Signed in as {}. {written} The token ends at {}.", named(&user), second(ends)), notes })
}

async fn exchange(application: &Application, code: &AuthorizationCode) -> Result<TokenPair, Failure> {
    let (clock, credentials) = (system::clock(), application.credentials());
    let sign_in = UserSignIn::new(application.endpoints.clone(), system::clock(), LONGEST_EXCHANGE)
        .map_err(|error| Failure::stopped(error.to_string()))?;
    let mut tries = 1;
    loop {
        match sign_in.exchange_code(&credentials, code, None).await {
            Ok(pair) => return Ok(pair),
            // Nothing was spent.
            Err(ExchangeError::NotTaken { wait, .. }) if tries < MOST_EXCHANGES => {
                tries += 1;
                clock.sleep(wait.clamp(Duration::from_millis(500), Duration::from_secs(10))).await;
            }
            Err(error) => return Err(Failure::stopped(advised(&error, application))),
        }
    }
}

fn advised(error: &ExchangeError, application: &Application) -> String {
    let advice = match error {
        ExchangeError::Refused { reason: Refusal::InvalidClient } => {
            let (id, from) = (&application.client_id, application.client_from);
            return format!(
                "{error}: check the region, and id and secret of the OAuth client {id} (from {from}); nothing was written"
            );
        }
        ExchangeError::Refused { reason: Refusal::InvalidGrant } => {
            "the code was used before, took too long, or was for another redirect URI"
        }
        ExchangeError::Refused { reason: Refusal::Other(_) } => {
            "check that the OAuth client's grant is `Code Authorization`"
        }
        ExchangeError::NotTaken { .. } => "check the network",
        ExchangeError::Unknown { .. } | ExchangeError::Unreadable { .. } => "no tokens were received",
    };
    format!("{error}: {advice}; nothing was written, run `callvault login` again")
}

async fn prove(application: &Application, pair: &TokenPair) -> Result<SignedInUser, ApiError> {
    let client = user::with_token(&application.endpoints, &pair.access)?;
    let now = system::clock().now();
    client.with_deadline(now.checked_add(LONGEST_PROOF).unwrap_or(now)).signed_in_user().await
}

fn named(user: &SignedInUser) -> String {
    match (&user.name, &user.id) {
        (Some(name), Some(id)) => format!("{} ({})", shown(name), shown(id)),
        (Some(name), None) => shown(name),
        (None, Some(id)) => format!("user {}", shown(id)),
        (None, None) => "a user".to_owned(),
    }
}

/// A text from outside, for a terminal.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

fn second(at: Timestamp) -> Timestamp {
    at.round(Unit::Second).unwrap_or(at)
}
