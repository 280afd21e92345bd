//! What the functions take: init time, DynamoDB units, memory. AWS is moto; the runtime API is [`runtime`].

mod init;
mod pipeline;
mod runtime;
mod units;
mod upload;

use crate::Outcome;

pub(crate) fn measure() -> Outcome {
    init::measure()?;
    units::measure()?;
    upload::measure()
}
