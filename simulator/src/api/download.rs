//! `GET /_media/{recording}/{part}`: the object store behind the signed URLs.
//!
//! Not the platform: it answers with XML, wants no token, and refuses a request that carries one.

use hyper::header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE};
use hyper::{Method, StatusCode};

use super::parameter;
use crate::answer::{Answer, Body};
use crate::media::{Owner, Source};
use crate::world::{Admission, World};

/// What a download asks for.
#[derive(Debug)]
pub(crate) struct Download<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) authorization: bool,
    pub(crate) range: Option<&'a str>,
    /// Answer as if the URL's time had passed.
    pub(crate) expired: bool,
}

/// Answers a download.
pub(crate) fn answer(world: &World, download: &Download<'_>) -> Answer {
    file(world, download).unwrap_or_else(|refusal| refusal)
}

fn file(world: &World, download: &Download<'_>) -> Result<Answer, Answer> {
    if download.method != Method::GET {
        // The signature covers the method.
        return Err(forged());
    }
    if download.authorization {
        return Err(Answer::store_error(
            StatusCode::BAD_REQUEST,
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
        ));
    }
    let expires = parameter(download.query, "Expires").unwrap_or_default();
    let signature = parameter(download.query, "Signature").unwrap_or_default();
    match world.admits(download.path, &expires, &signature) {
        Admission::Granted if !download.expired => {}
        Admission::Granted | Admission::Expired => {
            let message = "Request has expired";
            return Err(Answer::store_error(StatusCode::FORBIDDEN, "AccessDenied", message));
        }
        Admission::Forged => return Err(forged()),
    }
    let missing = || {
        let message = "The specified key does not exist.";
        Answer::store_error(StatusCode::NOT_FOUND, "NoSuchKey", message)
    };
    let (source, content_type) = named(world, download.path).ok_or_else(missing)?;
    let source = Box::new(source);
    let whole = source.length();

    let answer = Answer::empty(StatusCode::OK).with(CONTENT_TYPE, content_type).with(ACCEPT_RANGES, "bytes");
    let Some((first, last)) = download.range.and_then(|range| bounds(range, whole)) else {
        return Ok(Answer { body: Body::Media { source, skip: 0, length: whole }, ..answer });
    };
    if first >= whole {
        let message = "The requested range is not satisfiable";
        let refusal = Answer::store_error(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message);
        return Err(refusal.with(CONTENT_RANGE, &format!("bytes */{whole}")));
    }
    let length = last - first + 1;
    let answer = answer.with(CONTENT_RANGE, &format!("bytes {first}-{last}/{whole}"));
    let body = Body::Media { source, skip: first, length };
    Ok(Answer { status: StatusCode::PARTIAL_CONTENT, body, ..answer })
}

/// The file behind a path: of a recording, or of a voicemail that is still there.
fn named(world: &World, path: &str) -> Option<(Source, &'static str)> {
    let rest = path.strip_prefix("/_media/")?;
    if let Some(rest) = rest.strip_prefix("voicemail/") {
        let (id, format) = rest.split_once('/')?;
        let message = world.mailboxes.message(id, world.clock.now())?;
        let file = message.file(format)?;
        let owner = Owner { conversation: &message.conversation, recording: &message.id };
        return Some((Source::new(owner, file), file.format.content_type()));
    }
    let (recording, part) = rest.split_once('/')?;
    let (conversation, recording) = world.org.recording(recording)?;
    let file = *recording.files.get(part.parse::<usize>().ok()?)?;
    let owner = Owner { conversation: &conversation.id, recording: &recording.id };
    Some((Source::new(owner, file), file.format.content_type()))
}

fn forged() -> Answer {
    Answer::store_error(
        StatusCode::FORBIDDEN,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided.",
    )
}

/// First and last byte of a simple range; any other form is ignored, as stores may.
fn bounds(range: &str, whole: u64) -> Option<(u64, u64)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let end = whole.saturating_sub(1);
    let last = if last.is_empty() { end } else { last.parse::<u64>().ok()?.min(end) };
    (first <= last || first >= whole).then_some((first, last))
}
