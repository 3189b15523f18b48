//! Where the types of functions come from.

use harness_protocol::TypeName::{
    self, Float32, Float64, Int8, Int16, Int32, Int64, Pointer, StructRef, Void,
};

use super::{ARM64, X86_32, X86_64, compile_real, function, pack, pack_with};
use crate::pack::{PackError, Packed, PackedType};

fn signature(packed: &Packed, name: &str) -> (Vec<TypeName>, TypeName) {
    let function = function(packed, name);
    (function.params.clone(), function.returns)
}

#[test]
fn c_types_have_the_same_counterparts_everywhere() {
    for toolchain in [X86_64, ARM64, X86_32] {
        for level in ["-O0", "-O2"] {
            let packed = pack(&compile_real(toolchain, "functions.c", &[level])).unwrap();
            assert_eq!(signature(&packed, "add8"), (vec![Int8, Int8], Int8));
            assert_eq!(signature(&packed, "rotate"), (vec![Int32, Int8], Int32));
            assert_eq!(signature(&packed, "widen"), (vec![Int8, Int16, Int32, Int64], Int64));
            assert_eq!(
                signature(&packed, "mixed"),
                (
                    vec![
                        Int32, Float64, Int8, Float32, Int64, Float64, Int16, Float32, Int32,
                        Float64, Int64
                    ],
                    Float64
                )
            );
            assert_eq!(signature(&packed, "find"), (vec![Pointer, Int8], Pointer));
            assert_eq!(signature(&packed, "move_by"), (vec![StructRef, Int32, Int32], Void));
            assert_eq!(signature(&packed, "upper_corner"), (vec![StructRef], StructRef));
            assert_eq!(signature(&packed, "nothing"), (vec![], Void));
        }
    }
}

#[test]
fn structures_are_spread_out() {
    let packed = pack(&compile_real(X86_64, "functions.c", &["-O2"])).unwrap();
    let point = PackedType { name: "Point".into(), size: 8, fields: vec![(0, Int32), (4, Int32)] };
    let rectangle = PackedType {
        name: "Rectangle".into(),
        size: 24,
        fields: vec![(0, Int32), (4, Int32), (8, Int32), (12, Int32), (16, Float64)],
    };
    assert_eq!(packed.types, [point, rectangle]);
}

#[test]
fn unusual_but_sayable_types() {
    let source = "
        #include <stdbool.h>
        enum small { A, B };
        typedef unsigned char byte;
        typedef const volatile byte odd;
        struct opaque;
        union either { int number; float fraction; char text[3]; };
        struct node { struct node *next; union either value; short grid[2][3]; void (*visit)(void); };
        typedef struct { int x; } Named;
        bool flag(enum small e, odd o, unsigned long long u, wchar_t w) { return e + o + u + w; }
        void *raw(void *a, const char **b, struct opaque *c, int (*d)(int), int e[4]) {
            return a ? a : (void *)b ? (void *)c : (void *)d + e[0];
        }
        struct node *next(struct node *n) { return n->next; }
        int named(const Named *n) { return n->x; }
        int anonymous(struct { int x; } *n) { return n->x; }
    ";
    let source = source.replace("wchar_t", "__WCHAR_TYPE__");
    let packed = pack(&X86_64.compile(&source, &["-O1", "-w"])).unwrap();
    assert_eq!(signature(&packed, "flag"), (vec![Int32, Int8, Int64, Int32], Int8));
    assert_eq!(signature(&packed, "raw"), (vec![Pointer; 5], Pointer));
    assert_eq!(signature(&packed, "next"), (vec![StructRef], StructRef));
    assert_eq!(signature(&packed, "named"), (vec![StructRef], Int32));
    assert_eq!(signature(&packed, "anonymous"), (vec![Pointer], Int32));
    let names: Vec<&str> = packed.types.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["Named", "node"]);
    let node = &packed.types[1];
    assert_eq!(node.size, 32);
    let fields = [
        vec![(0, StructRef), (8, Int32), (8, Float32), (8, Int8), (9, Int8), (10, Int8)],
        (0..6).map(|index| (12 + 2 * index, Int16)).collect(),
        vec![(24, Pointer)],
    ];
    // The union ends at 12, the grid at 24, the pointer to a function follows.
    assert_eq!(node.fields, fields.concat());
}

