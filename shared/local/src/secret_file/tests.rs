use std::collections::VecDeque;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::Mutex as StdMutex;
use std::time::Duration;

use async_trait::async_trait;
use callvault_pipeline::api::{AccessTokens as _, ApiError, ExchangeError, RefreshTokens, Refusal, TokenPair};
use callvault_pipeline::clock::Clock;
use callvault_pipeline::user_secret::UserSecret;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};

use super::{FileTokens, SecretFile};

const NOW: &str = "2026-01-15T12:00:00Z";

/// A clock that stands still. Its pauses are real, but twenty times shorter: whoever waits for another's lock gives that
/// one the time to end.
#[derive(Debug)]
struct Still;

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW.parse().unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span / 20).await;
    }
}

/// A vendor whose refresh tokens are good once: `r0`, then `r1`, and so on.
#[derive(Default)]
struct Vendor {
    spent: StdMutex<Vec<String>>,
    /// What comes instead of an answer, and whether the token is spent all the same.
    faults: StdMutex<VecDeque<(ExchangeError, bool)>>,
    next: std::sync::atomic::AtomicU32,
}

impl Vendor {
    fn failing(error: ExchangeError, spent: bool) -> Arc<Self> {
        let vendor = Self::default();
        vendor.faults.lock().unwrap().push_back((error, spent));
        Arc::new(vendor)
    }

    fn spent(&self) -> Vec<String> {
        self.spent.lock().unwrap().clone()
    }
}

#[async_trait]
impl RefreshTokens for Vendor {
    async fn exchange(&self, id: &str, _: &SecretString, refresh: &SecretString) -> Result<TokenPair, ExchangeError> {
        assert_eq!(id, "id");
        tokio::task::yield_now().await;
        let refresh = refresh.expose_secret().to_owned();
        let mut spent = self.spent.lock().unwrap();
        if spent.contains(&refresh) {
            return Err(ExchangeError::Refused { reason: Refusal::InvalidGrant });
        }
        if let Some((error, is_spent)) = self.faults.lock().unwrap().pop_front() {
            spent.extend(is_spent.then_some(refresh));
            return Err(error);
        }
        spent.push(refresh);
        let n = self.next.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
        let life = Duration::from_secs(172_800);
        Ok(TokenPair { access: format!("a{n}").into(), refresh: format!("r{n}").into(), expires_in: life })
    }
}

struct Scene {
    folder: tempfile::TempDir,
    vendor: Arc<Vendor>,
}

