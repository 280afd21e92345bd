//! `/oauth/authorize`: the page that stands in for the vendor's sign-in.
//!
//! Works in any browser, without scripts: a form with a name and two buttons, no password. It must never redirect to a
//! URI that is not registered, and never for a client it does not know: such mistakes end on a page (RFC 6749, 4.1.2.1).

use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use hyper::{Method, StatusCode};

use super::parameter;
use crate::answer::{Answer, Body};
use crate::grants::{Code, Grant};
use crate::world::World;

/// What the form sends on.
const FIELDS: [&str; 7] =
    ["response_type", "client_id", "redirect_uri", "state", "scope", "code_challenge", "code_challenge_method"];

/// Shows the page, or does what its form says.
pub(crate) fn answer(world: &World, method: &Method, query: &str, body: &str) -> Answer {
    match *method {
        Method::GET => Request::read(world, query).and_then(|request| request.page(world)),
        Method::POST => Request::read(world, body).and_then(|request| request.decide(world, body)),
        _ => Err(page(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", "<p>Open this page in a browser.</p>")),
    }
    .unwrap_or_else(|refusal| refusal)
}

/// A request for authorization whose client and redirect URI are known.
#[derive(Debug)]
struct Request<'a> {
    text: &'a str,
    client: String,
    redirect_uri: String,
    scopes: Vec<String>,
    challenge: Option<String>,
}

impl<'a> Request<'a> {
    fn read(world: &World, text: &'a str) -> Result<Self, Answer> {
        let wrong = |what| page(StatusCode::BAD_REQUEST, "This sign-in cannot go on", what);
        let client = parameter(text, "client_id").unwrap_or_default();
        if !world.clients().any(|(id, _)| id == client) {
            return Err(wrong("<p>The client id is unknown: <b>invalid_client</b>.</p>"));
        }
        let redirect_uri = parameter(text, "redirect_uri").unwrap_or_default();
        if !registered(world, &redirect_uri) {
            return Err(wrong("<p>The redirect URI is not registered: <b>redirect_uri_mismatch</b>.</p>"));
        }
        let mut request = Self { text, client, redirect_uri, scopes: Vec::new(), challenge: None };
        // From here on the client is told.
        if parameter(text, "response_type").as_deref() != Some("code") {
            return Err(request.back(&[("error", "unsupported_response_type")]));
        }
        request.challenge = parameter(text, "code_challenge").filter(|challenge| !challenge.is_empty());
        let method = parameter(text, "code_challenge_method");
        if request.challenge.is_some() && method.as_deref() != Some("S256") {
            return Err(request.back(&[("error", "invalid_request")]));
        }
        let wanted = parameter(text, "scope").unwrap_or_default();
        request.scopes = wanted.split_whitespace().map(str::to_owned).collect();
        let known = &world.options.user_scopes;
        if request.scopes.is_empty() {
            request.scopes.clone_from(known);
        }
        if request.scopes.iter().any(|scope| !allows(known, scope)) {
            return Err(request.back(&[("error", "invalid_scope")]));
        }
        Ok(request)
    }

    /// The form.
    fn page(&self, world: &World) -> Result<Answer, Answer> {
        let hidden: String = FIELDS
            .iter()
            .filter_map(|name| {
                let value = parameter(self.text, name)?;
                Some(format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">\n", escaped(&value)))
            })
            .collect();
        let form = format!(
            "<p>The application <b>{}</b> asks to act for you: {}.</p>\n\
             <form method=\"post\" action=\"/oauth/authorize\">\n{hidden}\
             <p><label>User name <input name=\"user\" value=\"{}\" required autofocus></label></p>\n\
             <p><button name=\"decision\" value=\"allow\">Allow</button>\n\
             <button name=\"decision\" value=\"deny\">Deny</button></p>\n</form>\n\
             <p><small>This page stands in for the sign-in of Genesys Cloud. It asks for no password.</small></p>",
            escaped(&self.client),
            escaped(&self.scopes.join(", ")),
            escaped(&world.options.user_name),
        );
        Ok(page(StatusCode::OK, "Sign in", &form))
    }

    /// Back to the application, with a code or without.
    fn decide(&self, world: &World, body: &str) -> Result<Answer, Answer> {
        let name = parameter(body, "user").unwrap_or_default();
        match parameter(body, "decision").as_deref() {
            Some("allow") if !name.trim().is_empty() => {}
            Some("deny") => return Ok(self.back(&[("error", "access_denied")])),
            _ => return self.page(world),
        }
        let text = world.secret();
        let grant = Grant { client: self.client.clone(), user: world.user(name.trim()), scopes: self.scopes.clone() };
        let code = Code {
            grant,
            redirect_uri: self.redirect_uri.clone(),
            challenge: self.challenge.clone(),
            dies: world.clock.age() + world.options.code_life,
        };
        world.grants.add_code(text.clone(), code);
        Ok(self.back(&[("code", &text)]))
    }

    /// A redirect to the application, with the state it gave.
    fn back(&self, parameters: &[(&str, &str)]) -> Answer {
        let mut target = self.redirect_uri.clone();
        let state = parameter(self.text, "state");
        let state = state.as_deref().map(|state| ("state", state));
        for (name, value) in parameters.iter().copied().chain(state) {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(&format!("{name}={}", encoded(value)));
        }
        Answer::empty(StatusCode::FOUND).with(LOCATION, &target).with(CACHE_CONTROL, "no-store")
    }
}

