use std::sync::Mutex;

use async_trait::async_trait;
use callvault_calls::event::NewEvent;
use callvault_calls::memory::MemoryCalls;
use callvault_calls::store::{Appended, CallStore as _};
use tokio::io::DuplexStream;
use tokio::sync::watch;

use super::*;

/// A clock that goes with tokio's, which tests move.
#[derive(Debug)]
struct TestClock(tokio::time::Instant);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.0.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "tokio's clock is the one that tests move")]
    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// A server for one socket, and its client's end, through which `line` bytes may be under way.
struct Scene {
    changes: Changes,
    store: Arc<MemoryCalls>,
    stop: watch::Sender<bool>,
    client: WebSocketStream<DuplexStream>,
    served: tokio::task::JoinHandle<()>,
}

async fn scene(ring: usize, line: usize) -> Scene {
    let changes = Changes(broadcast::channel(ring).0);
    let sockets = Sockets::new(changes.clone(), Arc::new(TestClock(tokio::time::Instant::now())));
    let store = Arc::new(MemoryCalls::new());
    let desk = Desk::new(store.clone(), LOCAL_ANSWER);
    let (ours, theirs) = tokio::io::duplex(line);
    let (stop, stopping) = Stopping::channel();
    let receiver = changes.0.subscribe();
    let served = tokio::spawn(async move { sockets.serve(ours, desk, receiver, stopping).await });
    let client = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    Scene { changes, store, stop, client, served }
}

async fn call(store: &MemoryCalls, second: usize) -> Call {
    let text = format!(r#"{{"type":"call.new","call_id":"1.{second}","timestamp":"2017-01-01T00:00:{second:02}Z"}}"#);
    match store.append(NewEvent::read(text.as_bytes()).unwrap(), Timestamp::UNIX_EPOCH).await.unwrap() {
        Appended::New { call, .. } => call.unwrap(),
        Appended::Duplicate => panic!("{text}"),
    }
}

/// Everything that is heard until the end, and the code it is closed with.
async fn heard(client: &mut WebSocketStream<DuplexStream>) -> (Vec<String>, Option<u16>) {
    let (mut texts, mut code) = (Vec::new(), None);
    // Of the test's time, which passes by itself: a socket that is never closed is seen.
    let next = async |client: &mut WebSocketStream<DuplexStream>| {
        tokio::time::timeout(Duration::from_secs(120), client.next()).await.expect("it was not closed")
    };
    while let Some(Ok(message)) = next(client).await {
        match message {
            Message::Text(text) => texts.push(text.to_string()),
            Message::Close(frame) => code = frame.map(|frame| frame.code.into()),
            _ => {}
        }
    }
    (texts, code)
}

#[tokio::test(start_paused = true)]
async fn changes_are_passed_on_in_order_and_stopping_says_so() {
    let mut scene = scene(64, 1 << 16).await;
    let mut expected = vec![message::welcome()];
    for second in 0..40 {
        let call = call(&scene.store, second).await;
        scene.changes.tell(&call);
        expected.push(message::data_changed(&call));
    }
    let mut got = Vec::new();
    while got.len() < expected.len() {
        got.push(scene.client.next().await.unwrap().unwrap().into_text().unwrap().to_string());
    }
    assert_eq!(got, expected);
    scene.stop.send_replace(true);
    assert_eq!(heard(&mut scene.client).await, (Vec::new(), Some(1001)));
    scene.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_falls_behind_is_closed_and_told_to_come_again() {
    let mut scene = scene(4, 256).await;
    for second in 0..50 {
        scene.changes.tell(&call(&scene.store, second).await);
        tokio::task::yield_now().await;
    }
    let (texts, code) = heard(&mut scene.client).await;
    assert!(texts.len() < 50, "it heard all {} of them", texts.len());
    assert_eq!(code, Some(1013));
    scene.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_that_takes_nothing_is_given_up() {
    let scene = scene(64, 256).await;
    for second in 0..50 {
        scene.changes.tell(&call(&scene.store, second).await);
    }
    let began = tokio::time::Instant::now();
    scene.served.await.unwrap();
    assert!(began.elapsed() <= WRITE_WITHIN + FAREWELL + Duration::from_secs(1));
    drop(scene.client);
}

#[tokio::test(start_paused = true)]
async fn one_that_answers_no_ping_is_given_up_and_one_that_does_stays() {
    let scene = scene(64, 1 << 16).await;
    let mut client = scene.client;
    let answers = Arc::new(Mutex::new(true));
    let answering = Arc::clone(&answers);
    let talks = tokio::spawn(async move {
        // Reading answers pings.
        while *answering.lock().unwrap() && client.next().await.is_some_and(|said| said.is_ok()) {
            let _ = client.flush().await;
        }
        client
    });
    tokio::time::advance(Duration::from_secs(1)).await;
    for _ in 0..600 {
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
    }
    assert!(!scene.served.is_finished(), "it was given up though it answered");
    *answers.lock().unwrap() = false;
    let client = talks.await.unwrap();
    scene.served.await.unwrap();
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_said_closes_with_its_code() {
    let long = "x".repeat(LONGEST_MESSAGE + 1);
    for (said, expected) in [(Message::text(long), 1009), (Message::Frame(not_utf_8()), 1007)] {
        let mut scene = scene(4, 1 << 20).await;
        scene.client.send(said).await.unwrap();
        let (_, code) = heard(&mut scene.client).await;
        assert_eq!(code, Some(expected));
        scene.served.await.unwrap();
    }
}

/// A client masks what it says; one that does not speaks another protocol.
#[tokio::test(start_paused = true)]
async fn what_is_not_the_protocol_closes_with_its_code() {
    let scene = scene(4, 1 << 20).await;
    let mut unmasking = WebSocketStream::from_raw_socket(scene.client.into_inner(), Role::Server, None).await;
    unmasking.send(Message::text("{}")).await.unwrap();
    let mut client = WebSocketStream::from_raw_socket(unmasking.into_inner(), Role::Client, None).await;
    assert_eq!(heard(&mut client).await.1, Some(1002));
    scene.served.await.unwrap();
}

fn not_utf_8() -> tokio_tungstenite::tungstenite::protocol::frame::Frame {
    use tokio_tungstenite::tungstenite::protocol::frame::Frame;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
    Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true)
}

#[tokio::test(start_paused = true)]
async fn commands_are_answered_between_changes() {
    let mut scene = scene(64, 1 << 16).await;
    call(&scene.store, 1).await;
    for (said, expected) in [
        (Message::text(r#"{"event":"ListCalls","data":{}}"#), r#""event":"ListCalls","status":"Ok"}"#),
        (Message::text("{"), r#""event":"InvalidMessage","status":"Failed"}"#),
        (
            Message::binary(br#"{"event":"ListCalls","data":{}}"#.to_vec()),
            r#""event":"InvalidMessage","status":"Failed"}"#,
        ),
    ] {
        scene.client.send(said).await.unwrap();
        let answer = loop {
            let text = scene.client.next().await.unwrap().unwrap().into_text().unwrap();
            if text != message::welcome() {
                break text;
            }
        };
        assert!(answer.ends_with(expected), "{answer}");
    }
    scene.client.close(None).await.unwrap();
    assert_eq!(heard(&mut scene.client).await.1, None);
    scene.served.await.unwrap();
}
