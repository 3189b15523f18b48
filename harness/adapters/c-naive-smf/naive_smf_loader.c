/*
 * naive-smf-loader: the loader that the SMF plan prints, taken at its word and put into C.
 *
 * It is under test, not an example to copy: it exists so that the conformance vectors have something to
 * find. Function by function it does what the plan's listings do, and returns an error exactly where they
 * do. Nothing was made wrong on purpose; every fault is a check that the listings do not have, or what they
 * do instead. Where Rust would have panicked on an index, C reads on. FAULTS.md beside this file says where
 * each fault comes from and which rules it breaks.
 *
 *   F1  header-64          64 of the header's 72 bytes are read, 72 are used
 *   F2  counts-trusted     memory for all records is reserved before one is read
 *   F3  version-ignored    any version is taken for 1.0
 *   F4  fields-ignored     flags, reserved bytes and exported_count are never looked at
 *   F5  entry-trusted      the entry point is never looked at before it is called
 *   F6  codes-trusted      any number is a section, symbol, binding or relocation type
 *   F7  bytes-unasked      whether a section's bytes exist shows only when they are read
 *   F8  overlap-ignored    header, table and sections may share bytes
 *   F9  size-trusted       as many bytes are read as the file has, whatever room there is
 *   F10 alignment-ignored  sections follow each other without a gap
 *   F11 sizes-unlimited    sums of sizes may wrap, and have no limit
 *   F12 names-trusted      name offsets are added to the strings' address, whatever they are
 *   F13 hash-trusted       the stored hash is never computed again
 *   F14 values-trusted     a symbol's value may be anything
 *   F15 remainder-dropped  bytes of a Reloc section after its last whole record are dropped
 *   F16 index-trusted      a relocation may name any symbol
 *   F17 place-trusted      a relocation writes anywhere
 *   F18 overlap-last-wins  two relocations may write the same bytes
 *   F19 imports-only       symbols that are not Local are imports, and imports are never found
 *   F20 data-in-code       symbols of data lie in the code image
 *   F21 range-cut          a distance is cut to 32 bits
 *   F22 got-ignored        GotPcRel writes nothing
 *   F23 data-read-only     no data can be written, and constants share pages with variables
 *   F24 code-required      a module without code does not load
 *   F25 no-guard           the images lie side by side
 *   F26 import-of-import   (with --registry) an import is found in another import, at the start of the code
 *
 * F19 hides most of the others: hardly a module is without such symbols. With --registry the plan's TODO is done
 * with the plan's own `ModuleRegistry::resolve_symbol`, in a registry that holds the module itself.
 *
 * usage: naive-smf-loader [--registry] FILE [FUNCTION RETURNS ARG…]
 * exit:  0 accepted, 1 rejected, 89 another platform or processor, 2 wrong usage
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../c-naive/call.h"
#include "smf.h"

enum { ACCEPT = 0, REJECT = 1, USAGE = 2, UNSUPPORTED = 89 };
enum { PAGE = 4096, PRINTED_BYTES = 16384 };
#define ADDRESS_SPACE ((rlim_t)4 << 30)

struct executable_memory {
    char *ptr;
    size_t size;   /* in whole pages */
    size_t wanted; /* as asked for: what the harness compares */
};

struct symbol_table {
    struct smf_symbol *symbols;
    uint32_t count;
    char *strings;
};

struct module {
    struct smf_header header;
    struct executable_memory code_mem;
    struct executable_memory data_mem; /* ptr is NULL without data */
    struct symbol_table symbols;
};

struct relocations {
    struct smf_relocation *entries;
    size_t count;
};

/* `Vec`: what cannot be reserved ends the process. */
static void *reserve(void *memory, size_t count, size_t size) {
    memory = reallocarray(memory, count, size);
    if (memory == NULL && count != 0) {
        fprintf(stderr, "memory allocation of %zu * %zu bytes failed\n", count, size);
        abort();
    }
    return memory;
}

/* `Read::read_exact`: false at the end of the file, or when the memory cannot be written. */
static bool read_exact(int file, void *to, size_t size) {
    while (size > 0) {
        ssize_t count = read(file, to, size);
        if (count <= 0)
            return false;
        to = (char *)to + count;
        size -= (size_t)count;
    }
    return true;
}