/// A function that is inlined elsewhere has its types in another entry; one with a cold part has ranges.
#[test]
fn inlined_and_split_functions_keep_their_types() {
    let source = "
        void give_up(const char *why, int code) __attribute__((noreturn, cold, noinline, visibility(\"hidden\")));
        void give_up(const char *why, int code) { for (;;) __asm__ volatile (\"\" :: \"r\"(why), \"r\"(code)); }
        inline __attribute__((always_inline)) long scaled(int n, short by);
        extern inline long scaled(int n, short by) { return (long)n * by; }
        long scaled(int n, short by);
        long twice(int n) { return scaled(n, 2) + scaled(n, 3); }
        int checked(int n, signed char by) {
            if (by == 0) { give_up(\"zero\", n * 3); }
            return n / by;
        }
    ";
    for level in ["-O1", "-O2", "-O3"] {
        let packed =
            pack(&X86_64.compile(source, &[level, "-freorder-blocks-and-partition"])).unwrap();
        assert_eq!(signature(&packed, "scaled"), (vec![Int32, Int16], Int64));
        assert_eq!(signature(&packed, "checked"), (vec![Int32, Int8], Int32));
    }
}

#[test]
fn older_and_newer_debug_information_says_the_same() {
    let expected = pack(&compile_real(X86_64, "functions.c", &["-O2"])).unwrap();
    for version in ["-gdwarf-3", "-gdwarf-4", "-gdwarf-5"] {
        let packed = pack(&compile_real(X86_64, "functions.c", &["-O2", version])).unwrap();
        assert_eq!(packed, expected, "{version}");
    }
}

const ADD: &str = "int add(int a, int b) { return a + b; }\n";

#[test]
fn the_types_file_is_enough() {
    let object = X86_64.compile(ADD, &["-g0"]);
    let packed = pack_with(&object, "functions: {add: {params: [int32, int32], returns: int32}}");
    assert_eq!(signature(&packed.unwrap(), "add"), (vec![Int32, Int32], Int32));
}

#[test]
fn the_types_file_wins() {
    let types = "
        functions:
          add: {params: [int64, struct_ref], returns: void}
        types:
          Pair: {size: 12, fields: [{offset: 0, type: int64}, {offset: 8, type: int32}]}
    ";
    let packed = pack_with(&X86_64.compile(ADD, &[]), types).unwrap();
    assert_eq!(signature(&packed, "add"), (vec![Int64, StructRef], Void));
    let pair = PackedType { name: "Pair".into(), size: 12, fields: vec![(0, Int64), (8, Int32)] };
    assert_eq!(packed.types, [pair]);
}

#[test]
fn the_types_file_speaks_for_what_dwarf_cannot_say() {
    let source = "long double widen(long double x) { return x; }\nint one(void) { return 1; }\n";
    let object = X86_64.compile(source, &[]);
    assert!(matches!(pack(&object), Err(PackError::Type { .. })));
    let packed = pack_with(&object, "functions: {widen: {params: [pointer], returns: void}}");
    assert_eq!(signature(&packed.unwrap(), "one"), (vec![], Int32));
}

/// What is wrong with the types of `source`.
fn fault(source: &str) -> String {
    pack(&X86_64.compile(source, &["-w"])).unwrap_err().to_string()
}

#[test]
fn types_that_scp_does_not_have() {
    for (source, expected) in [
        ("long double f(int a) { return a; }", "function `f`: the result is of type `long double`"),
        (
            "int f(int a, __int128 b) { return b; }",
            "function `f`: parameter 2 is of type `__int128`",
        ),
        ("float f(_Complex float a) { return a; }", "parameter 1 is of type `complex float`"),
        (
            "struct P { int x, y; }; int f(struct P p) { return p.x; }",
            "function `f`: parameter 1 is a structure (`P`) passed by value: pass its address",
        ),
        (
            "typedef union { int x; } U; U f(int x) { U u = {x}; return u; }",
            "function `f`: the result is a union (`U`) passed by value",
        ),
        (
            "int f(int a, ...) { return a; }",
            "function `f`: it takes a variable number of arguments",
        ),
        (
            "struct B { int a : 3; }; int f(struct B *b) { return b->a; }",
            "points to a structure (`B`), whose field `a` is a bit field",
        ),
        (
            "struct L { long double a; }; int f(struct L *b) { return b->a; }",
            "whose field `a` is of type `long double`",
        ),
        (
            "struct M { char a[256]; }; int f(struct M *b) { return b->a[0]; }",
            "points to a structure (`M`), which has more than 255 fields",
        ),
        (
            "struct E {}; struct M { struct E a[1000000000]; }; int f(struct M *b) { return 0; }",
            "more than 255 fields",
        ),
        (
            "typedef float v4 __attribute__((vector_size(16))); v4 f(v4 a) { return a; }",
            "is of type an array",
        ),
    ] {
        let message = fault(source);
        assert!(message.contains(expected), "{message:?} does not say {expected:?}");
    }
}

#[test]
fn a_function_without_types_is_told_both_ways() {
    let message = pack(&X86_64.compile(ADD, &["-g0"])).unwrap_err().to_string();
    assert!(message.contains("function `add`"), "{message}");
    assert!(message.contains("-g"), "{message}");
    assert!(message.contains("add: {params:"), "{message}");
}

#[test]
fn compressed_debug_information_is_told() {
    let error = pack(&X86_64.compile(ADD, &["-gz=zlib"]));
    // Small sections are left uncompressed by some assemblers.
    if let Err(error) = error {
        assert!(matches!(error, PackError::DebugSection { .. }), "{error}");
    }
}

#[test]
fn the_types_file_is_checked() {
    let object = X86_64.compile(ADD, &["-g0"]);
    let good = "functions: {add: {params: [int32, int32], returns: int32}}";
    for (types, expected) in [
        ("functions: [", "types file cannot be read"),
        ("functions: {add: {params: [int32]}}", "missing field `returns`"),
        ("functions: {add: {params: [int33], returns: void}}", "int33"),
        ("functions: {add: {returns: void, flags: 1}}", "unknown field `flags`"),
        ("functions: {sub: {returns: void}}", "names function `sub`"),
        ("functions: {add: {params: [int32, void], returns: void}}", "function `add`, parameter 2"),
        ("functions: {add: {params: [struct_ref], returns: void}}", "no structure is known"),
        ("functions: {add: {returns: struct_ref}}", "no structure is known"),
        (
            &format!("{good}\ntypes: {{P: {{size: 4, fields: [{{offset: 1, type: int32}}]}}}}"),
            "`P`",
        ),
        (&format!("{good}\ntypes: {{P: {{size: 4, fields: [{{offset: 0, type: void}}]}}}}"), "`P`"),
        (
            &format!(
                "{good}\ntypes: {{P: {{size: 4, fields: [{}]}}}}",
                "{offset: 0, type: int8},".repeat(256)
            ),
            "256 entries",
        ),
        (
            &format!("functions: {{add: {{params: [{}], returns: void}}}}", "int8,".repeat(256)),
            "256",
        ),
    ] {
        let message = pack_with(&object, types).unwrap_err().to_string();
        assert!(message.contains(expected), "{message:?} does not say {expected:?}");
    }
}

#[test]
fn pointers_in_the_types_file_have_the_size_of_the_machine() {
    let types = |size| {
        format!(
            "functions: {{add: {{params: [int32, int32], returns: int32}}}}\n\
             types: {{P: {{size: {size}, fields: [{{offset: 0, type: pointer}}]}}}}"
        )
    };
    assert!(pack_with(&X86_32.compile(ADD, &["-g0"]), &types(4)).is_ok());
    assert!(pack_with(&X86_64.compile(ADD, &["-g0"]), &types(7)).is_err());
    assert!(pack_with(&ARM64.compile(ADD, &["-g0"]), &types(8)).is_ok());
}
