//! Typed calls to machine code through libffi: the only place of the crate that runs foreign code.
//!
//! Arguments and results are the wire types of `harness_protocol`, exact for every bit pattern: integers
//! are sign-extended by their declared width, floats travel as their bits. What a pointer argument points
//! to is the business of `buffer`; whether a call is *allowed* (declared types, existing function) is
//! decided by [`Module::call`](crate::Module::call) in `declared`.
#![expect(unsafe_code, reason = "runs machine code that no compiler has seen")]

mod buffer;
mod declared;
mod smf;

use std::ffi::c_void;
use std::ops::Range;

use harness_protocol::value::Address;
use harness_protocol::{Argument, Call, HexBytes, Returned, TypeName};
use libffi::middle::{Arg, Cif, CodePtr, FfiAbi, Ret, Type, ffi_abi_FFI_DEFAULT_ABI};

use buffer::Buffers;

#[cfg(target_endian = "big")]
compile_error!("results are read as little-endian registers, as on every architecture of SCP");

/// What a call left behind.
#[derive(Clone, Debug, PartialEq)]
pub struct CallOutcome {
    /// The result, of the type that the call declared.
    pub returned: Returned,
    /// The buffers of the non-null pointer arguments after the call, in argument order.
    pub buffers: Vec<HexBytes>,
}

/// Why a call was not made. Nothing of the callee ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The entry address is null.
    #[error("the entry address is null")]
    NullEntry,
    /// libffi cannot build this signature for this platform.
    #[error("libffi refuses the signature: {0:?}")]
    Signature(libffi::low::Error),
}

/// How arguments are passed, where the platform knows more than one way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Convention {
    /// The platform's C convention.
    #[default]
    C,
    /// The callee removes its arguments from the stack. Differs from C on 32-bit x86 only.
    Stdcall,
}

/// Calls `entry` by the platform's C convention.
///
/// Pointer arguments receive the address of a writable, 16-byte aligned copy of their bytes. A returned
/// address is said relative to the first buffer that holds it (one past the end counts), else to `image`
/// (a range of addresses), else as it is.
///
/// # Errors
/// When `entry` is null or libffi cannot express the signature.
///
/// # Safety
/// - `entry` is null or the first instruction of a function of this processor that stays mapped and
///   executable until it returns.
/// - That function follows the platform's C convention and takes and returns what `call` says.
/// - Given these arguments it accesses no memory that it may not access, and it returns (it does not
///   unwind, nor end the thread).
pub unsafe fn invoke(
    entry: *const c_void,
    image: Range<usize>,
    call: &Call,
) -> Result<CallOutcome, CallError> {
    // SAFETY: the caller's three promises are this function's own; `C` is the convention they name.
    unsafe { invoke_as(Convention::C, entry, image, &call.args, call.returns) }
}

/// Calls `entry` with `args` by `convention`, for a result of type `returns`; otherwise as [`invoke`].
///
/// # Errors
/// As [`invoke`].
///
/// # Safety
/// As [`invoke`], with `convention` in place of the platform's C convention.
pub unsafe fn invoke_as(
    convention: Convention,
    entry: *const c_void,
    image: Range<usize>,
    args: &[Argument],
    returns: TypeName,
) -> Result<CallOutcome, CallError> {
    if entry.is_null() {
        return Err(CallError::NullEntry);
    }
    let cif = interface(convention, args, returns)?;
    let mut buffers = Buffers::of(args);
    let addresses = buffers.addresses();
    let slots: Vec<Arg<'_>> =
        args.iter().zip(&addresses).map(|(argument, address)| slot(argument, address)).collect();
    let mut register = 0_u64;
    let result = if returns == TypeName::Void { Ret::void() } else { Ret::new(&mut register) };
    // SAFETY: `entry` is a function of this signature and may run with these arguments: the caller's
    // promise. `cif` was prepared above from that same signature, and `slots` holds one slot of the matching
    // width per parameter, borrowed from `args` and `addresses`, which live to the end of this function. No
    // declared result is wider than `register`, which libffi fills up to a whole register. The memory behind
    // `addresses` is owned by `buffers`, which nobody touches until the callee is done.
    unsafe { cif.call_return_into(CodePtr::from_ptr(entry), &slots, result) };
    let returned = decode(returns, register, |address| classify(address, &buffers, &image));
    Ok(CallOutcome { returned, buffers: buffers.into_bytes() })
}

