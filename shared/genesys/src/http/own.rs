//! The one call that proves what a user's token is good for: the user's own voicemail. It needs the scope and nothing
//! else, no permission on a queue, and costs one request.

use super::GenesysClient;
use super::operations::question;
use super::send::Operation;
use crate::api::ApiError;

static OWN: Operation = question("read one's own voicemail", "of the scope voicemail");

impl GenesysClient {
    /// Asks for one message of the signed-in user's own mailbox (openapi.json, `GET /api/v2/voicemail/me/messages`) and
    /// looks only at whether that is allowed.
    ///
    /// # Errors
    /// [`ApiError::Forbidden`] without the scope `voicemail`, and what every call may answer.
    pub async fn own_voicemail(&self) -> Result<(), ApiError> {
        self.get(&OWN, &["api", "v2", "voicemail", "me", "messages"], &[("pageSize", "1")]).await.map(drop)
    }
}
