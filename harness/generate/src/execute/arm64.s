// Code that execution vectors call, for ARM64 by the convention of AAPCS64. See `x86_64.s`: snippets of one name do
// the same.

.macro snippet name
    .section .text.\name, "ax", %progbits
    \name:
.endm

// Offset of `label` plus `more`, kept as the absolute symbol `name.what`.
.macro mark name, what, label, more=0
    .set \name\().\what, \label - \name + \more
.endm

// —— what lies beside the tested function ——

snippet elsewhere
    .rept 4
    brk #0
    .endr

// —— arguments and results, one at a time ——

snippet same_int8
    sxtb w0, w0
    ret

snippet same_int16
    sxth w0, w0
    ret

snippet same_int32
    mov w0, w0
    ret

snippet same_int64
    ret

snippet same_float
    ret

snippet nothing
    ret

// Results with garbage above them: the bits that do not belong to a result are not the caller's.

.macro garbage
    movz x8, #0x5a5a
    movk x8, #0x5a5a, lsl #16
    movk x8, #0x5a5a, lsl #32
    movk x8, #0x5a5a, lsl #48
.endm

snippet dirty_int8
    garbage
    bfi x8, x0, #0, #8
    mov x0, x8
    ret

snippet dirty_int16
    garbage
    bfi x8, x0, #0, #16
    mov x0, x8
    ret

snippet dirty_int32
    garbage
    bfi x8, x0, #0, #32
    mov x0, x8
    ret

snippet dirty_float32
    garbage
    fmov w0, s0
    bfi x8, x0, #0, #32
    fmov d0, x8
    ret

snippet widen_int8
    sxtb x0, w0
    ret

snippet widen_int16
    sxth x0, w0
    ret

snippet widen_int32
    sxtw x0, w0
    ret

// —— many arguments ——

// acc = acc * 31 + value: every position and every bit counts. The sum is in x16.
.macro start
    mov x16, #0
    mov x17, #31
.endm

.macro fold value
    madd x16, x16, x17, \value
.endm

.macro fold_float register
    fmov x9, \register
    fold x9
.endm

