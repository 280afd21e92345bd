//! Which org a person signs in to, and through which OAuth client.
//!
//! What the secret already says of its client goes before everything: it was put there for this. What is in no place is
//! asked for at a terminal, the client's secret without showing it.

use std::io::{self, IsTerminal as _};

use callvault_genesys::http::Credentials;
use callvault_genesys::region::{Endpoints, domain_of, regions};
use callvault_genesys::user_secret::UserSecret;
use console::Term;
use secrecy::{ExposeSecret as _, SecretString};

use super::destination::Destination;
use crate::args::Login;
use crate::connect::Given;
use crate::failure::Failure;

/// Questions that were answered with nothing useful so many times are not asked again.
const MOST_QUESTIONS: u32 = 3;

/// An org, and an OAuth client of it with the grant `Code Authorization`.
pub(super) struct Application {
    pub(super) endpoints: Endpoints,
    /// The region's domain, to be kept beside the tokens; `None` where only a URL is known.
    region: Option<&'static str>,
    pub(super) client_id: String,
    client_secret: SecretString,
    /// What the secret held before anybody signed in.
    before: Option<SecretString>,
    /// Where the client was found, in words.
    pub(super) client_from: &'static str,
}

impl Application {
    /// Finds it, or asks for what is missing.
    pub(super) async fn find(args: &Login, given: &Given, destination: &Destination) -> Result<Self, Failure> {
        let there = destination.text().await?;
        let text = there.as_ref().map(|text| text.expose_secret()).filter(|text| !text.trim().is_empty());
        if let Some(text) = text {
            UserSecret::completed(text, "", &"".into(), None).map_err(|fault| {
                Failure::usage(format!(
                    "{destination} holds something else ({fault}): it is not overwritten, give another place"
                ))
            })?;
        }
        let secret = text.and_then(|text| UserSecret::parse(text).ok());
        let (endpoints, region) = org(args, given, secret.as_ref())?;
        let (client_id, client_secret, client_from) = client(given, secret.as_ref())?;
        Ok(Self { endpoints, region, client_id, client_secret, client_from, before: there })
    }

    /// What the secret held before anybody signed in.
    pub(super) fn before(&self) -> Option<&SecretString> {
        self.before.as_ref()
    }

    /// The client, for the token endpoint.
    pub(super) fn credentials(&self) -> Credentials {
        Credentials { client_id: self.client_id.clone(), client_secret: self.client_secret.clone() }
    }

    /// The document with this client in it; what else `text` holds is kept.
    pub(super) fn secret(&self, text: Option<&SecretString>) -> UserSecret {
        let bare = || UserSecret::new(&self.client_id, &self.client_secret, self.region);
        let text = text.map_or("", |text| text.expose_secret());
        UserSecret::completed(text, &self.client_id, &self.client_secret, self.region).unwrap_or_else(|_| bare())
    }
}

fn org(args: &Login, given: &Given, secret: Option<&UserSecret>) -> Result<(Endpoints, Option<&'static str>), Failure> {
    if let Some(url) = given.setting("GENESYS_URL")? {
        let endpoints = Endpoints::of_base(&url);
        return Ok((endpoints.map_err(|error| Failure::usage(format!("GENESYS_URL: {error}")))?, None));
    }
    let named = [
        ("--region", args.region.clone()),
        ("GENESYS_REGION", given.setting("GENESYS_REGION")?),
        ("the secret's `region`", secret.and_then(UserSecret::region)),
    ];
    let (from, region) = match named.into_iter().find_map(|(from, region)| region.map(|region| (from, region))) {
        Some(named) => named,
        None => ("the region", ask_region()?),
    };
    let endpoints = Endpoints::of_region(&region).map_err(|error| Failure::usage(format!("{from}: {error}")))?;
    Ok((endpoints, domain_of(&region)))
}

fn client(given: &Given, secret: Option<&UserSecret>) -> Result<(String, SecretString, &'static str), Failure> {
    if let Some(secret) = secret {
        return Ok((secret.client_id().to_owned(), secret.client_secret().clone(), "the secret itself"));
    }
    let id = given.setting("GENESYS_CLIENT_ID")?;
    let secret = given.setting("GENESYS_CLIENT_SECRET")?;
    if let (Some(id), Some(secret)) = (&id, &secret) {
        return Ok((id.clone(), secret.clone().into(), "GENESYS_CLIENT_ID"));
    }
    let id = ask("Id of the OAuth client with the grant `Code Authorization`", "GENESYS_CLIENT_ID", Term::read_line)?;
    let secret = ask("Its secret (not shown)", "GENESYS_CLIENT_SECRET", Term::read_secure_line)?;
    Ok((id, secret.into(), "what was typed"))
}

fn ask_region() -> Result<String, Failure> {
    if is_attended() {
        let term = Term::stderr();
        for (number, (domain, aws)) in (1..).zip(regions()) {
            term.write_line(&format!("{number:>4}  {domain:<24} {aws}")).map_err(|error| unanswered(&error))?;
        }
    }
    for _ in 0..MOST_QUESTIONS {
        let said =
            ask("Region of the org: number, domain or AWS region", "--region or GENESYS_REGION", Term::read_line)?;
        let numbered = said.parse::<usize>().ok().and_then(|number| regions().nth(number.checked_sub(1)?));
        if let Some(domain) = numbered.map(|(domain, _)| domain).or_else(|| domain_of(&said)) {
            return Ok(domain.to_owned());
        }
    }
    Err(Failure::usage("no region was chosen: give --region, for instance --region mypurecloud.ie"))
}

/// Asks at the terminal; without one, says which setting answers the question.
fn ask(question: &str, setting: &str, read: fn(&Term) -> io::Result<String>) -> Result<String, Failure> {
    if !is_attended() {
        return Err(Failure::usage(format!("{setting} is not set, and there is no terminal to ask at: {question}")));
    }
    let term = Term::stderr();
    for _ in 0..MOST_QUESTIONS {
        term.write_str(&format!("{question}: ")).map_err(|error| unanswered(&error))?;
        let said = read(&term).map_err(|error| unanswered(&error))?.trim().to_owned();
        if !said.is_empty() {
            return Ok(said);
        }
    }
    Err(Failure::usage(format!("nothing was typed: set {setting}, or type it")))
}

fn is_attended() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn unanswered(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::Interrupted => Failure::stopped("interrupted: nobody was signed in and nothing was written"),
        _ => Failure::stopped(format!("the terminal could not be asked ({error})")),
    }
}
