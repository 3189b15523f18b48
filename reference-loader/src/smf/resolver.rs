//! Where the addresses of imports come from.

/// Knows addresses by name. Every `Fn(&str) -> Option<u64>` is one.
pub trait ImportResolver {
    /// The address of the symbol `name`, if there is one.
    fn resolve(&self, name: &str) -> Option<u64>;
}

impl<F: Fn(&str) -> Option<u64>> ImportResolver for F {
    fn resolve(&self, name: &str) -> Option<u64> {
        self(name)
    }
}

/// The resolver of a host that offers nothing.
#[must_use]
pub fn no_imports(_name: &str) -> Option<u64> {
    None
}
