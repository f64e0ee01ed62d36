/* bench_files.c */
#include "bench.h"
vr_status bench_files(bench *b, vitrun *v, int batch, vr_error *err)
{
    (void)b, (void)v, (void)batch;
    return vr_fail(err, VR_E_USAGE, "x", "not supported yet");
}
