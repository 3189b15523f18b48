# Code that execution vectors call, for x86_64 by the System V convention. `tests/snippets.rs` assembles it and
# compares it with `snippets.json`, from which vectors are made.
#
# Each snippet is a section of its own, so that its bytes do not depend on its neighbours. `place` and `data` are
# offsets that the maker of vectors needs: where a relocation goes, and where code ends and constants begin.

.intel_syntax noprefix

.macro snippet name
    .section .text.\name, "ax", @progbits
    \name:
.endm

# Offset of `label` plus `more`, kept as the absolute symbol `name.what`.
.macro mark name, what, label, more=0
    .set \name\().\what, \label - \name + \more
.endm

# —— what lies beside the tested function ——

snippet elsewhere
    .rept 16
    int3
    .endr

# —— arguments and results, one at a time ——

snippet same_int8
    movsx eax, dil
    ret

snippet same_int16
    movsx eax, di
    ret

snippet same_int32
    mov eax, edi
    ret

snippet same_int64
    mov rax, rdi
    ret

snippet same_float
    ret

snippet nothing
    ret

# Results with garbage above them: the bits that do not belong to a result are not the caller's.

snippet dirty_int8
    movabs rax, 0x5a5a5a5a5a5a5a5a
    mov al, dil
    ret

snippet dirty_int16
    movabs rax, 0x5a5a5a5a5a5a5a5a
    mov ax, di
    ret

snippet dirty_int32
    movabs rax, 0x5a5a5a5a00000000
    mov edi, edi
    or rax, rdi
    ret

snippet dirty_float32
    movabs rax, 0x5a5a5a5a00000000
    movd ecx, xmm0
    or rax, rcx
    movq xmm0, rax
    ret

snippet widen_int8
    movsx rax, dil
    ret

snippet widen_int16
    movsx rax, di
    ret

snippet widen_int32
    movsxd rax, edi
    ret

# —— many arguments ——

# acc = acc * 31 + value: every position and every bit counts.
.macro fold value
    imul rax, rax, 31
    add rax, \value
.endm

.macro fold_float register
    movq r11, \register
    fold r11
.endm

snippet ten_int64
    xor eax, eax
    fold rdi
    fold rsi
    fold rdx
    fold rcx
    fold r8
    fold r9
    fold [rsp + 8]
    fold [rsp + 16]
    fold [rsp + 24]
    fold [rsp + 32]
    ret

# int8, int16, int32, int64, int8, int16, int32, int64, int8, int16
snippet ten_narrow
    xor eax, eax
    movsx r11, dil
    fold r11
    movsx r11, si
    fold r11
    movsxd r11, edx
    fold r11
    fold rcx
    movsx r11, r8b
    fold r11
    movsx r11, r9w
    fold r11
    movsxd r11, dword ptr [rsp + 8]
    fold r11
    fold [rsp + 16]
    movsx r11, byte ptr [rsp + 24]
    fold r11
    movsx r11, word ptr [rsp + 32]
    fold r11
    ret

snippet ten_float64
    xor eax, eax
    fold_float xmm0
    fold_float xmm1
    fold_float xmm2
    fold_float xmm3
    fold_float xmm4
    fold_float xmm5
    fold_float xmm6
    fold_float xmm7
    fold [rsp + 8]
    fold [rsp + 16]
    ret

# float32 on the stack, the ninth and tenth: a slot of eight bytes each.
snippet tenth_float32
    movss xmm0, [rsp + 16]
    ret

# int64 and float64 in turns, ten of each: six and eight of them in registers.
snippet both_overflow
    xor eax, eax
    fold rdi
    fold_float xmm0
    fold rsi
    fold_float xmm1
    fold rdx
    fold_float xmm2
    fold rcx
    fold_float xmm3
    fold r8
    fold_float xmm4
    fold r9
    fold_float xmm5
    fold [rsp + 8]
    fold_float xmm6
    fold [rsp + 16]
    fold_float xmm7
    fold [rsp + 24]
    fold [rsp + 32]
    fold [rsp + 40]
    fold [rsp + 48]
    ret

