//! The time on the processor.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Longer than anything runs.
pub(crate) const FOREVER: Duration = Duration::from_secs(1 << 32);

/// The time that this thread has had a processor.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // The clock starts at zero, so neither part is negative.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
