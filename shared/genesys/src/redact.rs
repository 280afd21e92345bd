//! What must not appear in texts that come from outside: URLs (which may be signed), tokens, addresses and numbers of
//! people.
//!
//! The platform's messages quote what they were given, so every text of theirs goes through [`redact`] before it
//! enters an error or a log line. It errs on the side of hiding: a harmless long word may go, a secret may not stay.
//! Pure text in, text out; it must never be relied on for texts that are secret as a whole (those are not printed).

/// Longest text that is let through, in characters: enough for a sentence, too short for a body.
const LONGEST: usize = 200;

/// Shortest run of base64 or hex characters that is taken for a key or a signature. AWS signatures have 64, the
/// platform's tokens 86 characters.
const SECRET_RUN: usize = 32;

/// Fewest digits that are taken for a telephone number.
const NUMBER_DIGITS: usize = 7;

/// Words that give a secret away wherever they appear.
const MARKERS: [&str; 10] =
    ["amz-", "signature", "sig=", "token=", "secret", "password", "key-pair-id", "policy=", "bearer:", "authorization"];

/// `text` on one line, without URLs, tokens, keys, e-mail addresses and telephone numbers, and at most 200 characters
/// long.
pub fn redact(text: &str) -> String {
    let mut words = String::with_capacity(text.len().min(1024));
    let mut word = String::new();
    let mut hide_next = false;
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }).chain([' ']) {
        if c.is_whitespace() || matches!(c, '"' | '<' | '>' | '`') {
            if !word.is_empty() {
                words.push_str(&judge_word(&word, hide_next));
                hide_next = announces_a_token(&word);
                word.clear();
            }
            words.push(c);
        } else {
            word.push(c);
        }
    }
    cut(hide_numbers(&words).trim())
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn announces_a_token(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic")
}

/// A word with what is secret in it replaced. Words end at blanks, double quotes and angle brackets, none of which can
/// stand in a URL unescaped.
fn judge_word(word: &str, announced: bool) -> String {
    let lower = word.to_ascii_lowercase();
    if lower.contains("://") || lower.contains(":\\/\\/") || lower.contains("%3a%2f%2f") || lower.starts_with("//") {
        return "<url>".to_owned();
    }
    if announced {
        return "<token>".to_owned();
    }
    if ["tel:", "sip:", "sips:", "sms:"].iter().any(|scheme| lower.contains(scheme)) {
        return "<number>".to_owned();
    }
    if word.contains('@') {
        return "<address>".to_owned();
    }
    // `eyJ` is how every JWT begins.
    if word.contains("eyJ") || (MARKERS.iter().any(|marker| lower.contains(marker)) && word.contains(['=', ':', '&'])) {
        return "<redacted>".to_owned();
    }
    hide_long_runs(word)
}

fn hide_long_runs(word: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for c in word.chars().map(Some).chain([None]) {
        match c {
            Some(c) if c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-' | '%') => run.push(c),
            other => {
                if run.len() >= SECRET_RUN && !is_uuid(&run) {
                    out.push_str("<redacted>");
                } else {
                    out.push_str(&run);
                }
                run.clear();
                out.extend(other);
            }
        }
    }
    out
}

fn is_uuid(run: &str) -> bool {
    run.len() == 36
        && run.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// Replaces telephone numbers: with `+` or `(` in front and any usual separators, or bare.
fn hide_numbers(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let taken = match rest[0] {
            '+' | '(' => run_of(rest, |c| c.is_ascii_digit() || matches!(c, '+' | '(' | ')' | '-' | '.' | ' ' | '/')),
            c if c.is_ascii_alphanumeric() => run_of(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.')),
            _ => 0,
        };
        if taken == 0 {
            out.push(rest[0]);
            at += 1;
            continue;
        }
        let run: String = rest[..taken].iter().collect();
        if is_number(&run) {
            out.push_str("<number>");
            out.extend(run.chars().rev().take_while(|c| *c == ' '));
        } else if matches!(rest[0], '+' | '(') {
            // Not a number as a whole; what is inside is looked at again.
            out.push(rest[0]);
            at += 1;
            continue;
        } else {
            out.push_str(&run);
        }
        at += taken;
    }
    out
}

fn run_of(chars: &[char], belongs: impl Fn(char) -> bool) -> usize {
    chars.iter().take_while(|c| belongs(**c)).count()
}

fn is_number(run: &str) -> bool {
    let longest = run.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or_default();
    if run.contains(|c: char| c.is_ascii_alphabetic()) {
        return !is_uuid(run.trim_end_matches('.')) && longest >= NUMBER_DIGITS + 2;
    }
    run.bytes().filter(u8::is_ascii_digit).count() >= NUMBER_DIGITS && !is_date(run)
}

fn is_date(run: &str) -> bool {
    let run = run.trim_end_matches('.').as_bytes();
    run.len() == 10
        && run.iter().enumerate().all(|(at, b)| if at == 4 || at == 7 { *b == b'-' } else { b.is_ascii_digit() })
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn secrets_and_people_go() {
        let key = "k3".repeat(20);
        for (text, secret) in [
            ("see https://b.s3.amazonaws.com/a,b'c?X-Amz-Signature=12 now".to_owned(), "12"),
            (r#"{"url":"s3://bucket/hidden"}"#.to_owned(), "hidden"),
            (r#"{"url":"https:\/\/h\/hidden"}"#.to_owned(), "hidden"),
            ("to=https%3A%2F%2Fh%2Fhidden".to_owned(), "hidden"),
            ("Authorization: Bearer abc123".to_owned(), "abc123"),
            ("bearer \"abc123\"".to_owned(), "abc123"),
            ("call tel:+13175550100!".to_owned(), "5550100"),
            ("call +1 (317) 555-0100, please".to_owned(), "0100"),
            ("call (317) 555 0100".to_owned(), "0100"),
            ("ani=3175550100;".to_owned(), "0100"),
            ("ani 317-555-0100".to_owned(), "0100"),
            ("from jane.doe@example.com".to_owned(), "jane"),
            (format!("key {key}."), "k3k3"),
            ("path/x?sig=short&b=1".to_owned(), "short"),
            ("jwt eyJhbGciOi.eyJzdWIi.c2ln".to_owned(), "c2ln"),
        ] {
            let clean = redact(&text);
            assert!(!clean.contains(secret), "{text:?} became {clean:?}");
        }
    }

    #[test]
    fn what_helps_stays() {
        for text in [
            "Pagination may not exceed 100000 results. Tip: consider querying in smaller intervals",
            "conversation 2f7bf00a-0fc2-4d6a-9b56-92238191433e (not found)",
            "interval 2026-01-15T16:12:11.123Z/2026-01-16 is too long",
            "batch.download.permission.denied",
            "the day 2026-01-15.",
        ] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn it_is_one_short_line() {
        let clean = redact(&format!("a\nb\u{1b}[31m {}", "word ".repeat(100)));
        assert!(clean.starts_with("a b"));
        assert_eq!(clean.chars().count(), 200);
        assert!(!clean.contains('\u{1b}'));
    }
}