impl Scene {
    /// A file whose token ends at `end`.
    fn new(vendor: Arc<Vendor>, end: &str) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap(), vendor };
        scene.file().write(&pair("a0", "r0", end)).unwrap();
        scene
    }

    fn file(&self) -> SecretFile {
        SecretFile::new(self.folder.path().join("user.json"))
    }

    /// What another process has.
    fn tokens(&self) -> FileTokens {
        FileTokens::new(self.file(), Arc::clone(&self.vendor) as Arc<dyn RefreshTokens>, Arc::new(Still))
    }

    fn refresh(&self) -> String {
        self.file().read().unwrap().unwrap().refresh_token().unwrap().expose_secret().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

const SOON: &str = "2026-01-15T12:04:59Z";
const LATER: &str = "2026-01-15T12:05:01Z";

fn pair(access: &str, refresh: &str, end: &str) -> UserSecret {
    let text = r#"{"owner":1.50,"clientId":"id","clientSecret":"s"}"#;
    UserSecret::parse(text).unwrap().with_tokens(&access.into(), &refresh.into(), end.parse().unwrap())
}

async fn current(tokens: &FileTokens) -> Result<String, ApiError> {
    tokens.current().await.map(|token| token.expose_secret().to_owned())
}

#[tokio::test]
async fn a_token_is_renewed_when_it_ends_and_not_before() {
    let scene = Scene::new(Arc::default(), LATER);
    assert_eq!(current(&scene.tokens()).await.unwrap(), "a0");
    assert!(scene.vendor.spent().is_empty());
    let scene = Scene::new(Arc::default(), SOON);
    assert_eq!(current(&scene.tokens()).await.unwrap(), "a1");
    let written = scene.file().read().unwrap().unwrap();
    assert_eq!(written.expires_at(), Some("2026-01-17T12:00:00Z".parse().unwrap()));
    assert!(written.to_json().expose_secret().starts_with(r#"{"owner":1.50,"#));
    assert_eq!(scene.names(), ["user.json", "user.json.lock"]);
    for name in scene.names() {
        let mode = std::fs::metadata(scene.folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_unless_somebody_did_it_already() {
    let scene = Scene::new(Arc::default(), LATER);
    let (one, other) = (scene.tokens(), scene.tokens());
    assert_eq!((current(&one).await.unwrap(), current(&other).await.unwrap()), ("a0".to_owned(), "a0".to_owned()));
    assert_eq!(one.reread().await.unwrap().expose_secret(), "a1");
    assert_eq!(other.reread().await.unwrap().expose_secret(), "a1");
    assert_eq!(scene.vendor.spent(), ["r0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_spend_one_refresh_token() {
    let scene = Scene::new(Arc::default(), SOON);
    let all =
        (0..20).map(|_| scene.tokens()).map(|tokens| tokio::spawn(async move { current(&tokens).await.unwrap() }));
    for one in all.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), "a1");
    }
    assert_eq!(scene.vendor.spent(), ["r0"]);
}

#[tokio::test]
async fn what_did_not_get_through_is_tried_again() {
    let fault = ExchangeError::NotTaken { detail: "no connection".to_owned(), wait: Duration::ZERO };
    let scene = Scene::new(Vendor::failing(fault, false), SOON);
    assert!(matches!(current(&scene.tokens()).await, Err(ApiError::Unavailable { .. })));
    assert_eq!(scene.names(), ["user.json", "user.json.lock"]);
    assert_eq!(current(&scene.tokens()).await.unwrap(), "a1");
}

#[tokio::test]
async fn a_lost_answer_is_visible_and_ends_with_a_sign_in() {
    let lost = || ExchangeError::Unknown { detail: "reset".to_owned() };
    // It was not spent after all.
    let scene = Scene::new(Vendor::failing(lost(), false), SOON);
    assert!(matches!(current(&scene.tokens()).await, Err(ApiError::Unavailable { .. })));
    assert_eq!(scene.names(), ["user.json", "user.json.exchanging", "user.json.lock"]);
    assert_eq!(current(&scene.tokens()).await.unwrap(), "a1");
    assert_eq!(scene.names(), ["user.json", "user.json.lock"]);

    let scene = Scene::new(Vendor::failing(lost(), true), SOON);
    assert!(matches!(current(&scene.tokens()).await, Err(ApiError::Unavailable { .. })));
    let Err(ApiError::SignInRefused { reason }) = current(&scene.tokens()).await else { panic!("it was renewed") };
    assert!(reason.starts_with("sign-in-needed: ") && reason.contains("was lost"), "{reason}");
    assert!(reason.contains("callvault login --file"), "{reason}");
    // A person signs in.
    scene.file().write(&pair("b0", "q0", LATER)).unwrap();
    assert_eq!(current(&scene.tokens()).await.unwrap(), "b0");
}

#[tokio::test]
async fn a_dead_refresh_token_wants_a_sign_in_and_shows_nothing() {
    let scene = Scene::new(Arc::default(), SOON);
    scene.vendor.spent.lock().unwrap().push("r0".to_owned());
    let error = current(&scene.tokens()).await.unwrap_err();
    assert!(error.to_string().contains("sign-in-needed"), "{error}");
    scene.file().write(&UserSecret::new("id", &"hunter2".into(), None)).unwrap();
    let error = current(&scene.tokens()).await.unwrap_err();
    assert!(error.to_string().contains("no refresh token"), "{error}");
    std::fs::write(scene.file().path(), r#"{"clientId":"hunter2"}"#).unwrap();
    let error = current(&scene.tokens()).await.unwrap_err();
    assert!(format!("{error:?}").contains("clientSecret") && !format!("{error:?}").contains("hunter2"), "{error:?}");
    std::fs::remove_file(scene.file().path()).unwrap();
    assert!(current(&scene.tokens()).await.unwrap_err().to_string().contains("sign-in-needed"));
}

/// While the token is spent, folders take the place of these files: they cannot be read or written any more.
struct Breaking(Arc<Vendor>, Vec<std::path::PathBuf>);

#[async_trait]
impl RefreshTokens for Breaking {
    async fn exchange(&self, id: &str, s: &SecretString, refresh: &SecretString) -> Result<TokenPair, ExchangeError> {
        for path in &self.1 {
            let _ = std::fs::remove_file(path);
            std::fs::create_dir(path).unwrap();
        }
        self.0.exchange(id, s, refresh).await
    }
}

/// The file cannot be replaced (it is a folder by now): the pair is in the rescue file, and comes home from there.
#[tokio::test]
async fn a_pair_that_cannot_be_written_is_rescued_and_comes_home() {
    let scene = Scene::new(Arc::default(), SOON);
    let path = scene.file().path().to_owned();
    let breaking = Arc::new(Breaking(Arc::clone(&scene.vendor), vec![path.clone()]));
    let tokens = FileTokens::new(scene.file(), breaking, Arc::new(Still));
    // The token works all the same.
    assert_eq!(current(&tokens).await.unwrap(), "a1");
    let rescued = scene.file().rescues()[0].read().unwrap().unwrap();
    assert_eq!(rescued.refresh_token().unwrap().expose_secret(), "r1");
    std::fs::remove_dir(&path).unwrap();
    scene.file().write(&pair("a0", "r0", SOON)).unwrap();
    assert_eq!(current(&scene.tokens()).await.unwrap(), "a1");
    assert_eq!((scene.refresh(), scene.vendor.spent()), ("r1".to_owned(), vec!["r0".to_owned()]));
    assert_eq!(scene.names(), ["user.json", "user.json.lock"]);
}

/// Neither the file nor any rescue file can be written: the pair is kept, served, and written once that is possible.
#[tokio::test]
async fn a_pair_that_no_file_takes_is_kept_until_one_does() {
    let scene = Scene::new(Arc::default(), SOON);
    let path = scene.file().path().to_owned();
    let every: Vec<_> = [path.clone()].into_iter().chain(scene.file().rescues().map(|file| file.path)).collect();
    let breaking = Arc::new(Breaking(Arc::clone(&scene.vendor), every.clone()));
    let tokens = FileTokens::new(scene.file(), breaking, Arc::new(Still));
    for _ in 0..3 {
        assert_eq!(current(&tokens).await.unwrap(), "a1");
    }
    // The disk recovers, and holds what it held before.
    every.iter().for_each(|path| std::fs::remove_dir(path).unwrap());
    scene.file().write(&pair("a0", "r0", SOON)).unwrap();
    assert_eq!(current(&tokens).await.unwrap(), "a1");
    assert_eq!((scene.refresh(), scene.vendor.spent()), ("r1".to_owned(), vec!["r0".to_owned()]));
    assert_eq!(scene.names(), ["user.json", "user.json.lock"]);
    assert_eq!(current(&scene.tokens()).await.unwrap(), "a1");
}

#[tokio::test]
async fn a_pair_goes_into_the_folder_for_temporary_files_where_its_own_takes_none() {
    let scene = Scene::new(Arc::default(), SOON);
    let path = scene.file().path().to_owned();
    let [beside, elsewhere] = scene.file().rescues();
    let breaking = Arc::new(Breaking(Arc::clone(&scene.vendor), vec![path.clone(), beside.path().to_owned()]));
    assert_eq!(current(&FileTokens::new(scene.file(), breaking, Arc::new(Still))).await.unwrap(), "a1");
    let mode = std::fs::metadata(elsewhere.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
    for folder in [path.as_path(), beside.path()] {
        std::fs::remove_dir(folder).unwrap();
    }
    scene.file().write(&pair("a0", "r0", SOON)).unwrap();
    // Another process.
    assert_eq!(current(&scene.tokens()).await.unwrap(), "a1");
    assert_eq!((scene.refresh(), scene.vendor.spent()), ("r1".to_owned(), vec!["r0".to_owned()]));
    assert!(!elsewhere.path().exists());
    assert!(!scene.file().text().unwrap().unwrap().expose_secret().contains("rescueOf"));
}

/// Somebody signs in, and is killed before the rescue file of an older pair is gone.
#[tokio::test]
async fn a_new_sign_in_is_not_undone_by_a_rescue_file() {
    let scene = Scene::new(Arc::default(), SOON);
    let path = scene.file().path().to_owned();
    let breaking = Arc::new(Breaking(Arc::clone(&scene.vendor), vec![path.clone()]));
    assert_eq!(current(&FileTokens::new(scene.file(), breaking, Arc::new(Still))).await.unwrap(), "a1");
    std::fs::remove_dir(&path).unwrap();
    scene.file().write(&pair("b0", "q0", SOON)).unwrap();
    assert_eq!(current(&scene.tokens()).await.unwrap(), "a2");
    assert_eq!(scene.vendor.spent(), ["r0", "q0"]);
    assert_eq!(scene.names(), ["user.json", "user.json.lock"]);
}

/// Somebody signs in while a renewal is under way that takes longer than anybody waits for its lock.
#[tokio::test]
async fn a_new_sign_in_is_not_undone_by_a_slow_renewal() {
    struct Slow(Arc<Vendor>, SecretFile);
    #[async_trait]
    impl RefreshTokens for Slow {
        async fn exchange(
            &self,
            id: &str,
            s: &SecretString,
            refresh: &SecretString,
        ) -> Result<TokenPair, ExchangeError> {
            let answer = self.0.exchange(id, s, refresh).await;
            self.1.write(&pair("b0", "q0", LATER)).unwrap();
            answer
        }
    }
    let scene = Scene::new(Arc::default(), SOON);
    let slow = Arc::new(Slow(Arc::clone(&scene.vendor), scene.file()));
    let tokens = FileTokens::new(scene.file(), slow, Arc::new(Still));
    assert_eq!(current(&tokens).await.unwrap(), "a1");
    assert_eq!(scene.refresh(), "q0");
    assert_eq!(current(&tokens).await.unwrap(), "b0");
    assert_eq!(scene.names(), ["user.json", "user.json.lock"]);
}

#[tokio::test]
async fn whoever_stops_waiting_loses_no_pair() {
    let scene = Scene::new(Arc::default(), SOON);
    let tokens = scene.tokens();
    // Asks, and is gone at the first moment it would have to wait.
    assert!(tokens.current().now_or_never().is_none());
    assert_eq!(current(&tokens).await.unwrap(), "a1");
    assert_eq!((scene.refresh(), scene.vendor.spent()), ("r1".to_owned(), vec!["r0".to_owned()]));
}

#[test]
fn a_link_is_written_through_and_debug_shows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
    SecretFile::new(&real).write(&pair("planted", "planted", LATER)).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let file = SecretFile::new(&link);
    file.write(&pair("planted-a", "planted-r", LATER)).unwrap();
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&real).unwrap().contains("planted-a"));
    let locked = file.try_lock().unwrap();
    assert!(locked.is_some() && SecretFile::new(&real).try_lock().unwrap().is_none());
    assert!(!format!("{file:?} {:?} {locked:?}", file.read()).contains("planted"));
}