fn interface(
    convention: Convention,
    args: &[Argument],
    returns: TypeName,
) -> Result<Cif, CallError> {
    let params = args.iter().map(|argument| ffi_type(argument.type_name()));
    Cif::try_new_with_abi(params, ffi_type(returns), abi(convention)).map_err(CallError::Signature)
}

#[cfg(target_arch = "x86")]
fn abi(convention: Convention) -> FfiAbi {
    match convention {
        Convention::C => ffi_abi_FFI_DEFAULT_ABI,
        Convention::Stdcall => libffi::raw::ffi_abi_FFI_STDCALL,
    }
}

// The 64-bit architectures have one C convention per platform and no stdcall (scp.stdcall-64).
#[cfg(not(target_arch = "x86"))]
fn abi(_: Convention) -> FfiAbi {
    ffi_abi_FFI_DEFAULT_ABI
}

fn ffi_type(name: TypeName) -> Type {
    match name {
        TypeName::Void => Type::void(),
        TypeName::Int8 => Type::i8(),
        TypeName::Int16 => Type::i16(),
        TypeName::Int32 => Type::i32(),
        TypeName::Int64 => Type::i64(),
        TypeName::Float32 => Type::f32(),
        TypeName::Float64 => Type::f64(),
        TypeName::Pointer | TypeName::StructRef => Type::pointer(),
    }
}

/// Where libffi finds the argument. Floats are handed over as their bits: no register of the host ever
/// holds them as a float, so a signalling NaN arrives as it was sent.
fn slot<'a>(argument: &'a Argument, address: &'a *mut c_void) -> Arg<'a> {
    match argument {
        Argument::Int8 { value } => Arg::new(value),
        Argument::Int16 { value } => Arg::new(value),
        Argument::Int32 { value } => Arg::new(value),
        Argument::Int64 { value } => Arg::new(value),
        Argument::Float32 { bits } => Arg::new(bits),
        Argument::Float64 { bits } => Arg::new(bits),
        Argument::Pointer { .. } | Argument::StructRef { .. } => Arg::new(address),
    }
}

/// Reads the result from the low bytes of the register; the callee may leave anything above them.
fn decode(returns: TypeName, register: u64, pointer: impl Fn(u64) -> Address) -> Returned {
    let [a, b, c, d, ..] = register.to_le_bytes();
    match returns {
        TypeName::Void => Returned::Void,
        TypeName::Int8 => Returned::Int8 { value: i8::from_le_bytes([a]) },
        TypeName::Int16 => Returned::Int16 { value: i16::from_le_bytes([a, b]) },
        TypeName::Int32 => Returned::Int32 { value: i32::from_le_bytes([a, b, c, d]) },
        TypeName::Int64 => Returned::Int64 { value: register.cast_signed() },
        TypeName::Float32 => Returned::Float32 { bits: u32::from_le_bytes([a, b, c, d]) },
        TypeName::Float64 => Returned::Float64 { bits: register },
        TypeName::Pointer => Returned::Pointer(pointer(register)),
        TypeName::StructRef => Returned::StructRef(pointer(register)),
    }
}

fn classify(address: u64, buffers: &Buffers, image: &Range<usize>) -> Address {
    if address == 0 {
        return Address::Null;
    }
    buffers.locate(address).or_else(|| inside(address, image)).unwrap_or(Address::Other { address })
}

