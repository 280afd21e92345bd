//! TLS for the HTTP clients: whom they trust.
//!
//! Certificates are verified as the platform does it: on Linux by the system's root certificates, `SSL_CERT_FILE` and
//! `SSL_CERT_DIR` included, so that a company's own authority is known where its machines know it. That is also what
//! `reqwest` would do by itself, but once for each client, and parsing a hundred and forty certificates takes 2 ms: a
//! good part of the time a function needs to start. Must never offer a way around verification.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls_platform_verifier::BuilderVerifierExt;

/// A configuration that clients share by cloning it.
///
/// # Errors
/// When the platform has no root certificates.
pub(super) fn config() -> Result<ClientConfig, rustls::Error> {
    let provider = CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_platform_verifier()?.with_no_client_auth();
    // What the clients speak: without HTTP/2, which they are built without.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `reqwest` takes a configuration of its own version of `rustls` only, and says so no earlier than here.
    #[test]
    fn it_is_one_that_clients_take() {
        let config = config().unwrap();
        for _ in 0..2 {
            assert!(reqwest::Client::builder().tls_backend_preconfigured(config.clone()).build().is_ok());
        }
    }
}
