//! `close-days`: see the library.

use close_days::{FUNCTION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    callvault_bootstrap::lambda::run_telling(&FUNCTION, handle).await
}