/* `Seek::seek(SeekFrom::Start)`. */
static bool seek(int file, uint64_t offset) {
    return lseek(file, (off_t)offset, SEEK_SET) >= 0;
}

/* `SmfHeader::read`. */
static bool read_header(int file, struct smf_header *header) {
    char buf[SMF_HEADER_SIZE];
    const void *start = buf;
    if (!read_exact(file, buf, sizeof buf))
        return false;
    if (memcmp(buf, SMF_MAGIC, 4) != 0)
        return false;
    *header = *(const struct smf_header *)start; /* F1; nothing else is validated: F3 F4 F5 */
    return true;
}

/* `ModuleLoader::validate_header`. */
static bool is_compatible(const struct smf_header *header) {
    if (header->platform != PLATFORM_ANY && header->platform != PLATFORM_LINUX)
        return false;
#if defined(__x86_64__)
    if (header->arch != ARCH_X86_64)
        return false;
#endif
    return true;
}

/* Whether another loader might take it: for the harness to tell what is refused from what is not tried. */
static bool is_known(const struct smf_header *header) {
    return header->platform <= PLATFORM_MACOS && header->arch <= ARCH_AARCH64;
}

/* `ModuleLoader::read_sections`. */
static bool read_sections(int file, uint32_t count, struct smf_section **sections) {
    *sections = reserve(NULL, count, sizeof **sections); /* F2 */
    for (uint32_t i = 0; i < count; i++)
        if (!read_exact(file, &(*sections)[i], sizeof **sections)) /* F6 */
            return false;
    return true;
}

/* `ModuleLoader::calculate_sizes`. */
static void calculate_sizes(const struct smf_section *sections, uint32_t count, size_t *code_size,
                            size_t *data_size) {
    *code_size = 0;
    *data_size = 0;
    for (uint32_t i = 0; i < count; i++) { /* F10 F11 */
        switch (sections[i].section_type) {
        case SECTION_CODE:
            *code_size += sections[i].virtual_size;
            break;
        case SECTION_DATA:
        case SECTION_RODATA:
        case SECTION_BSS:
            *data_size += sections[i].virtual_size;
            break;
        }
    }
}

/* `LinuxAllocator::allocate`. */
static bool allocate(size_t wanted, struct executable_memory *memory) {
    size_t size = (wanted + PAGE - 1) & ~(size_t)(PAGE - 1); /* F11 */
    void *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* F24 F25 */
    if (ptr == MAP_FAILED)
        return false;
    *memory = (struct executable_memory){ptr, size, wanted};
    return true;
}

/* The middle of `ModuleLoader::load`: the bytes of the sections. */
static bool load_sections(int file, const struct smf_section *sections, uint32_t count,
                          struct module *module) {
    size_t code_offset = 0, data_offset = 0;

    for (uint32_t i = 0; i < count; i++) {
        const struct smf_section *section = &sections[i];
        switch (section->section_type) {
        case SECTION_CODE:
            if (!seek(file, section->offset) ||
                !read_exact(file, module->code_mem.ptr + code_offset, section->size)) /* F7 F8 F9 */
                return false;
            code_offset += section->virtual_size; /* F10 */
            break;
        case SECTION_DATA:
        case SECTION_RODATA:
            if (module->data_mem.ptr != NULL) {
                if (!seek(file, section->offset) ||
                    !read_exact(file, module->data_mem.ptr + data_offset, section->size)) /* F7 F8 F9 */
                    return false;
                data_offset += section->virtual_size; /* F10 F23 */
            }
            break;
        case SECTION_BSS: /* zero already */
            data_offset += section->virtual_size;
            break;
        }
    }
    return true;
}

/* `Read::read_to_end`. */
static char *read_to_end(int file) {
    char *bytes = NULL;
    size_t size = 0;
    ssize_t count;
    do {
        bytes = reserve(bytes, size + PAGE, 1);
        count = read(file, bytes + size, PAGE);
        size += count > 0 ? (size_t)count : 0;
    } while (count > 0);
    return reserve(bytes, size + (size == 0), 1);
}