# int8, float64, int16, float32, int64, pointer, int32, float32, int64, int8
snippet mixed
    xor eax, eax
    movsx r11, dil
    fold r11
    fold_float xmm0
    movsx r11, si
    fold r11
    movd r11d, xmm1
    fold r11
    fold rdx
    fold [rcx]
    movsxd r11, r8d
    fold r11
    movd r11d, xmm2
    fold r11
    fold r9
    movsx r11, byte ptr [rsp + 8]
    fold r11
    ret

# int32, float32, int64, float64: their sum as float64.
snippet mixed_to_float64
    cvtss2sd xmm0, xmm0
    addsd xmm0, xmm1
    cvtsi2sd xmm1, edi
    addsd xmm0, xmm1
    cvtsi2sd xmm1, rsi
    addsd xmm0, xmm1
    ret

# What the stack lacks to be aligned to 16 bytes where the convention says.
snippet stack_alignment
    lea rax, [rsp + 8]
    and eax, 15
    ret

# —— memory of the caller ——

# pointer, int64: the sum of so many bytes.
snippet sum_bytes
    xor eax, eax
1:  test rsi, rsi
    jz 2f
    movzx ecx, byte ptr [rdi]
    add rax, rcx
    inc rdi
    dec rsi
    jmp 1b
2:  ret

# pointer, int64: puts so many bytes in reverse order.
snippet reverse_bytes
    lea rsi, [rdi + rsi - 1]
1:  cmp rdi, rsi
    jae 2f
    mov al, [rdi]
    mov cl, [rsi]
    mov [rdi], cl
    mov [rsi], al
    inc rdi
    dec rsi
    jmp 1b
2:  ret

# pointer, int64, int8: fills so many bytes, gives the address after the last.
snippet fill
    mov rax, rdi
1:  test rsi, rsi
    jz 2f
    mov [rax], dl
    inc rax
    dec rsi
    jmp 1b
2:  ret

# pointer, pointer, int64: copies so many bytes to the first, gives the second.
snippet copy
    mov rax, rsi
1:  test rdx, rdx
    jz 2f
    mov cl, [rsi]
    mov [rdi], cl
    inc rsi
    inc rdi
    dec rdx
    jmp 1b
2:  ret

# pointer: whether it is null.
snippet is_null
    xor eax, eax
    test rdi, rdi
    sete al
    ret

snippet own_address
    lea rax, [rip + own_address]
    ret

snippet odd_address
    mov eax, 0x12345679
    ret

# struct_ref to {int8 at 0, int16 at 2, int32 at 4, int64 at 8, float32 at 16, float64 at 24}

snippet struct_fold
    xor eax, eax
    movsx r11, byte ptr [rdi]
    fold r11
    movsx r11, word ptr [rdi + 2]
    fold r11
    movsxd r11, dword ptr [rdi + 4]
    fold r11
    fold [rdi + 8]
    mov r11d, [rdi + 16]
    fold r11
    fold [rdi + 24]
    ret

# Adds one to each integer, swaps the signs of the floats, gives the structure back.
snippet struct_change
    inc byte ptr [rdi]
    inc word ptr [rdi + 2]
    inc dword ptr [rdi + 4]
    inc qword ptr [rdi + 8]
    xor dword ptr [rdi + 16], 0x80000000
    xor byte ptr [rdi + 31], 0x80
    mov rax, rdi
    ret

snippet struct_float64
    movsd xmm0, [rdi + 24]
    ret

# —— relocations ——

# int32: three times the argument, in the function that the others call.
snippet target
    lea eax, [rdi + 2 * rdi]
    ret

snippet target_other
    mov eax, edi
    neg eax
    ret

snippet through_abs64
    jmp [rip + 1f]
1:  .quad 0
    mark through_abs64, data, 1b
    mark through_abs64, place, 1b

# int32 (which), int32: calls one of two.
snippet through_table
    lea rax, [rip + 1f]
    movsxd rcx, edi
    mov edi, esi
    jmp [rax + 8 * rcx]
1:  .quad 0, 0
    mark through_table, data, 1b
    mark through_table, place, 1b
    mark through_table, place_2, 1b, 8

snippet through_pc32
    sub rsp, 8
1:  .byte 0xe8
    .long 0
    add rsp, 8
    ret
    mark through_pc32, place, 1b, 1

snippet through_plt32
    sub rsp, 8
1:  .byte 0xe8
    .long 0
    add rsp, 8
    ret
    mark through_plt32, place, 1b, 1