fn inside(address: u64, image: &Range<usize>) -> Option<Address> {
    let place = usize::try_from(address).ok().filter(|place| image.contains(place))?;
    let offset = u64::try_from(place.checked_sub(image.start)?).ok()?;
    Some(Address::Image { offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(args: Vec<Argument>, returns: TypeName) -> Call {
        Call { function: "f".into(), args, returns }
    }

    fn run(entry: *const c_void, args: Vec<Argument>, returns: TypeName) -> CallOutcome {
        // SAFETY: every test passes a Rust `extern "C"` function together with its own signature, and
        // buffers as large as that function accesses.
        unsafe { invoke(entry, 0x1000..0x2000, &call(args, returns)) }.unwrap()
    }

    extern "C" fn mixed(a: i8, b: f64, c: i16, d: f32, e: i64, f: i32, g: i64, h: i8) -> i64 {
        i64::from(a)
            + b.to_bits().cast_signed()
            + i64::from(c)
            + i64::from(d.to_bits())
            + e
            + i64::from(f)
            + g
            + i64::from(h)
    }

    #[test]
    fn integers_and_floats_share_a_call_of_more_than_six() {
        let outcome = run(
            mixed as *const c_void,
            vec![
                Argument::Int8 { value: -1 },
                Argument::Float64 { bits: 0 },
                Argument::Int16 { value: -2 },
                Argument::Float32 { bits: 0x10 },
                Argument::Int64 { value: 1 << 40 },
                Argument::Int32 { value: -3 },
                Argument::Int64 { value: 5 },
                Argument::Int8 { value: i8::MIN },
            ],
            TypeName::Int64,
        );
        let expected = -1 - 2 + 0x10 + (1 << 40) - 3 + 5 - 128;
        assert_eq!(outcome.returned, Returned::Int64 { value: expected });
    }

    extern "C" fn widen(value: i8) -> i64 {
        value.into()
    }

    #[test]
    fn a_narrow_result_ignores_what_lies_above_it() {
        let args = || vec![Argument::Int8 { value: -128 }];
        let wide = run(widen as *const c_void, args(), TypeName::Int64);
        assert_eq!(wide.returned, Returned::Int64 { value: -128 });
        let narrow = run(widen as *const c_void, args(), TypeName::Int8);
        assert_eq!(narrow.returned, Returned::Int8 { value: -128 });
    }

    extern "C" fn second_f32(_: f32, value: f32) -> f32 {
        value
    }

    extern "C" fn same_f64(value: f64) -> f64 {
        value
    }

    #[cfg(not(target_arch = "x86"))] // the x87 stack quiets a signalling NaN
    #[test]
    fn nan_payloads_survive() {
        let signalling = 0x7fa1_2345;
        let args = vec![Argument::Float32 { bits: 0 }, Argument::Float32 { bits: signalling }];
        let outcome = run(second_f32 as *const c_void, args, TypeName::Float32);
        assert_eq!(outcome.returned, Returned::Float32 { bits: signalling });
        let bits = 0xfff4_0000_0000_0001;
        let outcome =
            run(same_f64 as *const c_void, vec![Argument::Float64 { bits }], TypeName::Float64);
        assert_eq!(outcome.returned, Returned::Float64 { bits });
    }

    extern "C" fn nothing() {}

    #[test]
    fn void_returns_nothing() {
        let outcome = run(nothing as *const c_void, vec![], TypeName::Void);
        assert_eq!(outcome, CallOutcome { returned: Returned::Void, buffers: vec![] });
    }

    extern "C" fn same_address(address: u64) -> u64 {
        address
    }

    #[test]
    fn addresses_are_said_relative_to_the_image() {
        let at = |address: i64| {
            let args = vec![Argument::Int64 { value: address }];
            run(same_address as *const c_void, args, TypeName::Pointer).returned
        };
        assert_eq!(at(0), Returned::Pointer(Address::Null));
        assert_eq!(at(0xfff), Returned::Pointer(Address::Other { address: 0xfff }));
        assert_eq!(at(0x1000), Returned::Pointer(Address::Image { offset: 0 }));
        assert_eq!(at(0x1fff), Returned::Pointer(Address::Image { offset: 0xfff }));
        assert_eq!(at(0x2000), Returned::Pointer(Address::Other { address: 0x2000 }));
    }

    extern "C" fn second(_: *const u8, address: *const u8) -> *const u8 {
        address
    }

    #[test]
    fn buffers_come_back_in_order_without_the_null_ones() {
        let pointer = |bytes: &[u8]| Argument::Pointer { bytes: Some(bytes.into()) };
        let args = vec![Argument::StructRef { bytes: None }, pointer(b"ab")];
        let outcome = run(second as *const c_void, args, TypeName::StructRef);
        assert_eq!(outcome.returned, Returned::StructRef(Address::Buffer { index: 0, offset: 0 }));
        assert_eq!(outcome.buffers, [HexBytes(b"ab".to_vec())]);
        let outcome =
            run(second as *const c_void, vec![pointer(b"x"), pointer(b"")], TypeName::Pointer);
        assert_eq!(outcome.returned, Returned::Pointer(Address::Buffer { index: 1, offset: 0 }));
    }

    #[test]
    fn null_is_no_entry() {
        // SAFETY: a null entry is allowed and calls nothing.
        let error = unsafe { invoke(std::ptr::null(), 0..0, &call(vec![], TypeName::Void)) };
        assert_eq!(error, Err(CallError::NullEntry));
    }
}
