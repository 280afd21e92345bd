//! Who is connected, and how something is said to them: ports, and what they are on AWS.

use async_trait::async_trait;
use callvault_aws::calls::{Connection, DynamoCalls};
use callvault_aws::sockets::{Posted, Sockets};
use callvault_calls::store::StoreError;

/// Who is connected.
#[async_trait]
pub trait Audience: Send + Sync {
    /// All of them, as far as anybody knows.
    async fn all(&self) -> Result<Vec<Connection>, StoreError>;

    /// One of them is gone.
    async fn forget(&self, connection: &str) -> Result<(), StoreError>;
}

/// How something is said to them.
#[async_trait]
pub trait Voice: Send + Sync {
    /// Sends a message. Never takes long.
    async fn say(&self, connection: &str, message: &str) -> Posted;

    /// Ends a connection.
    async fn end(&self, connection: &str) -> Posted;
}

#[async_trait]
impl Audience for DynamoCalls {
    async fn all(&self) -> Result<Vec<Connection>, StoreError> {
        self.connections().await
    }

    async fn forget(&self, connection: &str) -> Result<(), StoreError> {
        self.disconnect(connection).await
    }
}

#[async_trait]
impl Voice for Sockets {
    async fn say(&self, connection: &str, message: &str) -> Posted {
        self.post(connection, message).await
    }

    async fn end(&self, connection: &str) -> Posted {
        self.close(connection).await
    }
}
