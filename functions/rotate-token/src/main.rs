//! `rotate-token`: see the library.

use callvault_bootstrap::lambda;
use callvault_bootstrap::lambda::work::shift_of;
use callvault_bootstrap::system;
use rotate_token::{FUNCTION, Invocation, Parts, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let connect = async || Parts::connect(|name| FUNCTION.lookup(name));
    lambda::serve(&FUNCTION, connect, async |parts: &Parts, event, context: &lambda_runtime::Context| {
        let (_, deadline) = shift_of(system::clock().now(), context.deadline);
        let invocation = Invocation { request_id: &context.request_id, deadline };
        let (answer, metrics) = handle(event, parts, &invocation).await;
        lambda::write(&[metrics]);
        answer
    })
    .await
}