/// Whether `granted` covers `wanted`: a scope covers its `:readonly` form.
pub(crate) fn allows(granted: &[String], wanted: &str) -> bool {
    granted.iter().any(|scope| scope == wanted || wanted.strip_suffix(":readonly") == Some(scope))
}

/// One of the registered URIs, or, where none is, an http URI of this machine, whatever its port (RFC 8252, 7.3).
fn registered(world: &World, uri: &str) -> bool {
    let registered = &world.options.redirect_uris;
    if !registered.is_empty() {
        return registered.iter().any(|one| one == uri);
    }
    let plain = uri.bytes().all(|byte| byte.is_ascii_graphic()) && !uri.contains(['#', '\\', '@']);
    let authority = uri.strip_prefix("http://").and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    let local = ["127.0.0.1", "localhost", "[::1]"].iter().any(|host| {
        authority.strip_prefix(host).is_some_and(|port| {
            port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok())
        })
    });
    plain && local
}

fn page(status: StatusCode, title: &str, content: &str) -> Answer {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>body {{ font: 1rem/1.5 sans-serif; max-width: 32rem; margin: 3rem auto; padding: 0 1rem }}\
         input {{ font: inherit; width: 100%; box-sizing: border-box; padding: .4rem }}\
         button {{ font: inherit; padding: .4rem 1.5rem }}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n{content}\n</body>\n</html>\n"
    );
    let answer = Answer { body: Body::Whole(html.into()), ..Answer::empty(status) };
    answer
        .with(CONTENT_TYPE, "text/html; charset=utf-8")
        .with(CACHE_CONTROL, "no-store")
        .with(CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
}

/// Text for HTML, also within attributes.
fn escaped(text: &str) -> String {
    let escape = |c| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

/// Text for a query (RFC 3986, 2.3).
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn only_this_machine_is_redirected_to_unless_others_are_registered() {
        let mut options = Options::new(jiff::civil::date(2026, 1, 15));
        let world = World::new(options.clone(), String::new()).unwrap();
        for uri in ["http://127.0.0.1:8400/callback", "http://localhost/", "http://[::1]:1", "http://127.0.0.1?a=b"] {
            assert!(registered(&world, uri), "{uri}");
        }
        for uri in [
            "",
            "https://example.com/",
            "http://127.0.0.1.example.com/",
            "http://localhost@example.com/",
            "http://127.0.0.1:80@example.com/",
            "http://127.0.0.1\\@example.com",
            "http://127.0.0.1/\r\nx: y",
            "http://127.0.0.1/#fragment",
        ] {
            assert!(!registered(&world, uri), "{uri:?}");
        }
        options.redirect_uris = vec!["https://example.com/back".into()];
        let world = World::new(options, String::new()).unwrap();
        assert!(registered(&world, "https://example.com/back") && !registered(&world, "http://localhost/"));
    }

    #[test]
    fn what_was_given_is_never_markup() {
        assert_eq!(escaped("<a href='x'>\"&"), "&lt;a href=&#39;x&#39;&gt;&quot;&amp;");
        assert_eq!(encoded("a b&c=é"), "a%20b%26c%3D%C3%A9");
    }

    #[test]
    fn a_scope_covers_its_readonly_form_and_not_the_other_way_round() {
        let (wide, narrow) = (["voicemail".to_owned()], ["voicemail:readonly".to_owned()]);
        assert!(allows(&wide, "voicemail:readonly") && allows(&narrow, "voicemail:readonly"));
        assert!(!allows(&narrow, "voicemail") && !allows(&wide, "conversations"));
    }
}