/* `ModuleLoader::read_symbols`. */
static bool read_symbols(int file, const struct smf_header *header, struct symbol_table *table) {
    if (!seek(file, header->symbol_table_offset))
        return false;
    table->count = header->symbol_count;
    table->symbols = reserve(NULL, table->count, sizeof *table->symbols); /* F2 */
    for (uint32_t i = 0; i < table->count; i++)
        if (!read_exact(file, &table->symbols[i], sizeof *table->symbols)) /* F6 F12 F13 F14 */
            return false;
    table->strings = read_to_end(file);
    return true;
}

/* `ModuleLoader::read_relocations`. */
static bool read_relocations(int file, const struct smf_section *sections, uint32_t section_count,
                             struct relocations *relocs) {
    for (uint32_t i = 0; i < section_count; i++) {
        if (sections[i].section_type != SECTION_RELOC)
            continue;
        if (!seek(file, sections[i].offset))
            return false;
        uint64_t count = sections[i].size / sizeof(struct smf_relocation); /* F15 */
        for (uint64_t k = 0; k < count; k++) {
            struct smf_relocation reloc;
            if (!read_exact(file, &reloc, sizeof reloc)) /* F6 */
                return false;
            if ((relocs->count & (relocs->count - 1)) == 0) /* a `Vec` doubles */
                relocs->entries = reserve(relocs->entries, 2 * relocs->count + 1, sizeof reloc);
            relocs->entries[relocs->count++] = reloc;
        }
    }
    return true;
}

/* `SymbolTable::symbol_name`. */
static const char *symbol_name(const struct symbol_table *table, const struct smf_symbol *symbol) {
    return table->strings + symbol->name_offset; /* F12 */
}

/* `hash_name`: FNV-1a. */
static uint32_t hash_name(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name != 0; name++)
        hash = (hash ^ (uint8_t)*name) * 16777619u;
    return hash;
}

/* `SymbolTable::lookup`. */
static const struct smf_symbol *lookup(const struct symbol_table *table, const char *name) {
    uint32_t hash = hash_name(name);
    for (uint32_t i = 0; i < table->count; i++) {
        const struct smf_symbol *symbol = &table->symbols[i];
        if (symbol->name_hash == hash && strcmp(symbol_name(table, symbol), name) == 0) /* F12 F13 */
            return symbol;
    }
    return NULL;
}

/* `ModuleLoader::resolve_import`; with a registry, `ModuleRegistry::resolve_symbol`. */
static bool resolve_import(const struct symbol_table *registered, uint64_t base, const char *name,
                           uint64_t *address) {
    /* TODO: Implement import resolution from runtime */
    if (registered == NULL)
        return false; /* F19 */
    const struct smf_symbol *symbol = lookup(registered, name);
    if (symbol == NULL || symbol->binding != BINDING_GLOBAL)
        return false;
    *address = base + symbol->value; /* F14 F20 F26 */
    return true;
}

/* `apply_relocations`. */
static bool apply_relocations(char *code, const struct relocations *relocs,
                              const struct symbol_table *symbols, bool registry) {
    uint64_t base_address = (uint64_t)(uintptr_t)code;

    for (size_t i = 0; i < relocs->count; i++) {
        const struct smf_relocation *reloc = &relocs->entries[i];
        const struct smf_symbol *sym = &symbols->symbols[reloc->symbol_index]; /* F16 */
        const char *sym_name = symbol_name(symbols, sym);

        uint64_t sym_addr = base_address + sym->value; /* F14 F20 */
        const struct symbol_table *registered = registry ? symbols : NULL;
        if (sym->binding != BINDING_LOCAL &&
            !resolve_import(registered, base_address, sym_name, &sym_addr)) { /* F19 */
            fprintf(stderr, "Undefined symbol: %s\n", sym_name);
            return false;
        }

        uint64_t patch_addr = base_address + reloc->offset;
        char *patch_ptr = code + reloc->offset; /* F17 F18 */
        uint64_t value = sym_addr + (uint64_t)reloc->addend;
        int32_t relative = (int32_t)(value - patch_addr); /* F21 */

        switch (reloc->reloc_type) {
        case RELOC_ABS64:
            memcpy(patch_ptr, &value, sizeof value);
            break;
        case RELOC_PC32:
        case RELOC_PLT32: /* For now, same as PC32 (direct call) */
            memcpy(patch_ptr, &relative, sizeof relative);
            break;
        case RELOC_NONE:
        case RELOC_GOTPCREL: /* F22 */
            break;
        }
    }
    return true;
}

