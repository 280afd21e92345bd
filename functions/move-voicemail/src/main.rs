//! `move-voicemail`: see the library.

use move_voicemail::{FUNCTION, handle};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    callvault_bootstrap::lambda::run(&FUNCTION, handle).await
}
