/*
 * Real input that reaches into .rodata: tables, jump tables, string literals, floating-point constants.
 * The packer appends the read-only sections to the code and resolves the references. Compile as functions.c;
 * 32-bit x86 has no way to reach constants without a table of addresses, so not for it.
 */
#include <stdint.h>

#define NOINLINE __attribute__((noinline, noclone))

static const int32_t SQUARES[16] = {0,  1,  4,   9,   16,  25,  36,  49,
                                    64, 81, 100, 121, 144, 169, 196, 225};

int32_t square(int32_t n) {
    return SQUARES[n & 15];
}

/* A global constant: position-independent code reaches it through a table of addresses. */
const uint8_t WEIGHTS[5] = {3, 1, 4, 1, 5};

int32_t weigh(const uint8_t *bytes, int32_t size) {
    int32_t sum = 0;
    for (int32_t i = 0; i < size; i++)
        sum += bytes[i] * WEIGHTS[i % 5];
    return sum;
}

/* An address inside the image. */
const uint8_t *weights(void) {
    return WEIGHTS;
}

/* Enough cases with unrelated bodies for a jump table. */
int32_t dispatch(int32_t operation, int32_t a, int32_t b) {
    switch (operation) {
    case 0:
        return a + b;
    case 1:
        return a - b;
    case 2:
        return a * b;
    case 3:
        return a & b;
    case 4:
        return a | b;
    case 5:
        return a ^ b;
    case 6:
        return b == 0 ? 0 : a % b;
    case 7:
        return a << (b & 7);
    case 8:
        return ~a;
    case 9:
        return a > b ? a : b;
    default:
        return -1;
    }
}

static NOINLINE int32_t copy(char *to, const char *from) {
    int32_t count = 0;
    while ((to[count] = from[count]) != 0)
        count++;
    return count;
}

/* A string literal. */
int32_t greet(char *to) {
    return copy(to, "hello from the blob");
}

/* The address of a function of this file, taken and called. */
static int32_t twice(int32_t n) {
    return n * 2;
}

static NOINLINE int32_t apply(int32_t (*function)(int32_t), int32_t n) {
    return function(n);
}

int32_t indirect(int32_t n) {
    return apply(twice, n) + apply(square, n);
}

double to_fahrenheit(double celsius) {
    return celsius * 1.8 + 32.0;
}

float third(float value) {
    return value / 3.0f + 0.1f;
}
