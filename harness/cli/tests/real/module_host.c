/* What the host offers, for the library that the module is compared with. */
#include "module.h"

int64_t host_mix(int64_t value, int64_t salt) {
    uint64_t product = (uint64_t)value * 31;
    return (int64_t)((product << 7 | product >> 57) ^ (uint64_t)salt);
}
