/*
 * A correct loader for SCP 0.1 as a shared library: the four functions of blob_loader.h over
 * scp_decode (bounds), scp_rules (everything else) and scp_image (memory).
 *
 * It follows the default reading of every choice in spec/formats/scp.yaml and reports rule and offset.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob_loader.h"
#include "scp.h"

/* One function of a loaded module; its name lies in the module's copy of the strings. */
struct function {
    const char *name;
    uint64_t entry_offset;
};

struct module {
    struct scp_image image;
    char *strings;
    struct function *functions;
    size_t function_count;
};

const char *blob_describe(void) {
    return "{\"protocol\": 1, \"name\": \"c-scp-loader\", \"version\": \"0.1.0\", \"language\": \"C\", "
           "\"formats\": [\"scp\"], \"architectures\": [], \"wants\": [\"validate\", \"load\", \"call\"], "
           "\"choices\": {}}";
}

void blob_unload(void *handle) {
    struct module *module = handle;
    if (module == NULL)
        return;
    scp_unmap(&module->image);
    free(module->functions);
    free(module->strings);
    free(module);
}

/* Copies what a module needs after the file's bytes are gone; false without memory. */
static bool register_functions(const struct scp_file *file, struct module *module) {
    size_t string_bytes = file->strings.end - file->strings.first;
    size_t i = 0;

    module->strings = malloc(string_bytes + 1);
    module->functions = calloc((size_t)file->functions.count + 1, sizeof *module->functions);
    if (module->strings == NULL || module->functions == NULL)
        return false;
    memcpy(module->strings, file->bytes + file->strings.first, string_bytes);
    for (size_t at = file->functions.first; at < file->functions.end;
         at += scp_function_size(file, at))
        module->functions[i++] = (struct function){
            .name = module->strings + scp_u32(file->bytes + at),
            .entry_offset = scp_u64(file->bytes + at + SCP_FUNCTION_ENTRY),
        };
    module->function_count = i;
    return true;
}

/* Maps a valid file; NULL when the operating system refuses. */
static struct module *load(const struct scp_file *file) {
    struct module *module = calloc(1, sizeof *module);
    if (module == NULL)
        return NULL;
    if (!register_functions(file, module) ||
        !scp_map(file->bytes + file->header_size, file->blob_size, &module->image)) {
        blob_unload(module);
        return NULL;
    }
    return module;
}

static int32_t report_violation(const struct scp_violation *violation, struct blob_report *report) {
    snprintf(report->rule, sizeof report->rule, "%s", violation->rule);
    snprintf(report->message, sizeof report->message, "%s is broken (at offset 0x%zx)",
             violation->rule, violation->offset);
    report->offset = (int64_t)violation->offset;
    return violation->stage;
}

static int32_t refuse(int32_t stage, struct blob_report *report, const char *message) {
    snprintf(report->message, sizeof report->message, "%s", message);
    return stage;
}

/* Whether this process can run the file's code. */
static bool runs_here(const struct scp_file *file) {
#if defined(__x86_64__)
    return file->architecture == SCP_X86_64;
#elif defined(__aarch64__)
    return file->architecture == SCP_ARM64;
#elif defined(__i386__)
    return file->architecture == SCP_X86_32;
#else
    (void)file;
    return false;
#endif
}

int32_t blob_load(const uint8_t *bytes, size_t size, int32_t want, void **module,
                  struct blob_report *report) {
    struct scp_file file;
    struct scp_violation violation;

    *module = NULL;
    *report = (struct blob_report){.offset = -1};
    if (!scp_decode(bytes, size, &file, &violation) || !scp_check(&file, &violation))
        return report_violation(&violation, report);
    if (want == BLOB_WANT_VALIDATE)
        return BLOB_VALID;
    if (want == BLOB_WANT_CALL && !runs_here(&file))
        return refuse(BLOB_UNSUPPORTED, report, "code of another architecture is not called");

    struct module *loaded = load(&file);
    if (loaded == NULL)
        return refuse(BLOB_UNMAPPABLE, report, "the operating system refused memory for the image");
    report->image_base = (uint64_t)(uintptr_t)loaded->image.base;
    report->image_size = loaded->image.size;
    *module = loaded;
    return BLOB_LOADED;
}

const void *blob_entry(void *handle, const char *function) {
    const struct module *module = handle;
    for (size_t i = 0; i < module->function_count; i++)
        if (strcmp(module->functions[i].name, function) == 0)
            return (const char *)module->image.base + module->functions[i].entry_offset;
    return NULL;
}
