/* Arithmetic, a switch with a jump table, calls to the host and to the other objects, variables. */
#include "module.h"

int64_t total = 1000;
static int64_t calls;
static double factor = 1.5;

/* Of the same name as one in module_state.c, and not the same. */
static int64_t step(int64_t value) { return value * 7 + 1; }

int64_t add(int64_t a, int64_t b) {
    calls++;
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

int64_t multiply(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }

int64_t calls_made(void) { return calls; }

int64_t accumulate(int64_t value) {
    total += value;
    shared_counter++;
    return total;
}

int64_t stepped(int64_t value) { return step(step(value)); }

int64_t dispatch(int32_t operation, int64_t a, int64_t b) {
    switch (operation) {
    case 0: return add(a, b);
    case 1: return multiply(a, b);
    case 2: return a ^ b;
    case 3: return host_mix(a, b);
    case 4: return apply(1, a, b);
    case 5: return b ? a % (b | 1) : -1;
    case 6: return inside(a) - b;
    case 7: return a << (b & 31);
    case 8: return policy(a) + lenient(b);
    default: return -operation;
    }
}

int64_t by_address(int64_t value) {
    int64_t (*volatile mix)(int64_t, int64_t) = host_mix;
    return mix(value, 3) + mix(value, 4);
}

int64_t optional(int64_t value) { return host_absent ? host_absent(value) : -value; }

double scale(double value, int32_t times) {
    while (times-- > 0) value = value * factor + 0.25;
    return value;
}

float half(float value) { return value * 0.5f; }

/* Overrides the weak one of module_state.c. */
int64_t policy(int64_t value) { return value + 100; }

int64_t mixed(int8_t a, double b, int16_t c, float d, int32_t e, int64_t f, int64_t g, int64_t h, int64_t i) {
    return a + (int64_t)(b * 4) + c + (int64_t)(d * 8) + e + f - g + h * 3 - i;
}