/* `LinuxAllocator::protect`. */
static bool protect(const struct executable_memory *memory, int protection) {
    return mprotect(memory->ptr, memory->size, protection) == 0;
}

/* `ModuleLoader::load`. */
static bool load(int file, bool registry, struct module *module) {
    struct smf_section *sections;
    struct relocations relocs = {0};
    size_t code_size, data_size;
    uint32_t count = module->header.section_count;

    if (!seek(file, module->header.section_table_offset) || !read_sections(file, count, &sections))
        return false;
    calculate_sizes(sections, count, &code_size, &data_size);
    if (!allocate(code_size, &module->code_mem))
        return false;
    if (data_size > 0 && !allocate(data_size, &module->data_mem))
        return false;
    if (!load_sections(file, sections, count, module) ||
        !read_symbols(file, &module->header, &module->symbols) ||
        !read_relocations(file, sections, count, &relocs) ||
        !apply_relocations(module->code_mem.ptr, &relocs, &module->symbols, registry))
        return false;
    if (!protect(&module->code_mem, PROT_READ | PROT_EXEC))
        return false;
    return module->data_mem.ptr == NULL || protect(&module->data_mem, PROT_READ); /* F23 */
}

/* `LoadedModule::get_function`. */
static void *get_function(const struct module *module, const char *name) {
    const struct smf_symbol *symbol = lookup(&module->symbols, name);
    if (symbol == NULL || symbol->sym_type != SYMBOL_FUNCTION)
        return NULL;
    return module->code_mem.ptr + symbol->value; /* F14 */
}

/* Tells the harness where an image lies and what is in it, unless that is too much for a line. */
static void print_image(const char *before, const char *name, const struct executable_memory *memory) {
    printf("%s{\"name\":\"%s\",\"base\":%" PRIuPTR ",\"size\":%zu", before, name, (uintptr_t)memory->ptr,
           memory->wanted);
    if (memory->wanted <= PRINTED_BYTES) {
        printf(",\"bytes\":\"");
        for (size_t i = 0; i < memory->wanted; i++)
            printf("%02x", (uint8_t)memory->ptr[i]);
        printf("\"");
    }
    printf("}");
}

static void print_images(const struct module *module) {
    printf("{\"images\":[");
    print_image("", "code", &module->code_mem);
    if (module->data_mem.ptr != NULL)
        print_image(",", "data", &module->data_mem);
    printf("]}\n");
}

/*
 * The harness caps the address space of a process that it has started. Whether that is before or after a
 * reservation of 4 GiB is a matter of luck; the same cap from the first moment makes every run end alike.
 */
static void cap_address_space(void) {
#if !defined(__SANITIZE_ADDRESS__)
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur > ADDRESS_SPACE) {
        limit.rlim_cur = ADDRESS_SPACE;
        setrlimit(RLIMIT_AS, &limit);
    }
#endif
}

int main(int argc, char **argv) {
    struct module module = {0};
    cap_address_space();
    bool registry = argc > 1 && strcmp(argv[1], "--registry") == 0;
    argc -= registry;
    argv += registry;
    int file = argc > 1 && argc != 3 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) {
        fprintf(stderr, "usage: naive-smf-loader [--registry] FILE [FUNCTION RETURNS ARG...]\n");
        return USAGE;
    }
    if (!read_header(file, &module.header))
        return REJECT;
    if (!is_compatible(&module.header)) {
        if (!is_known(&module.header))
            return REJECT;
        printf("{\"skip\":\"the file is for another platform or processor\"}\n");
        return UNSUPPORTED;
    }
    if (!load(file, registry, &module))
        return REJECT;
    if (argc == 2) {
        print_images(&module);
        return ACCEPT;
    }

    void *function = get_function(&module, argv[2]);
    if (function == NULL) {
        fprintf(stderr, "naive-smf-loader: no function `%s`\n", argv[2]);
        return REJECT;
    }
    struct image image = {module.code_mem.ptr, module.code_mem.wanted};
    switch (call_words(function, image, argv[3], argc - 4, argv + 4)) {
    case CALL_RETURNED:
        return ACCEPT;
    case CALL_UNSUPPORTED:
        return UNSUPPORTED;
    default:
        return USAGE;
    }
}
