//! Asked before every mapping, every change of protection and every reservation of memory whose size a file
//! decides: what is refused here fails as if the system had refused it.

use super::error::Error;

/// Something that a load is about to ask of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Demand {
    /// Address space for a module.
    Reserve {
        /// How much.
        bytes: usize,
    },
    /// Other permissions for pages of a module.
    Protect {
        /// How much of it.
        bytes: usize,
    },
    /// A table of a size that the file decides.
    Allocate {
        /// How large.
        bytes: usize,
    },
}

/// What modules may use. A host that loads files of strangers can hold them to a budget; tests refuse the
/// n-th demand.
pub trait Quota: Send + Sync {
    /// Whether `demand` is granted.
    fn grant(&self, demand: Demand) -> bool;
}

/// Grants whatever the system gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unlimited;

impl Quota for Unlimited {
    fn grant(&self, _: Demand) -> bool {
        true
    }
}

/// An empty vector with room for `count` elements.
pub(crate) fn reserve<T>(quota: &dyn Quota, count: usize) -> Result<Vec<T>, Error> {
    let bytes = count.saturating_mul(size_of::<T>());
    let mut elements = Vec::new();
    let granted = bytes == 0 || quota.grant(Demand::Allocate { bytes });
    if granted && elements.try_reserve_exact(count).is_ok() {
        Ok(elements)
    } else {
        Err(Error::OutOfMemory { bytes })
    }
}

/// A vector of `count` copies of `value`.
pub(crate) fn filled<T: Clone>(quota: &dyn Quota, count: usize, value: T) -> Result<Vec<T>, Error> {
    let mut elements = reserve(quota, count)?;
    elements.resize(count, value);
    Ok(elements)
}
