/* Lists of merge settings: if these fail, a sweep runs settings that nobody asked for, or leaves some out. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../cli/sweep.h"

static const vitrun_merge nothing;

/* What the tests look at of each setting: "mame tau=0.7 layers=0-3 fuse", joined by "; ". */
static void show(char *out, size_t size, const cli_sweep *s)
{
    out[0] = 0;
    for (size_t i = 0; i < s->count; i++) {
        const vitrun_merge *m = &s->merge[i];
        const char *const   named[][2] = {{"", m->method},    {"tau=", m->tau},   {"layers=", m->layers},
                                          {"r=", m->r},       {"keep=", m->keep}, {"rates-from=", m->rates_from},
                                          {"rule=", m->rule}, {"seed=", m->seed}};
        if (i) strncat(out, "; ", size - strlen(out) - 1);
        const char *gap = "";
        for (size_t k = 0; k < sizeof named / sizeof *named; k++) {
            if (!named[k][1]) continue;
            size_t at = strlen(out);
            snprintf(out + at, size - at, "%s%s%s", gap, named[k][0], named[k][1]);
            gap = " ";
        }
        if (m->fuse) strncat(out, " fuse", size - strlen(out) - 1);
    }
}

static void gives(const char *text, const vitrun_merge *base, const char *wanted)
{
    cli_sweep s;
    vr_error  err = {0};
    char      got[4096];
    cr_assert_eq(cli_sweep_parse(&s, text, base, &err), VR_OK, "%s: %s", text, err.text);
    show(got, sizeof got, &s);
    cr_expect_str_eq(got, wanted, "%s gave %s", text, got);
    cli_sweep_free(&s);
}

Test(sweep, settings)
{
    gives("none", &nothing, "none");
    gives("mame tau=0.8; tome r=16;evit keep=0.7", &nothing, "mame tau=0.8; tome r=16; evit keep=0.7");
    gives("  mame\ttau=0.8  ", &nothing, "mame tau=0.8");
    gives("evit fuse keep=0.5; evit", &nothing, "evit keep=0.5 fuse; evit");
    gives("mame merge-layers=0-3,6 tau=0.9,0.8,0.7,0.6,0.5", &nothing, "mame tau=0.9,0.8,0.7,0.6,0.5 layers=0-3,6");
    gives("diffrate rates-from=deit_small:2.9", &nothing, "diffrate rates-from=deit_small:2.9");
    gives("../mine.json", &nothing, "../mine.json");
}

Test(sweep, lists_multiply_and_the_last_changes_fastest)
{
    gives("mame tau=0.7|0.8|0.9", &nothing, "mame tau=0.7; mame tau=0.8; mame tau=0.9");
    gives("mame tau=0.7|0.8 merge-layers=0|0-3", &nothing,
          "mame tau=0.7 layers=0; mame tau=0.7 layers=0-3; mame tau=0.8 layers=0; mame tau=0.8 layers=0-3");
    gives("none|mame|tome", &nothing, "none; mame; tome");
}

Test(sweep, ranges_are_exact_and_short)
{
    gives("mame tau=0.5..0.95:0.15", &nothing, "mame tau=0.5; mame tau=0.65; mame tau=0.8; mame tau=0.95");
    gives("mame tau=0.55..0.7:0.05|0.9", &nothing, "mame tau=0.55; mame tau=0.6; mame tau=0.65; mame tau=0.7; mame tau=0.9");
    gives("tome r=8..16:4", &nothing, "tome r=8; tome r=12; tome r=16");
    gives("tome r=8..15:4", &nothing, "tome r=8; tome r=12");
    gives("tome r=16..8:-8", &nothing, "tome r=16; tome r=8");
    gives("mame tau=1..1:1", &nothing, "mame tau=1");
    gives("mame tau=.1..0.300:.1", &nothing, "mame tau=0.1; mame tau=0.2; mame tau=0.3");
}

Test(sweep, without_a_method_the_base_goes_on)
{
    const vitrun_merge base = {.method = "mame", .tau = "0.3", .layers = "0-3"};
    gives("tau=0.7|0.8; tome r=4; rule=similarity", &base,
          "mame tau=0.7 layers=0-3; mame tau=0.8 layers=0-3; tome r=4; mame tau=0.3 layers=0-3 rule=similarity");
}

