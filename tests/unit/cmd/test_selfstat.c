/* test_selfstat.c -- what this very process uses. */
#include "cmd/selfstat.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/harness/test.h"

static double figure(const struct buf *b, const char *name)
{
    const char *at = strstr(b->p, name);

    EXPECT(at);
    return atof(at + strlen(name));
}

TEST(of_this_process)
{
    _cleanup_(selfstat_freep) struct selfstat *s = selfstat_new();
    _cleanup_buf_ struct buf a = BUF_INIT, b = BUF_INIT;
    int fd;

    if (test_is_emulated())
        test_skip("the process is the emulator");
    selfstat_metrics(s, &a);
    EXPECT(strstr(a.p, "kubernetes_build_info{build_date=\""));
    EXPECT(strstr(a.p, ",platform=\"linux/"));
    EXPECT(figure(&a, "\nprocess_resident_memory_bytes ") > 100000);
    EXPECT(figure(&a, "\nprocess_virtual_memory_bytes ") >
           figure(&a, "\nprocess_resident_memory_bytes "));
    EXPECT(figure(&a, "\nprocess_start_time_seconds ") > 1e9);
    EXPECT(figure(&a, "\nprocess_max_fds ") > 0);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    selfstat_metrics(s, &b);
    EXPECT(figure(&b, "\nprocess_open_fds ") == figure(&a, "\nprocess_open_fds ") + 1);
    EXPECT(figure(&b, "\nprocess_cpu_seconds_total ") >=
           figure(&a, "\nprocess_cpu_seconds_total "));
    close(fd);
}
