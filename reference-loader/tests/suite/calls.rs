//! Calls of real machine code, by the System V convention of x86_64.

use harness_protocol::value::Address;
use harness_protocol::{Argument, HexBytes, Returned};
use reference_loader::Module;
use reference_loader::call::CallOutcome;
use rstest::rstest;

use crate::files::exporting;

#[expect(unsafe_code, reason = "calls the code of these tests")]
fn call(code: &[u8], params: &[u8], returns: u8, args: &[Argument]) -> CallOutcome {
    let file = exporting(&[("first", &[0xcc], &[], 0), ("f", code, params, returns)]).encode();
    let module = Module::load(&file).unwrap();
    // SAFETY: the codes below are functions of the signatures they are called with; they access no memory
    // but their stack and the buffers, within the bytes passed.
    unsafe { module.call("f", args) }.unwrap()
}

fn int32(value: i32) -> Argument {
    Argument::Int32 { value }
}

#[test]
fn integers_are_added() {
    let lea = [0x8d, 0x04, 0x37, 0xc3]; // lea eax, [rdi+rsi]
    let outcome = call(&lea, &[3, 3], 3, &[int32(-5), int32(3)]);
    assert_eq!(outcome.returned, Returned::Int32 { value: -2 });
}

#[rstest]
#[case(1, Returned::Int8 { value: -128 })]
#[case(2, Returned::Int16 { value: -128 })]
#[case(3, Returned::Int32 { value: 0x1234_ff80 })]
#[case(4, Returned::Int64 { value: 0x1234_ff80 })]
fn results_are_as_wide_as_declared(#[case] returns: u8, #[case] expected: Returned) {
    let code = [0xb8, 0x80, 0xff, 0x34, 0x12, 0xc3]; // mov eax, 0x1234ff80
    assert_eq!(call(&code, &[], returns, &[]).returned, expected);
}

#[rstest]
#[case(1, Argument::Int8 { value: -1 })]
#[case(2, Argument::Int16 { value: -1 })]
#[case(3, Argument::Int32 { value: -1 })]
fn narrow_arguments_are_sign_extended(#[case] code: u8, #[case] argument: Argument) {
    let mov = [0x89, 0xf8, 0xc3]; // mov eax, edi
    assert_eq!(call(&mov, &[code], 3, &[argument]).returned, Returned::Int32 { value: -1 });
}

#[test]
fn the_seventh_integer_is_on_the_stack_whatever_floats_come_between() {
    let code = [0x48, 0x8b, 0x44, 0x24, 0x08, 0xc3]; // mov rax, [rsp+8]
    let mut args: Vec<_> = (0..7).map(|value| Argument::Int64 { value: value * 11 }).collect();
    args.insert(3, Argument::Float64 { bits: 1 });
    args.insert(0, Argument::Float32 { bits: 1 });
    let params = [5, 4, 4, 4, 6, 4, 4, 4, 4];
    assert_eq!(call(&code, &params, 4, &args).returned, Returned::Int64 { value: 66 });
}

#[test]
fn as_many_arguments_as_a_signature_can_have() {
    let code = [0x48, 0x8b, 0x84, 0x24, 0xc8, 0x07, 0, 0, 0xc3]; // mov rax, [rsp+8+8*248]
    let args: Vec<_> = (0..255).map(|value| Argument::Int64 { value }).collect();
    assert_eq!(call(&code, &[4; 255], 4, &args).returned, Returned::Int64 { value: 254 });
}

#[test]
fn floats_are_added() {
    let addsd = [0xf2, 0x0f, 0x58, 0xc1, 0xc3]; // addsd xmm0, xmm1
    let args = [1.5_f64, -0.25].map(|value| Argument::Float64 { bits: value.to_bits() });
    let bits = 1.25_f64.to_bits();
    assert_eq!(call(&addsd, &[6, 6], 6, &args).returned, Returned::Float64 { bits });
}

#[test]
fn a_signalling_nan_passes_through() {
    let movaps = [0x0f, 0x28, 0xc1, 0xc3]; // movaps xmm0, xmm1
    let bits = 0xff80_0001;
    let args = [Argument::Float32 { bits: 0 }, Argument::Float32 { bits }];
    assert_eq!(call(&movaps, &[5, 5], 5, &args).returned, Returned::Float32 { bits });
}

#[test]
fn a_buffer_is_written_and_pointed_into() {
    let code = [0xc6, 0x06, 0x2a, 0x48, 0x8d, 0x46, 0x02, 0xc3]; // mov byte [rsi], 42; lea rax, [rsi+2]
    let buffer = |bytes: &[u8]| Argument::Pointer { bytes: Some(bytes.into()) };
    let outcome = call(&code, &[10, 10], 10, &[buffer(b"xyz"), buffer(b"ab")]);
    assert_eq!(outcome.returned, Returned::Pointer(Address::Buffer { index: 1, offset: 2 }));
    assert_eq!(outcome.buffers, [HexBytes(b"xyz".to_vec()), HexBytes(b"*b".to_vec())]);
}

#[test]
fn an_address_in_the_code_is_said_as_its_offset() {
    let code = [0x48, 0x8d, 0x05, 0, 0, 0, 0, 0xc3]; // lea rax, [rip+0]
    let outcome = call(&code, &[], 10, &[]);
    assert_eq!(outcome.returned, Returned::Pointer(Address::Image { offset: 16 + 7 }));
}

#[test]
fn null_and_void() {
    let xor = [0x31, 0xc0, 0xc3]; // xor eax, eax
    assert_eq!(call(&xor, &[], 10, &[]).returned, Returned::Pointer(Address::Null));
    assert_eq!(call(&xor, &[], 0, &[]).returned, Returned::Void);
}
