//! `jobs-api`: see the library.

use jobs_api::{FUNCTION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    callvault_bootstrap::lambda::run(&FUNCTION, handle).await
}