.macro fold_stack offset
    ldr x9, [sp, #\offset]
    fold x9
.endm

.macro finish
    mov x0, x16
    ret
.endm

snippet ten_int64
    start
    fold x0
    fold x1
    fold x2
    fold x3
    fold x4
    fold x5
    fold x6
    fold x7
    fold_stack 0
    fold_stack 8
    finish

// int8, int16, int32, int64, int8, int16, int32, int64, int8, int16
snippet ten_narrow
    start
    sxtb x0, w0
    fold x0
    sxth x1, w1
    fold x1
    sxtw x2, w2
    fold x2
    fold x3
    sxtb x4, w4
    fold x4
    sxth x5, w5
    fold x5
    sxtw x6, w6
    fold x6
    fold x7
    ldrsb x9, [sp]
    fold x9
    ldrsh x9, [sp, #8]
    fold x9
    finish

snippet ten_float64
    start
    fold_float d0
    fold_float d1
    fold_float d2
    fold_float d3
    fold_float d4
    fold_float d5
    fold_float d6
    fold_float d7
    fold_stack 0
    fold_stack 8
    finish

// float32 on the stack, the ninth and tenth: a slot of eight bytes each.
snippet tenth_float32
    ldr s0, [sp, #8]
    ret

// int64 and float64 in turns, ten of each: eight of each in registers.
snippet both_overflow
    start
    fold x0
    fold_float d0
    fold x1
    fold_float d1
    fold x2
    fold_float d2
    fold x3
    fold_float d3
    fold x4
    fold_float d4
    fold x5
    fold_float d5
    fold x6
    fold_float d6
    fold x7
    fold_float d7
    fold_stack 0
    fold_stack 8
    fold_stack 16
    fold_stack 24
    finish

// int8, float64, int16, float32, int64, pointer, int32, float32, int64, int8
snippet mixed
    start
    sxtb x0, w0
    fold x0
    fold_float d0
    sxth x1, w1
    fold x1
    fmov w9, s1
    fold x9
    fold x2
    ldr x9, [x3]
    fold x9
    sxtw x4, w4
    fold x4
    fmov w9, s2
    fold x9
    fold x5
    sxtb x6, w6
    fold x6
    finish

// int32, float32, int64, float64: their sum as float64.
snippet mixed_to_float64
    fcvt d0, s0
    fadd d0, d0, d1
    scvtf d1, w0
    fadd d0, d0, d1
    scvtf d1, x1
    fadd d0, d0, d1
    ret

// What the stack lacks to be aligned to 16 bytes where the convention says.
snippet stack_alignment
    mov x0, sp
    and w0, w0, #15
    ret

// —— memory of the caller ——

// pointer, int64: the sum of so many bytes.
snippet sum_bytes
    mov x9, #0
1:  cbz x1, 2f
    ldrb w10, [x0], #1
    add x9, x9, x10
    sub x1, x1, #1
    b 1b
2:  mov x0, x9
    ret

// pointer, int64: puts so many bytes in reverse order.
snippet reverse_bytes
    add x1, x0, x1
    sub x1, x1, #1
1:  cmp x0, x1
    b.hs 2f
    ldrb w9, [x0]
    ldrb w10, [x1]
    strb w10, [x0], #1
    strb w9, [x1], #-1
    b 1b
2:  ret

// pointer, int64, int8: fills so many bytes, gives the address after the last.
snippet fill
1:  cbz x1, 2f
    strb w2, [x0], #1
    sub x1, x1, #1
    b 1b
2:  ret

// pointer, pointer, int64: copies so many bytes to the first, gives the second.
snippet copy
    mov x9, x1
1:  cbz x2, 2f
    ldrb w10, [x1], #1
    strb w10, [x0], #1
    sub x2, x2, #1
    b 1b
2:  mov x0, x9
    ret

// pointer: whether it is null.
snippet is_null
    cmp x0, #0
    cset w0, eq
    ret

snippet own_address
    adr x0, own_address
    ret

snippet odd_address
    movz w0, #0x5679
    movk w0, #0x1234, lsl #16
    ret

// struct_ref to {int8 at 0, int16 at 2, int32 at 4, int64 at 8, float32 at 16, float64 at 24}

snippet struct_fold
    start
    ldrsb x9, [x0]
    fold x9
    ldrsh x9, [x0, #2]
    fold x9
    ldrsw x9, [x0, #4]
    fold x9
    ldr x9, [x0, #8]
    fold x9
    ldr w9, [x0, #16]
    fold x9
    ldr x9, [x0, #24]
    fold x9
    finish

// Adds one to each integer, swaps the signs of the floats, gives the structure back.
snippet struct_change
    ldrb w9, [x0]
    add w9, w9, #1
    strb w9, [x0]
    ldrh w9, [x0, #2]
    add w9, w9, #1
    strh w9, [x0, #2]
    ldr w9, [x0, #4]
    add w9, w9, #1
    str w9, [x0, #4]
    ldr x9, [x0, #8]
    add x9, x9, #1
    str x9, [x0, #8]
    ldr w9, [x0, #16]
    eor w9, w9, #0x80000000
    str w9, [x0, #16]
    ldr x9, [x0, #24]
    eor x9, x9, #0x8000000000000000
    str x9, [x0, #24]
    ret

snippet struct_float64
    ldr d0, [x0, #24]
    ret

// —— relocations ——

// int32: three times the argument, in the function that the others call.
snippet target
    add w0, w0, w0, lsl #1
    ret

snippet target_other
    neg w0, w0
    ret

snippet through_abs64
    ldr x16, 1f
    br x16
1:  .quad 0
    mark through_abs64, data, 1b
    mark through_abs64, place, 1b

// int32 (which), int32: calls one of two.
snippet through_table
    adr x9, 1f
    ldr x16, [x9, w0, sxtw #3]
    mov w0, w1
    br x16
1:  .quad 0, 0
    mark through_table, data, 1b
    mark through_table, place, 1b
    mark through_table, place_2, 1b, 8

// The place is a word of its own, four bytes behind which the distance ends: the instructions of this processor have
// other fields.
.macro distance
    adr x9, 1f
    ldrsw x10, [x9], #4
    add x16, x9, x10
.endm

snippet through_pc32
    distance
    br x16
1:  .word 0
    mark through_pc32, data, 1b
    mark through_pc32, place, 1b

snippet through_plt32
    distance
    br x16
1:  .word 0
    mark through_plt32, data, 1b
    mark through_plt32, place, 1b

snippet through_slot
    distance
    ldr x16, [x16]
    br x16
1:  .word 0
    mark through_slot, data, 1b
    mark through_slot, place, 1b

// The value at the place.
snippet read_place
    ldr x0, 1f
    ret
1:  .quad 0
    mark read_place, data, 1b
    mark read_place, place, 1b

// The 32-bit value at the address at the place.
snippet load_abs64
    ldr x9, 1f
    ldr w0, [x9]
    ret
1:  .quad 0
    mark load_abs64, data, 1b
    mark load_abs64, place, 1b

// The 32-bit value at the address that the place leads to.
snippet load_pc32
    distance
    ldr w0, [x16]
    ret
1:  .word 0
    mark load_pc32, data, 1b
    mark load_pc32, place, 1b

// int32: adds it to the 32-bit value at the address at the place, gives the old value plus the new.
snippet add_abs64
    ldr x9, 1f
    ldr w10, [x9]
    add w11, w10, w0
    str w11, [x9]
    ldr w11, [x9]
    add w0, w10, w11
    ret
1:  .quad 0
    mark add_abs64, data, 1b
    mark add_abs64, place, 1b

// int32: writes it to the address at the place.
snippet store_abs64
    ldr x9, 1f
    str w0, [x9]
    ret
1:  .quad 0
    mark store_abs64, data, 1b
    mark store_abs64, place, 1b

// —— traps ——

snippet read_null
    mov x9, #0
    ldr w0, [x9]
    ret

snippet write_null
    mov x9, #0
    str w9, [x9]
    ret

snippet fetch_null
    mov x9, #0
    br x9

// pointer: reads a member of a structure that it does not point to.
snippet read_member
    ldr x0, [x0, #8]
    ret

snippet write_code
    adr x9, write_code
    str wzr, [x9]
    ret

snippet execute_buffer
    br x0

snippet execute_stack
    sub sp, sp, #16
    movz w9, #0x03c0            // ret
    movk w9, #0xd65f, lsl #16
    str w9, [sp]
    mov x10, sp
    br x10

snippet divide
    sdiv w0, w0, w1
    ret

snippet undefined
    udf #0

snippet breakpoint
    brk #0
    ret

snippet stack_overflow
    stp x29, x30, [sp, #-16]!
    bl stack_overflow
    ldp x29, x30, [sp], #16
    ret

snippet read_non_canonical
    mov x9, #0x0040000000000000
    ldr w0, [x9]
    ret

snippet write_non_canonical
    mov x9, #0x0040000000000000
    str w0, [x9]
    ret

snippet fetch_non_canonical
    mov x9, #0x0040000000000000
    br x9

snippet endless
    b endless

// —— system calls ——

snippet system_call
    mov x8, #1000
    svc #0
    ret

snippet system_call_getpid
    mov x8, #172
    svc #0
    ret

snippet system_call_exit
    mov x8, #94
    mov x0, #0
    svc #0
    ret

// —— broken promises ——

.macro clobber register
    snippet clobber_\register
    mvn \register, \register
    ret
.endm

    clobber x19
    clobber x20
    clobber x21
    clobber x22
    clobber x23
    clobber x24
    clobber x25
    clobber x26
    clobber x27
    clobber x28
    clobber x29

// Of v8 to v15 the callee keeps the low 64 bits.
.macro clobber_d number
    snippet clobber_d\number
    fmov x9, d\number
    mvn x9, x9
    fmov d\number, x9
    ret
.endm

    clobber_d 8
    clobber_d 9
    clobber_d 10
    clobber_d 11
    clobber_d 12
    clobber_d 13
    clobber_d 14
    clobber_d 15

snippet keep_low_halves
    .irp number, 8, 9, 10, 11, 12, 13, 14, 15
    mov v\number\().d[1], xzr
    .endr
    ret

snippet clobber_sp
    add sp, sp, #16
    ret

// Other rounding.
snippet clobber_fpcr
    mrs x9, fpcr
    eor x9, x9, #0xc00000
    msr fpcr, x9
    ret

snippet write_caller_stack
    ldr x9, [sp]
    mvn x9, x9
    str x9, [sp]
    ret

// pointer to eight bytes
snippet write_after_buffer
    ldrb w9, [x0, #8]
    mvn w9, w9
    strb w9, [x0, #8]
    ret

snippet write_before_buffer
    ldurb w9, [x0, #-1]
    mvn w9, w9
    sturb w9, [x0, #-1]
    ret

// pointer: changes what it points to, although it is marked pure.
snippet write_two
    mov w9, #2
    strb w9, [x0]
    ret
