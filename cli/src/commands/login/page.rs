//! The page a browser shows at the end of a sign-in. No scripts, nothing from elsewhere, no secrets.

/// What a browser may do with our pages: nothing but show them.
pub(super) const HEADERS: [(&str, &str); 7] = [
    ("content-type", "text/html; charset=utf-8"),
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("connection", "close"),
];

/// A page with a title and a sentence.
pub(super) fn html(title: &str, text: &str) -> String {
    let (title, text) = (escaped(title), escaped(text));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>callvault: {title}</title>\n\
         <style>:root {{ color-scheme: light dark }} body {{ font: 1.05rem/1.6 system-ui, sans-serif; max-width: 36rem; \
         margin: 4rem auto; padding: 0 1.2rem }} h1 {{ font-size: 1.5rem }} p {{ overflow-wrap: anywhere }}</style>\n\
         </head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{text}</p>\n</main>\n</body>\n</html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_never_markup() {
        let page = html("a & b", "<script>alert(\"x\")</script>");
        assert!(page.contains("<h1>a &amp; b</h1>") && !page.contains("<script"), "{page}");
    }
}
