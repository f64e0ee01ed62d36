/* machine.c: what machine this is. */
#include "../kernels/threads.h"
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Copies what stands after "KEY<spaces>:<space>" on the first such line of a file under /proc. */
static bool proc_value(char *out, size_t size, const char *path, const char *key)
{
    FILE *f = fopen(path, "re");
    char  line[512];
    bool  found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) != 0 || !colon) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(out, size, "%s", colon + 1 + strspn(colon + 1, " \t"));
        found = true;
    }
    if (f) fclose(f);
    return found;
}

static uint64_t kilobytes(const char *path, const char *key)
{
    char text[64];
    return proc_value(text, sizeof text, path, key) ? strtoull(text, NULL, 10) * 1024 : 0;
}

cli_machine cli_machine_read(void)
{
    cli_machine    m = {.cores = vr_threads_allowed(""),
                        .memory = kilobytes("/proc/meminfo", "MemTotal"),
                        .memory_free = kilobytes("/proc/meminfo", "MemAvailable")};
    struct utsname u;
    if (!proc_value(m.cpu, sizeof m.cpu, "/proc/cpuinfo", "model name"))
        snprintf(m.cpu, sizeof m.cpu, "%s", uname(&u) == 0 ? u.machine : "unknown");
    return m;
}

/* Not getrusage: its number outlives exec and would count the shell's memory. */
uint64_t cli_peak_bytes(void) { return kilobytes("/proc/self/status", "VmHWM"); }
