//! Calls by the signature that a module declares.

use harness_protocol::Argument;

use super::{CallError, CallOutcome, invoke_as};
use crate::error::Error;
use crate::module::Module;
use crate::registry::Function;

impl Module {
    /// Calls the function `name`, after [`check`](Module::check)ing the types of `args` (in every build).
    ///
    /// # Errors
    /// [`Error::NoFunction`], [`Error::Arguments`], [`Error::Call`]; nothing of the callee ran then.
    ///
    /// # Safety
    /// The code of this module
    /// - follows the convention, the signatures and the flags that its file declares,
    /// - given these arguments accesses no memory that it may not access: of a buffer no more than the
    ///   bytes that were passed,
    /// - returns: it does not unwind, nor end the thread, nor unmap this module.
    pub unsafe fn call(&self, name: &str, args: &[Argument]) -> Result<CallOutcome, Error> {
        let returns = self.check(name, args)?.returns;
        let failed = |source| Error::Call { function: name.into(), source };
        let entry = self.entry_offset(name).and_then(|offset| self.image().entry(offset));
        let entry = entry.ok_or_else(|| failed(CallError::NullEntry))?;
        // SAFETY: `entry` lies in the image of `self`, which stays mapped and executable as long as `self`
        // is borrowed. `check` compared `args` with the declared signature; that the code follows its
        // declarations, stays within its memory and returns is this function's own contract.
        unsafe { invoke_as(self.convention(), entry, self.image().addresses(), args, returns) }
            .map_err(failed)
    }
}

impl Function {
    /// Calls the function; the module's code stays mapped until it has returned, whatever the registry
    /// does meanwhile.
    ///
    /// # Errors
    /// As [`Module::call`].
    ///
    /// # Safety
    /// As [`Module::call`]; if several threads call at once, the code is fit for that.
    pub unsafe fn call(&self, args: &[Argument]) -> Result<CallOutcome, Error> {
        // SAFETY: this function's own contract. `self` owns a share of the module.
        unsafe { self.module().call(self.name(), args) }
    }
}
