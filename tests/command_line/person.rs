//! A person with a browser without scripts: fills in the sign-in page and follows where it leads.

use callvault_tests::binary::scene::Scene;
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use url::Url;

/// A page as the browser saw it.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

/// What a browser does, without scripts.
pub(crate) struct Person<'a>(pub(crate) &'a Scene);

impl Person<'_> {
    pub(crate) fn client() -> reqwest::Client {
        reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap()
    }

    /// Fills in the sign-in page; says where it leads.
    pub(crate) fn decides(&self, page: &Url, decision: &str) -> Url {
        let mut form: Vec<(String, String)> = page.query_pairs().into_owned().collect();
        form.push(("user".into(), "ana@example.com".into()));
        form.push(("decision".into(), decision.into()));
        let address = format!("{}{}", page.origin().ascii_serialization(), page.path());
        let answer = self.0.block_on(Self::client().post(address).form(&form).send()).unwrap();
        answer.headers()[LOCATION].to_str().unwrap().parse().unwrap()
    }

    /// Opens an address.
    pub(crate) fn opens(&self, address: &Url) -> Page {
        self.sends(Self::client().get(address.clone()))
    }

    pub(crate) fn sends(&self, request: reqwest::RequestBuilder) -> Page {
        self.0.block_on(async {
            let answer = request.send().await.unwrap();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            Page { status, headers, text: answer.text().await.unwrap() }
        })
    }
}

/// The same address with another value of a parameter.
pub(crate) fn with(address: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<(String, String)> = address.query_pairs().into_owned().collect();
    let mut changed = address.clone();
    changed.query_pairs_mut().clear().extend_pairs(pairs.iter().map(|(one, old)| {
        let new = if one == name { value } else { old.as_str() };
        (one.as_str(), new.to_owned())
    }));
    changed
}
