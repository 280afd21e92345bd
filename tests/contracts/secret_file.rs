//! A user's secret in a file, renewed at a simulated org: through the real exchange, by a client that is refused.

use std::sync::Arc;
use std::time::Duration;

use callvault_bootstrap::system;
use callvault_genesys::api::{AccessTokens as _, ApiError, Voicemails as _};
use callvault_genesys::http::{ClientOptions, GenesysClient, UserSignIn};
use callvault_genesys::region::Endpoints;
use callvault_genesys::user_secret::UserSecret;
use callvault_local::secret_file::{FileTokens, SecretFile};
use callvault_simulator::{Fault, FaultName, Options, Simulator};
use callvault_tests::binary::scene::days_ago;
use jiff::SignedDuration;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

struct Scene {
    simulator: Simulator,
    folder: TempDir,
}

impl Scene {
    /// A signed-in user whose token has so long to live.
    async fn new(left: SignedDuration) -> Self {
        let simulator = Simulator::start(Options { conversations: 1, ..Options::new(days_ago(3)) }).await.unwrap();
        let scene = Self { simulator, folder: tempfile::tempdir().unwrap() };
        let (pair, end) = (scene.simulator.grant(), system::clock().now().checked_add(left).unwrap());
        let token = |name: &str| pair[name].as_str().unwrap().into();
        let secret = UserSecret::new("demo", &"demo".into(), None);
        scene.file().write(&secret.with_tokens(&token("access_token"), &token("refresh_token"), end)).unwrap();
        scene
    }

    fn file(&self) -> SecretFile {
        SecretFile::new(self.folder.path().join("user.json"))
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints::of_base(&self.simulator.url()).unwrap()
    }

    /// What another process has.
    fn tokens(&self) -> FileTokens {
        let exchange = UserSignIn::new(self.endpoints(), system::clock(), Duration::from_secs(20)).unwrap();
        FileTokens::new(self.file(), Arc::new(exchange), system::clock())
    }

    fn client(&self) -> GenesysClient {
        let options = ClientOptions::new(system::chance());
        GenesysClient::of_user(self.endpoints(), Arc::new(self.tokens()), system::clock(), options).unwrap()
    }

    /// The file holds the one refresh token that was never used.
    fn holds_the_last_pair(&self) {
        let refresh = self.file().read().unwrap().unwrap().refresh_token().unwrap();
        assert_eq!(self.simulator.unspent_refresh_tokens(), [refresh.expose_secret()]);
    }

    fn exchanges(&self) -> u64 {
        self.simulator.requests().operations.get("token-refresh").copied().unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_whose_token_has_ended_renew_it_once() {
    let scene = Scene::new(SignedDuration::from_secs(-1)).await;
    let all = (0..10).map(|_| scene.client()).map(|client| tokio::spawn(async move { client.me().await.unwrap() }));
    for one in all.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    assert_eq!(scene.exchanges(), 1);
    scene.holds_the_last_pair();
}

#[tokio::test]
async fn a_token_that_is_refused_before_its_end_is_renewed() {
    let scene = Scene::new(SignedDuration::from_hours(40)).await;
    let client = scene.client();
    client.me().await.unwrap();
    scene.simulator.set_faults([Fault::new(FaultName::ExpiredToken).operation("users-me").times(1)]);
    client.me().await.unwrap();
    assert_eq!(scene.exchanges(), 1);
    scene.holds_the_last_pair();
}

#[tokio::test]
async fn an_exchange_that_did_not_go_through_costs_nothing_and_one_whose_answer_is_lost_a_sign_in() {
    let scene = Scene::new(SignedDuration::from_secs(-1)).await;
    scene.simulator.set_faults([Fault::new(FaultName::Throttled).operation("token-refresh").times(1)]);
    assert!(matches!(scene.tokens().current().await, Err(ApiError::Unavailable { .. })));
    scene.tokens().current().await.unwrap();
    scene.holds_the_last_pair();

    let scene = Scene::new(SignedDuration::from_secs(-1)).await;
    scene.simulator.set_faults([Fault::new(FaultName::Dropped).operation("token-refresh").times(1)]);
    assert!(matches!(scene.tokens().current().await, Err(ApiError::Unavailable { .. })));
    let error = scene.tokens().current().await.unwrap_err();
    assert!(error.to_string().contains("sign-in-needed") && error.to_string().contains("was lost"), "{error}");
}
