//! Calls of the functions of an SMF module, by the types that the caller says: the file declares none.

use harness_protocol::Call;

use super::{CallOutcome, invoke};
use crate::smf::{Error, Module};

impl Module {
    /// Calls a function by the platform's C convention. Addresses in the code image are said relative to it.
    ///
    /// # Errors
    /// [`Error::NoFunction`], [`Error::Call`]; nothing of the callee ran then.
    ///
    /// # Safety
    /// - The module defines the function as one that takes and returns what `call` says.
    /// - Given these arguments it accesses no memory that it may not access: of a buffer no more than the
    ///   bytes that were passed. Its imports are at addresses that are fit for what it does with them.
    /// - It returns: it does not unwind, nor end the thread, nor unmap this module.
    /// - If several threads call at once, the code is fit for that.
    pub unsafe fn call(&self, call: &Call) -> Result<CallOutcome, Error> {
        let name = &call.function;
        let entry = self.function(name).ok_or_else(|| Error::NoFunction(name.clone()))?;
        // SAFETY: `entry` lies in the code image of `self` (validation bounds every function), which stays
        // mapped and executable as long as `self` is borrowed. The rest is this function's own contract.
        unsafe { invoke(entry, self.code_range(), call) }
            .map_err(|source| Error::Call { function: name.clone(), source })
    }
}
