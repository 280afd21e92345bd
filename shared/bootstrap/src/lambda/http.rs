//! Requests and responses of an HTTP API of API Gateway, as its payload format 2.0 has them. Fields that are not needed are left
//! alone.
//!
//! Must never show a path, a header or a body in an error: they hold the sender's signature or secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use serde_json::{Map, Value, json};

use super::refusal::Refusal;

/// The stage that has no name in its paths.
const NAMELESS_STAGE: &str = "$default";

/// A path that is none: nothing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoPath;

/// Reads an event: the request it holds.
///
/// # Errors
/// [`Refusal`] with the code `event-malformed`: the event is no request of API Gateway.
pub fn request(event: &Value) -> Result<Result<Request<Bytes>, NoPath>, Refusal> {
    let wrong =
        |what: &str| Refusal::malformed(format!("{what}: expected a request of an HTTP API, in payload format 2.0"));
    if event.get("version").and_then(Value::as_str) != Some("2.0") {
        return Err(wrong("`version` is not \"2.0\""));
    }
    let context = &event["requestContext"];
    let method = context["http"]["method"].as_str().and_then(|text| Method::from_bytes(text.as_bytes()).ok());
    let method = method.ok_or_else(|| wrong("`requestContext.http.method` is no method"))?;
    let path = event["rawPath"].as_str().ok_or_else(|| wrong("`rawPath` is not a text"))?;
    let body = body(event).map_err(|what| wrong(&what))?;
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // A path that is no path is one that is not here.
    let path = without_stage(path, context["stage"].as_str());
    match path.parse::<Uri>() {
        Ok(uri) if uri.path() == path => *request.uri_mut() = uri,
        _ => return Ok(Err(NoPath)),
    }
    *request.headers_mut() = event["headers"].as_object().map(headers).unwrap_or_default();
    Ok(Ok(request))
}

/// The answer that API Gateway makes a response of.
pub fn answer(response: &Response<Bytes>) -> Value {
    let shown = |value: &HeaderValue| Value::from(String::from_utf8_lossy(value.as_bytes()));
    let headers: Map<String, Value> =
        response.headers().iter().map(|(name, value)| (name.to_string(), shown(value))).collect();
    json!({
        "statusCode": response.status().as_u16(),
        "headers": headers,
        "body": String::from_utf8_lossy(response.body()),
        "isBase64Encoded": false,
    })
}

fn without_stage<'a>(path: &'a str, stage: Option<&str>) -> &'a str {
    let Some(stage) = stage.filter(|stage| *stage != NAMELESS_STAGE) else { return path };
    let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
    rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// The body; a sender may have made API Gateway take it for bytes.
fn body(event: &Value) -> Result<Bytes, String> {
    let text = match &event["body"] {
        Value::Null => return Ok(Bytes::new()),
        Value::String(text) => text,
        _ => return Err("`body` is not a text".to_owned()),
    };
    match &event["isBase64Encoded"] {
        Value::Null | Value::Bool(false) => Ok(Bytes::from(text.clone())),
        Value::Bool(true) => STANDARD.decode(text).map(Bytes::from).map_err(|_| "`body` is not Base64".to_owned()),
        _ => Err("`isBase64Encoded` is not true or false".to_owned()),
    }
}

/// The headers, one value to a name: API Gateway joins those that came several times with commas. What is none is left out.
fn headers(headers: &Map<String, Value>) -> HeaderMap {
    let header = |(name, value): (&String, &Value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
    };
    // Names in two spellings are the same name twice.
    let mut all = HeaderMap::new();
    for (name, value) in headers.iter().filter_map(header) {
        all.append(name, value);
    }
    all
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    fn event(path: &str, stage: &str) -> Value {
        json!({
            "version": "2.0",
            "rawPath": path,
            "headers": {"Content-Type": "application/json"},
            "requestContext": {"http": {"method": "POST"}, "stage": stage},
            "body": "eyJhIjoxfQ==",
            "isBase64Encoded": true,
        })
    }

    #[test]
    fn a_request_is_read_with_its_body_as_it_was_sent() {
        let read = request(&event("/a/b", "$default")).unwrap().unwrap();
        assert_eq!((read.method(), read.uri().path(), &read.body()[..]), (&Method::POST, "/a/b", &b"{\"a\":1}"[..]));
        assert_eq!(read.headers()[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn a_named_stage_is_no_part_of_the_path() {
        let path = |path: &str, stage: &str| request(&event(path, stage)).unwrap().unwrap().uri().path().to_owned();
        assert_eq!(path("/prod/a", "prod"), "/a");
        assert_eq!(path("/production/a", "prod"), "/production/a");
        assert_eq!(path("/a", "prod"), "/a");
    }

    #[test]
    fn a_path_that_is_none_is_not_found() {
        for path in ["", "a", "/a b", "/a?b", "/a#b"] {
            let read = request(&event(path, "$default")).unwrap();
            assert_eq!(read.unwrap_err(), NoPath, "{path}");
        }
    }
}
