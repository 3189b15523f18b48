/*
 * The structures of the plan, as C lays them out. The enums are integers here: C checks them no more than
 * the plan's `ptr::read` does.
 */
#ifndef NAIVE_SMF_H
#define NAIVE_SMF_H

#include <stdint.h>

#define SMF_MAGIC "SMF\0"

enum { SMF_HEADER_SIZE = 64 }; /* F1: the fields below add up to 72 */

struct smf_header {
    uint8_t magic[4];
    uint8_t version_major;
    uint8_t version_minor;
    uint8_t platform;
    uint8_t arch;

    uint32_t flags;
    uint32_t section_count;
    uint64_t section_table_offset;

    uint64_t symbol_table_offset;
    uint32_t symbol_count;
    uint32_t exported_count;

    uint64_t entry_point;

    uint64_t module_hash;
    uint64_t source_hash;

    uint8_t reserved[8];
};

enum platform { PLATFORM_ANY = 0, PLATFORM_LINUX = 1, PLATFORM_MACOS = 3 };
enum arch { ARCH_X86_64 = 0, ARCH_AARCH64 = 1 };

struct smf_section {
    uint32_t section_type;
    uint32_t flags;
    uint64_t offset;
    uint64_t size;
    uint64_t virtual_size;
    uint64_t alignment;
    uint8_t name[16];
};

enum section_type {
    SECTION_CODE = 1,
    SECTION_DATA = 2,
    SECTION_BSS = 3,
    SECTION_RODATA = 4,
    SECTION_RELOC = 6,
};

struct smf_symbol {
    uint32_t name_offset;
    uint32_t name_hash;
    uint8_t sym_type;
    uint8_t binding;
    uint8_t visibility;
    uint8_t flags;
    uint64_t value;
    uint64_t size;
    uint32_t type_id;
    uint32_t version;
};

enum symbol_type { SYMBOL_FUNCTION = 1 };
enum symbol_binding { BINDING_LOCAL = 0, BINDING_GLOBAL = 1 };

struct smf_relocation {
    uint64_t offset;
    uint32_t symbol_index;
    uint32_t reloc_type;
    int64_t addend;
};

enum relocation_type {
    RELOC_NONE = 0,
    RELOC_ABS64 = 1,
    RELOC_PC32 = 2,
    RELOC_PLT32 = 3,
    RELOC_GOTPCREL = 4,
};

#endif