snippet through_slot
1:  .byte 0x48, 0x8b, 0x05      # mov rax, [rip + …]
    .long 0
    jmp rax
    mark through_slot, place, 1b, 3

# The value at the place.
snippet read_place
    mov rax, [rip + 1f]
    ret
1:  .quad 0
    mark read_place, data, 1b
    mark read_place, place, 1b

# The 32-bit value at the address at the place.
snippet load_abs64
    mov rax, [rip + 1f]
    mov eax, [rax]
    ret
1:  .quad 0
    mark load_abs64, data, 1b
    mark load_abs64, place, 1b

# The 32-bit value at the address that the place leads to.
snippet load_pc32
1:  .byte 0x8b, 0x05            # mov eax, [rip + …]
    .long 0
    ret
    mark load_pc32, place, 1b, 2

# int32: adds it to the 32-bit value at the address at the place, gives the old value plus the new.
snippet add_abs64
    mov rax, [rip + 1f]
    mov ecx, [rax]
    add [rax], edi
    add ecx, [rax]
    mov eax, ecx
    ret
1:  .quad 0
    mark add_abs64, data, 1b
    mark add_abs64, place, 1b

# int32: writes it to the address at the place.
snippet store_abs64
    mov rax, [rip + 1f]
    mov [rax], edi
    ret
1:  .quad 0
    mark store_abs64, data, 1b
    mark store_abs64, place, 1b

# —— traps ——

snippet read_null
    xor eax, eax
    mov eax, [rax]
    ret

snippet write_null
    xor eax, eax
    mov [rax], eax
    ret

snippet fetch_null
    xor eax, eax
    jmp rax

# pointer: reads a member of a structure that it does not point to.
snippet read_member
    mov rax, [rdi + 8]
    ret

snippet write_code
    lea rax, [rip + write_code]
    mov dword ptr [rax], 0
    ret

snippet execute_buffer
    jmp rdi

snippet execute_stack
    sub rsp, 8
    mov dword ptr [rsp], 0xc3c3c3c3
    jmp rsp

snippet divide
    mov eax, edi
    cdq
    idiv esi
    ret

snippet undefined
    ud2

snippet breakpoint
    int3
    ret

snippet misaligned
    movaps xmm0, [rdi + 1]
    ret

snippet stack_overflow
    call stack_overflow
    ret

snippet read_non_canonical
    movabs rax, 0x0040000000000000
    mov eax, [rax]
    ret

snippet write_non_canonical
    movabs rax, 0x0040000000000000
    mov [rax], eax
    ret

snippet fetch_non_canonical
    movabs rax, 0x0040000000000000
    jmp rax

snippet privileged
    hlt
    ret

snippet endless
    jmp endless

# —— system calls ——

snippet system_call
    mov eax, 1000
    syscall
    ret

snippet system_call_getpid
    mov eax, 39
    syscall
    ret

snippet system_call_exit
    mov eax, 231
    xor edi, edi
    syscall
    ret

snippet system_call_int80
    mov eax, 20
    int 0x80
    ret

snippet system_call_sysenter
    mov eax, 20
    sysenter
    ret

# —— broken promises ——

.macro clobber register
    snippet clobber_\register
    not \register
    ret
.endm

    clobber rbx
    clobber rbp
    clobber r12
    clobber r13
    clobber r14
    clobber r15

# Returns with the stack pointer eight bytes too high.
snippet clobber_sp
    pop rcx
    add rsp, 8
    jmp rcx

snippet clobber_direction
    std
    ret

# Other rounding.
snippet clobber_mxcsr
    sub rsp, 8
    stmxcsr [rsp]
    xor dword ptr [rsp], 0x6000
    ldmxcsr [rsp]
    add rsp, 8
    ret

snippet clobber_x87
    sub rsp, 8
    fnstcw [rsp]
    xor word ptr [rsp], 0x0c00
    fldcw [rsp]
    add rsp, 8
    ret

snippet write_caller_stack
    not qword ptr [rsp + 8]
    ret

# pointer to eight bytes
snippet write_after_buffer
    not byte ptr [rdi + 8]
    ret

snippet write_before_buffer
    not byte ptr [rdi - 1]
    ret

# pointer: changes what it points to, although it is marked pure.
snippet write_two
    mov byte ptr [rdi], 2
    ret
