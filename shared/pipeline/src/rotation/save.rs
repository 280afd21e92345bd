//! Putting a pair away. From when it is received until it is written somewhere it exists in this process only, so nothing
//! stands between, and nothing is given up while there is time.

use std::time::Duration;

use callvault_genesys::user_secret::UserSecret;
use jiff::Timestamp;

use super::fault::RotationFault;
use super::holders::{self, Fingerprint};
use super::ports::Described;
use super::{Order, Rotation};

/// Between two tries: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The longest that one more try may take: it is not begun with less.
const TRY: Duration = Duration::from_secs(5);

impl Rotation {
    /// Puts a new pair into its version. After the first failure it is put into the rescue secret too, and from then on
    /// it is safe; both are tried until the deadline, or until one refuses and the other has it.
    ///
    /// # Errors
    /// [`RotationFault::PairInRescue`], or [`RotationFault::PairNotSaved`] when neither took it.
    pub(super) async fn save(
        &self,
        order: &Order,
        described: &Described,
        document: &UserSecret,
        base: &Fingerprint,
        deadline: Timestamp,
    ) -> Result<(), RotationFault> {
        let (value, marked) = (document.to_json(), holders::marked(document, base));
        let (mut pause, mut rescue) = (PAUSES.0, None);
        loop {
            let Err(cause) = self.secrets.put_pending(&order.secret, &order.version, &value).await else {
                return Ok(());
            };
            if !matches!(rescue, Some(Ok(()))) {
                rescue = Some(self.secrets.rescue(described, &marked).await);
            }
            let rescued = matches!(rescue, Some(Ok(())));
            if (rescued && cause.is_final()) || self.clock.now() + pause + TRY >= deadline {
                return Err(match rescue {
                    Some(Err(rescue)) => {
                        RotationFault::PairNotSaved { cause: Box::new(cause), rescue: Box::new(rescue) }
                    }
                    _ => RotationFault::PairInRescue { cause },
                });
            }
            tracing::warn!(code = cause.code(), rescued, "the new pair is not in the secret yet: {cause}");
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Puts a pair into its version that is in another place already: there it stays if this fails.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn carry_over(
        &self,
        order: &Order,
        document: &UserSecret,
        deadline: Timestamp,
    ) -> Result<(), RotationFault> {
        let (value, mut pause) = (document.to_json(), PAUSES.0);
        loop {
            let Err(fault) = self.secrets.put_pending(&order.secret, &order.version, &value).await else {
                return Ok(());
            };
            if fault.is_final() || self.clock.now() + pause + TRY >= deadline {
                return Err(fault.into());
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}
