//! How much of all uploads of an archive together is in memory.
//!
//! Whoever holds a buffer can send it without waiting for another, so of many uploads none waits for ever.

use std::sync::Arc;

use bytes::Bytes;
use callvault_pipeline::archive::cutter::{Checksum, Cutter};
use callvault_pipeline::archive::{ArchiveError, PutError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is counted: small objects take little of the whole.
const UNIT: usize = 64 * 1024;

/// Sizes, in bytes, of what is sent at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Objects up to this are one request; longer ones come in parts of this length.
    pub part: usize,
    /// Buffers of all uploads together.
    pub buffered: usize,
}

impl Default for Sizes {
    /// Six parts of 4 MiB: with what the connections hold, well below 64 MiB.
    fn default() -> Self {
        Self { part: 4 * 1024 * 1024, buffered: 24 * 1024 * 1024 }
    }
}

/// The right to hold buffers.
#[derive(Debug, Clone)]
pub(crate) struct Buffers {
    units: Arc<Semaphore>,
    most: usize,
}

/// A buffer, and the right to have it.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

impl Buffers {
    pub(crate) fn new(sizes: Sizes) -> Self {
        let most = (sizes.buffered / UNIT).max(1);
        Self { units: Arc::new(Semaphore::new(most)), most }
    }

    /// Cuts the next `size` bytes of a body, once there is room for them. What is larger than all there is takes all.
    ///
    /// # Errors
    /// [`PutError::Body`].
    pub(crate) async fn cut<C: Checksum>(&self, cutter: &mut Cutter<C>, size: usize) -> Result<Buffer, PutError> {
        let units = size.div_ceil(UNIT).clamp(1, self.most);
        let permit = self.units.clone().acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX)).await;
        let permit = permit.map_err(|error| ArchiveError::Failed { detail: error.to_string() })?;
        Ok(Buffer { bytes: cutter.next(size).await?, _permit: permit })
    }
}

/// Parts are as large as settings say, or as they must be for a declared length to fit into `most` of them; always a
/// multiple of `step` then.
pub(crate) fn part_size(least: usize, declared: Option<u64>, most: u64, step: usize) -> usize {
    let needed = declared.map_or(0, |bytes| bytes.div_ceil(most));
    let needed = usize::try_from(needed).unwrap_or(usize::MAX / 2).next_multiple_of(step.max(1));
    // What no store takes is refused when the first part is full, which need not be a large one.
    if needed > 1024 * 1024 * 1024 { least.max(1) } else { needed.max(least).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_fits_its_parts() {
        for declared in [1_u64, 200 << 30, (200 << 30) + 1, 5 << 40] {
            let size = part_size(4 << 20, Some(declared), 50_000, 1 << 18) as u64;
            assert!(size >= 4 << 20 && declared.div_ceil(size) <= 50_000, "{declared}: {size}");
            assert_eq!(size % (1 << 18), 0);
        }
        assert_eq!(part_size(8, None, 10, 1), 8);
        assert_eq!(part_size(8, Some(81), 10, 1), 9);
        assert_eq!(part_size(8, Some(u64::MAX), 10, 1), 8);
    }
}
