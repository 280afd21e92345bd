//! `push-calls`: see the library.

use callvault_bootstrap::lambda;
use push_calls::{FUNCTION, Parts, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let connect = async || Parts::connect(|name| FUNCTION.lookup(name));
    lambda::serve(&FUNCTION, connect, async |parts: &Parts, event, _: &lambda_runtime::Context| {
        handle(event, parts).await
    })
    .await
}
