/* Mapping: code is written while it is not executable and executable only once it is not writable. */
#define _DEFAULT_SOURCE
#include <string.h>
#include <sys/mman.h>

#include "scp.h"

bool scp_map(const uint8_t *code, size_t size, struct scp_image *image) {
    *image = (struct scp_image){.base = NULL, .size = size};
    if (size == 0)
        return true;

    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return false;
    memcpy(base, code, size);
    __builtin___clear_cache(base, (char *)base + size); /* nothing on x86, needed on ARM64 */
    if (mprotect(base, size, PROT_READ | PROT_EXEC) != 0) {
        munmap(base, size);
        return false;
    }
    image->base = base;
    return true;
}

void scp_unmap(const struct scp_image *image) {
    if (image->base != NULL)
        munmap(image->base, image->size);
}
