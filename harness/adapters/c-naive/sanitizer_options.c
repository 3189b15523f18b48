/*
 * Linked with SANITIZE=1 only. By default a sanitizer ends the process with exit code 1, which a one-shot
 * loader says when it rejects a file; a report must be a crash instead. What is still allocated at the end
 * of a process that judges one file is not worth a report.
 */
const char *__asan_default_options(void);

const char *__asan_default_options(void) {
    return "abort_on_error=1:detect_leaks=0";
}
