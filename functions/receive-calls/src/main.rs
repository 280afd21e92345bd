//! `receive-calls`: see the library.

use callvault_bootstrap::lambda;
use callvault_bootstrap::lambda::work::shift_of;
use callvault_bootstrap::system;
use callvault_pipeline::clock::Clock as _;
use receive_calls::{FUNCTION, Parts, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let connect = async || Parts::connect(|name| FUNCTION.lookup(name)).await;
    lambda::serve(&FUNCTION, connect, async |parts: &Parts, event, context: &lambda_runtime::Context| {
        let (shift, _) = shift_of(system::SystemClock.now(), context.deadline);
        handle(event, parts, shift).await
    })
    .await
}