Test(sweep, as_many_as_allowed)
{
    cli_sweep s;
    vr_error  err = {0};
    cr_assert_eq(cli_sweep_parse(&s, "mame merge-seed=1..100:1", &nothing, &err), VR_E_USAGE); /* wants partition=random */
    err = (vr_error){0};
    cr_assert_eq(cli_sweep_parse(&s, "mame partition=random merge-seed=1..100:1", &nothing, &err), VR_OK, "%s", err.text);
    cr_expect_eq(s.count, 100);
    cr_expect_str_eq(s.merge[99].seed, "100");
    cli_sweep_free(&s);
}

static void refuses(const char *text, const char *why)
{
    cli_sweep s;
    vr_error  err = {0};
    cr_expect_eq(cli_sweep_parse(&s, text, &nothing, &err), VR_E_USAGE, "%s", text);
    cr_expect(strstr(err.text, why), "%s says: %s", text, err.text);
    cr_expect(s.merge == NULL && s.words == NULL && s.count == 0);
}

Test(sweep, refusals)
{
    refuses("", "setting 1 is empty");
    refuses("mame; ;tome", "setting 2 is empty");
    refuses("mame;", "setting 2 is empty");
    refuses("mame tua=0.8", "did you mean 'tau'");
    refuses("mame layers=0", "did you mean 'merge-layers'");
    refuses("mame model=x", "unknown key 'model'");
    refuses("mame frobnicate", "unknown key 'frobnicate'");
    refuses("mame =0.8", "unknown key ''");
    refuses("mame tau=", "empty value for 'tau'");
    refuses("mame tau=0.7|", "empty value for 'tau'");
    refuses("mame tau=0.7||0.8", "empty value for 'tau'");
    refuses("mame|", "empty value for 'merge'");
    refuses("mame tau", "write tau=LIST");
    refuses("0.7,0.8", "whose value is '0.7,0.8'");
    refuses("evit fuse=on", "is a switch");
    refuses("mame tau=0.8 tau=0.9", "names 'tau' twice");
    refuses("tau=0.8 mame", "unknown key 'mame'");
    refuses("tau=0.8 merge=mame", "it comes first");
    refuses("mame tau=0.5..0.9", "has no step");
    refuses("mame tau=0.5..0.9:0", "has the step 0");
    refuses("mame tau=0.5..0.9:-0.1", "wrong sign");
    refuses("mame tau=0.9..0.5:0.1", "wrong sign");
    refuses("mame tau=0.5..x:0.1", "plain numbers");
    refuses("mame tau=..1:0.1", "plain numbers");
    refuses("mame tau=0..1e3:1", "plain numbers");
    refuses("mame tau=0..1:0.0000000001", "plain numbers");
    refuses("mame tau=0..1:0.1.", "plain numbers");
    refuses("mame tau=0..1:0.001", "more than 100 settings");
    refuses("mame tau=0..1:0.1 merge-layers=0|1|2|3|4|5|6|7|8|9", "more than 100 settings");
    refuses("mame rule=alg2", "it can be one of: alg1 similarity");
    refuses("tau=0.8", "--tau means nothing without --merge");
    refuses("tome tau=0.8", "the setting 'tome tau=0.8': --tau means nothing to --merge tome");
    refuses("none r=3\x01", "\\x01");
}

Test(sweep, one_setting_too_many)
{
    char   text[2048] = "none";
    size_t at = 4;
    for (int i = 1; i < CLI_SWEEP_MOST; i++) at += (size_t)snprintf(text + at, sizeof text - at, ";none");
    cli_sweep s;
    vr_error  err = {0};
    cr_assert_eq(cli_sweep_parse(&s, text, &nothing, &err), VR_OK, "%s", err.text);
    cr_expect_eq(s.count, CLI_SWEEP_MOST);
    cli_sweep_free(&s);
    snprintf(text + at, sizeof text - at, ";none");
    refuses(text, "more than 100 settings");
}
