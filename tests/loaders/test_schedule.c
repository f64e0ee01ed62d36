/* Merge schedules: the files of configs/schedules, the words of the command line, defaults, refusals, and names. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../loaders/schedule.h"
#include "scratch.h"

static const vr_merge_model deit_s = {"deit_small", 12, 384, 197, 1, false};
static const vr_merge_model deit_b = {"deit_base", 12, 768, 197, 1, false};
static const vr_merge_model mae_b = {"mae_base", 12, 768, 197, 1, true};
static const vr_merge_model mae_l = {"mae_large", 24, 1024, 197, 1, true};
static const vr_merge_model mae_h = {"mae_huge", 32, 1280, 257, 1, true};
static const vr_merge_model dinov2_s = {"dinov2_small", 12, 384, 257, 1, false};
static const vr_merge_model distilled = {"deit_small_distilled", 12, 384, 198, 2, false};
static const vr_merge_model siglip = {"siglip", 12, 768, 1024, 0, false};
static const vr_merge_model tiny4 = {"tiny4", 4, 48, 65, 1, false}; /* the models of golden/reduced */
static const vr_merge_model tiny3 = {"tiny3", 3, 48, 65, 1, true};

/* Models that the paper's rows are for and that have no description yet. */
static const vr_merge_model later[] = {
    {"clip_vit_large_patch14_224", 24, 1024, 257, 1, false}, {"clip_vit_large_patch14_336", 24, 1024, 577, 1, false},
    {"siglip_base_patch16_512", 12, 768, 1024, 0, false},    {"siglip2_base_patch16_512", 12, 768, 1024, 0, false},
    {"videomae_base_patch16_224", 12, 768, 1568, 0, true},   {"videomae_large_patch16_224", 24, 1024, 1568, 0, true},
};

/* ---- the files that come with vitrun ---- */

/* The name of the model that a file says it was written for. */
static void model_of_file(char *out, size_t size, const char *path)
{
    char  text[4096];
    FILE *f = fopen(path, "r");
    cr_assert(f, "%s", path);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    char *at = strstr(text, "\"model\": \"");
    cr_assert(at, "%s names no model", path);
    at += strlen("\"model\": \"");
    snprintf(out, size, "%.*s", (int)strcspn(at, "\""), at);
}

static void read_bundled(const char *stem)
{
    char           path[400], name[96];
    vr_schedule    s;
    vr_config      c = {0};
    vr_merge_model m = {0};
    vr_error       err = {0};
    snprintf(path, sizeof path, "configs/schedules/%s.json", stem);
    model_of_file(name, sizeof name, path);
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        if (strcmp(later[i].name, name) == 0) m = later[i];
    if (!m.name) {
        cr_assert_eq(vr_config_read_arch(&c, "configs", name, &err), VR_OK, "%s", err.text);
        m = vr_merge_model_of(&c);
    }
    cr_expect_eq(vr_schedule_read(&s, "configs", path, &m, &err), VR_OK, "%s: %s", stem, err.text);
    cr_expect_str_eq(s.name, stem);
    cr_expect(s.count > 0 && s.source[0]);
    vr_schedule_free(&s);
    cr_expect_eq(vr_schedule_make(&s, "configs", &(vr_merge_words){.merge = stem}, &m, &err), VR_OK, "%s", err.text);
    vr_schedule_free(&s);
    vr_config_free(&c);
}

/* Broken if it fails: a file of configs/schedules is not readable, or does not fit the model it names. */
Test(schedule, every_bundled_file_fits_its_model)
{
    DIR           *dir = opendir("configs/schedules");
    struct dirent *d;
    int            count = 0;
    cr_assert(dir);
    while ((d = readdir(dir))) {
        char *dot = strstr(d->d_name, ".json");
        if (!dot || strcmp(d->d_name, "diffrate.json") == 0) continue;
        *dot = 0;
        read_bundled(d->d_name);
        count++;
    }
    closedir(dir);
    cr_expect(count >= 70, "%d", count);
}

/* Broken if it fails: somebody edited a file by hand, and the script that holds the tables no longer says the same. */
Test(schedule, the_script_writes_these_files)
{
    cr_expect_eq(system("python3 configs/schedules/make_schedules.py --check"), 0);
}

/* ---- words: defaults, and what the results are called ---- */

typedef struct {
    vr_merge_words        words;
    const vr_merge_model *model;
    const char           *name;  /* NULL: refused */
    const char           *rule;  /* of the refusal */
    const char           *found; /* words in the sentence */
} case_of_words;

static const case_of_words words[] = {
    {{0}, &deit_s, "none", 0, 0},
    {{.merge = "none"}, &mae_h, "none", 0, 0},
    {{.merge = "mame"}, &deit_s, "mame_l0-7_t0.8", 0, 0},
    {{.merge = "mame"}, &mae_l, "mame_l0-7_t0.8", 0, 0},
    {{.merge = "mame"}, &mae_h, "mame_l0-7_t0.8", 0, 0},
    {{.merge = "mame"}, &tiny4, "mame_l0-3_t0.8", 0, 0},
    {{.merge = "mame", .scope = "batch"}, &deit_s, "mame_l0-7_t0.8_batch", 0, 0},
    {{.merge = "mame", .layers = "3,6,9", .tau = "0.5", .forced = "merge"}, &deit_s, "mame_l3+6+9_t0.5_forced-merge", 0, 0},
    {{.merge = "mame", .layers = "2-3,11", .tau = "0.9,0.8,0.7"}, &deit_s, "mame_l2-3+11_t0.9+0.8+0.7", 0, 0},
    {{.merge = "mame", .weights = "mass", .layers = "2-11", .tau = ".85", .restore = "11", .restore_mode = "copy"},
     &dinov2_s,
     "mame-mass_l2-11_t0.85_mare11-copy",
     0,
     0},
    {{.merge = "mame", .pool = "mass"}, &mae_b, "mame_l0-7_t0.8_pool-mass", 0, 0},
    {{.merge = "mame", .partition = "random", .seed = "3", .refine = "off", .feature = "k-mean", .similarity = "dot"},
     &deit_s,
     "mame_l0-7_t0.8_unrefined_random3_k-mean_dot",
     0,
     0},
    {{.merge = "tome"}, &deit_s, "tome_r16", 0, 0},
    {{.merge = "tome"}, &mae_l, "tome_r8_prop-off", 0, 0},
    {{.merge = "tome"}, &mae_h, "tome_r7_prop-off", 0, 0},
    {{.merge = "tome", .prop_attn = "on"}, &mae_h, "tome_r7", 0, 0},
    {{.merge = "tome", .r = "18,12,6,0"}, &tiny4, "tome_l0-2_r18+12+6", 0, 0},
    {{.merge = "evit"}, &deit_s, "evit_l3+6+9_k0.7", 0, 0},
    {{.merge = "evit", .keep = "0.5", .fuse = true}, &mae_l, "evit_l6+12+18_k0.5_fused", 0, 0},
    {{.merge = "evit"}, &mae_h, "evit_l9+18+27_k0.7", 0, 0},
    {{.merge = "diffrate"}, &deit_s, "diffrate_deit_small:2.3", 0, 0},
    {{.merge = "diffrate"}, &deit_b, "diffrate_deit_base:8.7", 0, 0},
    {{.merge = "diffrate"}, &mae_b, "diffrate_mae_base:8.7", 0, 0},
    {{.merge = "diffrate", .rates = "10"}, &mae_b, "diffrate_mae_base:10.0", 0, 0},
    {{.merge = "diffrate"}, &mae_l, "diffrate_mae_large:31.0", 0, 0},
    {{.merge = "diffrate", .rates = "103.4"}, &mae_h, "diffrate_mae_huge:103.4", 0, 0},
    {{.merge = "diffrate", .rates_from = "deit_small:2.9"}, &dinov2_s, "diffrate_deit_small:2.9_scaled257", 0, 0},

    {{.tau = "0.5"}, &deit_s, 0, "merge-words", "--tau means nothing without --merge"},
    {{.merge = "tome", .tau = "0.5"}, &deit_s, 0, "merge-words", "--tau means nothing to --merge tome"},
    {{.merge = "table1_mame_deit_b", .tau = "0.5"}, &deit_b, 0, "merge-words", "says such things itself"},
    {{.merge = "mame", .restore_mode = "copy"}, &deit_s, 0, "merge-words", "--restore-mode"},
    {{.merge = "mame", .seed = "1"}, &deit_s, 0, "merge-words", "--merge-seed"},
    {{.merge = "tome", .restore = "11"}, &deit_s, 0, "merge-words", "--restore"},
    {{.merge = "mama"}, &deit_s, 0, "schedule-unknown", "fig4_default"},
    {{.merge = ""}, &deit_s, 0, "schedule-unknown", "no method"},
    {{.merge = "no/such.json"}, &deit_s, 0, "open", "no/such.json"},
    {{.merge = "diffrate.json"}, &deit_s, 0, "open", "diffrate.json"},
    {{.merge = "mame", .rule = "alg2"}, &deit_s, 0, "schedule-word", "--rule is 'alg2'; it can be one of: alg1, similarity"},
    {{.merge = "mame", .scope = "union"}, &deit_s, 0, "schedule-word", "--merge-scope"},
    {{.merge = "mame", .refine = "yes"}, &deit_s, 0, "schedule-word", "--refine"},
    {{.merge = "mame", .tau = "-0.1"}, &deit_s, 0, "schedule-range", "--tau has the value -0.1"},
    {{.merge = "mame", .tau = "nan"}, &deit_s, 0, "schedule-range", "--tau is 'nan'"},
    {{.merge = "mame", .tau = "inf"}, &deit_s, 0, "schedule-range", "--tau"},
    {{.merge = "mame", .tau = "1e999"}, &deit_s, 0, "schedule-range", "--tau"},
    {{.merge = "mame", .tau = "0x1"}, &deit_s, 0, "schedule-range", "--tau"},
    {{.merge = "mame", .tau = "0.8,"}, &deit_s, 0, "schedule-range", "--tau"},
    {{.merge = "mame", .tau = "0.8,0.7"}, &deit_s, 0, "schedule-list", "2 values for 8 layers"},
    {{.merge = "mame", .layers = "0-12"}, &deit_s, 0, "schedule-layer", "--merge-layers names block 12"},
    {{.merge = "mame", .layers = "7-0"}, &deit_s, 0, "schedule-layer", "--merge-layers is '7-0'"},
    {{.merge = "mame", .layers = "0-99999999999"}, &deit_s, 0, "schedule-layer", "--merge-layers"},
    {{.merge = "mame", .layers = "1,2,1"}, &deit_s, 0, "two-reducers", "names block 1 twice"},
    {{.merge = "mame", .prop_attn = "on"}, &deit_s, 0, "sizes", "--prop-attn is on"},
    {{.merge = "mame", .layers = "3-7", .restore = "2"}, &deit_s, 0, "mare-first", "--restore restores at block 2"},
    {{.merge = "mame", .restore = "12"}, &deit_s, 0, "schedule-layer", "--restore names block 12"},
    {{.merge = "mame", .restore = "7,8"}, &deit_s, 0, "schedule-list", "--restore"},
    {{.merge = "mame", .partition = "random", .seed = "-1"}, &deit_s, 0, "schedule-range", "--merge-seed"},
    {{.merge = "tome"}, &tiny4, 0, "schedule-default", "--r has no default for the 4 blocks"},
    {{.merge = "tome", .r = "197"}, &deit_s, 0, "schedule-range", "only 196 tokens that can merge"},
    {{.merge = "tome", .r = "1.5"}, &deit_s, 0, "schedule-range", "whole number"},
    {{.merge = "tome", .r = "1,1,1,1,1"}, &tiny4, 0, "schedule-list", "--r has 5 values"},
    {{.merge = "tome", .scope = "batch"}, &deit_s, 0, "scope", "--merge-scope is batch"},
    {{.merge = "evit"}, &tiny4, 0, "schedule-default", "--merge-layers"},
    {{.merge = "evit", .keep = "0"}, &deit_s, 0, "schedule-range", "above 0 and at most 1"},
    {{.merge = "evit", .keep = "1.01"}, &deit_s, 0, "schedule-range", "--keep"},
    {{.merge = "evit"}, &siglip, 0, "class-token", "siglip has no class token"},
    {{.merge = "evit"}, &distilled, 0, "distilled", "deit_small_distilled has 2"},
    {{.merge = "evit", .pool = "mass"}, &mae_b, 0, "sizes", "evit keeps no sizes"},
    {{.merge = "diffrate"}, &dinov2_s, 0, "rates-unknown", "--rates-from"},
    {{.merge = "diffrate", .rates = "9.9"}, &deit_s, 0, "rates-unknown", "2.3, 2.5, 2.7, 2.9, 3.1"},
    {{.merge = "diffrate", .rates_from = "swin:1"}, &deit_s, 0, "rates-unknown", "deit_tiny, deit_small"},
    {{.merge = "diffrate", .rates_from = "mae_large:31.0"}, &deit_s, 0, "rates-depth", "24 blocks, but deit_small has 12"},
    {{.merge = "diffrate", .rates = "2.3", .rates_from = "deit_small:2.3"}, &deit_s, 0, "schedule-list", "contradict"},
    {{.merge = "diffrate", .rates_from = "deit_small:2.3"}, &distilled, 0, "distilled", "special token"},
    {{.merge = "diffrate", .rates_from = "mae_base:8.7"}, &siglip, 0, "class-token", "no class token"},
};

Test(schedule, words)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const case_of_words *c = &words[i];
        vr_schedule          s;
        vr_error             err = {0};
        vr_status            status = vr_schedule_make(&s, "configs", &c->words, c->model, &err);
        if (c->name) {
            cr_expect_eq(status, VR_OK, "%zu: %s", i, err.text);
            cr_expect_str_eq(vr_schedule_name(&s).text, c->name);
        } else {
            cr_expect_neq(status, VR_OK, "%zu (%s) was accepted", i, c->rule);
            cr_expect_str_eq(err.rule ? err.rule : "", c->rule, "%zu: %s: %s", i, err.rule ? err.rule : "", err.text);
            cr_expect(strstr(err.text, c->found), "%zu: %s", i, err.text);
            cr_expect(s.steps == NULL && s.count == 0);
        }
        vr_schedule_free(&s);
    }
}

/* Broken if it fails: two settings that compute differently would share a row of a table. */
Test(schedule, names_tell_settings_apart)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        for (size_t j = 0; j < i; j++) {
            const char *a = words[i].name, *b = words[j].name;
            bool        alike =
                words[i].words.merge == NULL || strcmp(words[i].words.merge, "none") == 0 ||
                (words[j].words.merge && strcmp(words[i].words.merge, "mame") == 0 && words[i].model != words[j].model);
            if (a && b && !alike) cr_expect_str_neq(a, b, "%zu and %zu", j, i);
        }
}

/* ---- what the defaults are, number by number ---- */

static void make(vr_schedule *s, vr_merge_words w, const vr_merge_model *m)
{
    vr_error err = {0};
    cr_assert_eq(vr_schedule_make(s, "configs", &w, m, &err), VR_OK, "%s", err.text);
}

Test(schedule, defaults_of_mame_and_evit)
{
    vr_schedule s;
    make(&s, (vr_merge_words){.merge = "mame"}, &deit_s);
    cr_expect(s.count == 8 && s.pool == VR_MERGE_POOL_PLAIN && !s.proportional && s.scope == VR_SCOPE_IMAGE);
    for (int l = 0; l < 12; l++) {
        const vr_step *t = vr_schedule_at(&s, l, false);
        cr_expect_eq(t != NULL, l < 8);
        if (!t) continue;
        cr_expect(t->tau == 0.8 && t->refine && t->rule == VR_RULE_ALG1 && t->partition == VR_PARTITION_ALTERNATING);
        cr_expect(t->feature == VR_FEATURE_X && t->similarity == VR_SIMILARITY_COSINE && t->forced == VR_FORCED_NONE);
    }
    vr_schedule_free(&s);
    make(&s, (vr_merge_words){.merge = "mame", .weights = "mass", .restore = "7"}, &mae_b);
    cr_expect(s.count == 9 && s.pool == VR_MERGE_POOL_MASS && s.proportional);
    cr_expect(s.steps[7].method == VR_MAME && s.steps[8].method == VR_MARE && vr_schedule_at(&s, 7, true) == &s.steps[8]);
    vr_schedule_free(&s);
    make(&s, (vr_merge_words){.merge = "evit", .keep = "0.9,0.8,0.7"}, &deit_s);
    cr_expect(s.count == 3 && vr_schedule_at(&s, 9, false)->keep == 0.7 && !s.steps[0].fuse && !s.proportional);
    vr_schedule_free(&s);
}

Test(schedule, defaults_of_tome_and_diffrate)
{
    vr_schedule s;
    make(&s, (vr_merge_words){.merge = "tome"}, &deit_s);
    cr_expect(s.count == 12 && s.steps[11].r == 16 && s.proportional && s.pool == VR_MERGE_POOL_MASS);
    vr_schedule_free(&s);
    make(&s, (vr_merge_words){.merge = "diffrate"}, &mae_b);
    cr_expect(s.proportional && s.pool == VR_MERGE_POOL_MASS && vr_schedule_at(&s, 0, false) == NULL);
    cr_expect(vr_schedule_at(&s, 1, false)->prune == 192 && vr_schedule_at(&s, 1, false)->merge == 176);
    cr_expect_null(vr_schedule_at(&s, 11, false)); /* leaves the 23 that are there */
    vr_schedule_free(&s);
    make(&s, (vr_merge_words){.merge = "diffrate", .rates_from = "deit_small:2.9"}, &dinov2_s);
    cr_expect_null(vr_schedule_at(&s, 0, false));                           /* 197 of 197 stays all */
    cr_expect(vr_schedule_at(&s, 11, false)->prune == 4 && s.rates_scaled); /* 3 * 257 / 197 */
    cr_expect_eq(vr_schedule_at(&s, 2, false)->prune, 248);                 /* 190 * 257 / 197 = 247.87 */
    vr_schedule_free(&s);
}

/* ---- files ---- */

typedef struct {
    const char           *text;
    const vr_merge_model *model;
    const char           *name;
    const char           *rule, *found;
} case_of_file;

#define STEPS(steps) "{\"name\":\"x\",\"steps\":[" steps "]}"
#define MAME(more)   STEPS("{\"method\":\"mame\"" more "}")

static const case_of_file files[] = {
    /* The options of golden/reduced. */
    {STEPS("{\"method\":\"mame\",\"layers\":[]}"), &tiny4, "none", 0, 0},
    {MAME(",\"layers\":[0,1,2,3],\"tau\":[0.8,0.8,0.8,0.8]"), &tiny4, "mame_l0-3_t0.8", 0, 0},
    {MAME(",\"layers\":[0,2],\"tau\":[0.9,0.8],\"refine\":false"), &tiny4, "mame_l0+2_t0.9+0.8_unrefined", 0, 0},
    {MAME(",\"layers\":[0,2],\"tau\":[0.5,0.5],\"forced\":\"merge\""), &tiny4, "mame_l0+2_t0.5_forced-merge", 0, 0},
    {MAME(",\"layers\":\"0-1\",\"tau\":0.6,\"feature\":\"k-mean\",\"forced\":null"), &tiny3, "mame_l0-1_t0.6_k-mean", 0, 0},
    {MAME(",\"layers\":[1,2],\"tau\":0.7,\"partition\":\"sequential\""), &tiny4, "mame_l1-2_t0.7_sequential", 0, 0},
    {MAME(",\"layers\":[0,3],\"tau\":0.7,\"rule\":\"similarity\""), &tiny4, "mame_l0+3_t0.7_rule-similarity", 0, 0},
    {"{\"name\":\"x\",\"scope\":\"batch\",\"steps\":[{\"method\":\"mame\",\"layers\":[0,1],\"tau\":0.8}]}", &tiny4,
     "mame_l0-1_t0.8_batch", 0, 0},
    {"{\"name\":\"x\",\"pool\":\"mass\",\"steps\":[{\"method\":\"mame\",\"layers\":[0,1,2],\"tau\":0.8}]}", &tiny3,
     "mame_l0-2_t0.8_pool-mass", 0, 0},
    {STEPS("{\"method\":\"tome\",\"r\":[40,40,40,40]}"), &tiny4, "tome_r40", 0, 0},
    {"{\"name\":\"x\",\"prop_attn\":\"off\",\"steps\":[{\"method\":\"tome\",\"r\":[8,0,6,0]}]}", &tiny4,
     "tome_l0+2_r8+6_prop-off", 0, 0},
    {STEPS("{\"method\":\"tome\",\"r\":9,\"inflect\":-1}"), &tiny4, "tome_l0-2_r18+12+6", 0, 0},
    {STEPS("{\"method\":\"tome\",\"r\":9,\"inflect\":-1}"), &tiny3, "tome_l0-1_r18+9_prop-off", 0, 0},
    {STEPS("{\"method\":\"evit\",\"keep\":0.5,\"layers\":[1,3],\"fuse\":true}"), &tiny4, "evit_l1+3_k0.5_fused", 0, 0},
    {STEPS("{\"method\":\"evit\",\"keep\":0.5,\"layers\":[0,2]}"), &tiny3, "evit_l0+2_k0.5", 0, 0},
    {STEPS("{\"method\":\"diffrate\",\"prune\":[65,57,45,35],\"merge\":[65,51,38,26]}"), &tiny4,
     "diffrate_l1-3_p57+45+35_m51+38+26", 0, 0},
    {STEPS("{\"method\":\"diffrate\",\"prune\":[65,65,65,20],\"merge\":[64,64,64,3]}"), &tiny4, "diffrate_l0+3_p65+20_m64+3", 0,
     0},

    {MAME(",\"layers\":[5,1]") "", &deit_s, "mame_l1+5_t0.8", 0, 0},
    {STEPS("{\"method\":\"mare\",\"layer\":4},{\"method\":\"mame\",\"layers\":\"0-3\"},{\"method\":\"mame\",\"layers\":"
           "\"6-7\"},{\"method\":\"mare\",\"layer\":11,\"mode\":\"copy\"}"),
     &deit_s, "mame_l0-3+6-7_t0.8_mare4-paper_mare11-copy", 0, 0},

    {"[]", &deit_s, 0, "schedule-type", "must be an object"},
    {"{\"steps\":[]}", &deit_s, 0, "schedule-missing", "name is missing"},
    {"{\"name\":\"x\"}", &deit_s, 0, "schedule-missing", "steps must be a list"},
    {"{\"name\":\"../x\",\"steps\":[]}", &deit_s, 0, "schedule-range", "name is '../x'"},
    {"{\"name\":\"x\",\"steps\":[],\"step\":1}", &deit_s, 0, "unknown-key", "step"},
    {"{\"name\":\"x\",\"steps\":{}}", &deit_s, 0, "schedule-type", "an object"},
    {"{\"name\":7,\"steps\":[]}", &deit_s, 0, "schedule-type", "name must be a string; found a number"},
    {"{\"name\":\"x\",\"scope\":\"union\",\"steps\":[]}", &deit_s, 0, "schedule-word", "image, batch"},
    {"{\"name\":\"x\",\"pool\":null,\"steps\":[]}", &deit_s, 0, "schedule-type", "null"},
    {STEPS("7"), &deit_s, 0, "schedule-type", "steps[0] must be an object"},
    {STEPS("{}"), &deit_s, 0, "schedule-missing", "steps[0].method"},
    {STEPS("{\"method\":\"pitome\"}"), &deit_s, 0, "schedule-word", "steps[0].method is 'pitome'"},
    {MAME(",\"r\":8"), &deit_s, 0, "unknown-key", "'r'"},
    {MAME(",\"tau\":-1"), &deit_s, 0, "schedule-range", "steps[0].tau has the value -1"},
    {MAME(",\"tau\":1e7"), &deit_s, 0, "schedule-range", "steps[0].tau"},
    {MAME(",\"tau\":1e999"), &deit_s, 0, "number-range", "too large"},
    {MAME(",\"tau\":NaN"), &deit_s, 0, "json-syntax", ""},
    {MAME(",\"tau\":\"0.8\""), &deit_s, 0, "schedule-type", "found a string"},
    {MAME(",\"tau\":[]"), &deit_s, 0, "schedule-type", "steps[0].tau"},
    {MAME(",\"tau\":[0.8,null]"), &deit_s, 0, "schedule-type", "found null"},
    {MAME(",\"tau\":[0.8,0.7]"), &deit_s, 0, "schedule-list", "2 values for 8 layers"},
    {MAME(",\"layers\":[12]"), &deit_s, 0, "schedule-layer", "deit_small has blocks 0 to 11"},
    {MAME(",\"layers\":[-1]"), &deit_s, 0, "schedule-layer", "block -1"},
    {MAME(",\"layers\":[0.5]"), &deit_s, 0, "schedule-layer", "block 0.5"},
    {MAME(",\"layers\":[1e300]"), &deit_s, 0, "schedule-layer", "block 1e+300"},
    {MAME(",\"layers\":3"), &deit_s, 0, "schedule-type", "steps[0].layers"},
    {MAME(",\"layers\":\"\""), &deit_s, 0, "schedule-layer", "steps[0].layers"},
    {MAME(",\"seed\":1"), &deit_s, 0, "unknown-key", "random"},
    {MAME(",\"partition\":\"random\",\"share\":0"), &deit_s, 0, "schedule-range", "share"},
    {MAME(",\"partition\":\"random\",\"seed\":1.5"), &deit_s, 0, "schedule-type", "seed"},
    {MAME(",\"refine\":1"), &deit_s, 0, "schedule-type", "true or false"},
    {MAME(",\"tau\":0.8},{\"method\":\"mame\",\"layers\":\"7-9\""), &deit_s, 0, "two-reducers",
     "steps[1].layers names block 7"},
    {MAME(",\"layers\":\"0-3\"},{\"method\":\"tome\",\"r\":2,\"layers\":\"4-7\""), &deit_s, 0, "mixed-methods", "mame"},
    {MAME(",\"layers\":\"0\"},{\"method\":\"mame\",\"weights\":\"mass\",\"layers\":\"4\""), &deit_s, 0, "mixed-methods",
     "mass"},
    {STEPS("{\"method\":\"mare\",\"layer\":3}"), &deit_s, 0, "mare-first", "nothing was merged"},
    {STEPS("{\"method\":\"mare\"}"), &deit_s, 0, "schedule-missing", "steps[0].layer"},
    {MAME("},{\"method\":\"mare\",\"layer\":8},{\"method\":\"mare\",\"layer\":9"), &deit_s, 0, "mare-first", "block 9"},
    {STEPS("{\"method\":\"tome\"},{\"method\":\"mare\",\"layer\":11}"), &deit_s, 0, "mare-method", "undoes only mame"},
    {STEPS("{\"method\":\"tome\",\"r\":-1}"), &deit_s, 0, "schedule-range", "steps[0].r"},
    {STEPS("{\"method\":\"tome\",\"r\":197}"), &deit_s, 0, "schedule-range", "only 196"},
    {STEPS("{\"method\":\"tome\",\"r\":120,\"inflect\":-1}"), &deit_s, 0, "schedule-range", "240 at block 0"},
    {STEPS("{\"method\":\"tome\",\"r\":8,\"inflect\":-2}"), &deit_s, 0, "schedule-range", "inflect"},
    {STEPS("{\"method\":\"tome\",\"r\":[8,8],\"inflect\":0}"), &deit_s, 0, "schedule-list", "inflect"},
    {STEPS("{\"method\":\"evit\",\"keep\":0}"), &deit_s, 0, "schedule-range", "keep"},
    {STEPS("{\"method\":\"evit\"}"), &siglip, 0, "class-token", "siglip"},
    {STEPS("{\"method\":\"diffrate\",\"prune\":[65,57,45],\"merge\":[65,51,38]}"), &tiny4, 0, "schedule-list", "4 blocks"},
    {STEPS("{\"method\":\"diffrate\",\"prune\":[65,57,45]}"), &tiny3, 0, "schedule-missing", "merge has 0 values"},
    {STEPS("{\"method\":\"diffrate\",\"prune\":[66,57,45],\"merge\":[65,51,38]}"), &tiny3, 0, "schedule-range", "66 tokens"},
    {STEPS("{\"method\":\"diffrate\",\"prune\":[0,57,45],\"merge\":[65,51,38]}"), &tiny3, 0, "schedule-range", "prune"},
    {STEPS("{\"method\":\"diffrate\",\"rates\":8.7}"), &deit_b, 0, "schedule-type", "rates must be a string"},
    {STEPS("{\"method\":\"diffrate\",\"rates\":\"8.7\",\"prune\":[1]}"), &deit_b, 0, "schedule-list", "contradict"},
};

/* Broken if it fails: a schedule of golden/reduced cannot be written as a file, or a bad file passes. */
Test(schedule, files, .init = scratch_begin, .fini = scratch_end)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const case_of_file *c = &files[i];
        vr_schedule         s;
        vr_error            err = {0};
        scratch_text("case.json", c->text);
        vr_status status = vr_schedule_read(&s, "configs", scratch_path("case.json"), c->model, &err);
        if (c->name) {
            cr_expect_eq(status, VR_OK, "%zu: %s", i, err.text);
            cr_expect_str_eq(vr_schedule_name(&s).text, c->name);
        } else {
            cr_expect_neq(status, VR_OK, "%zu (%s) was accepted", i, c->rule);
            cr_expect_str_eq(err.rule ? err.rule : "", c->rule, "%zu: %s: %s", i, err.rule ? err.rule : "", err.text);
            cr_expect(strstr(err.text, c->found), "%zu: %s", i, err.text);
            cr_expect(strstr(err.text, "case.json"), "%zu does not name the file: %s", i, err.text);
        }
        vr_schedule_free(&s);
    }
}

/* Broken if it fails: a list that is too long for its array writes behind it. */
Test(schedule, huge_lists, .init = scratch_begin, .fini = scratch_end)
{
    static const char *const forms[][3] = {{"{\"method\":\"mame\",\"tau\":[", "0.8", "]}"},
                                           {"{\"method\":\"mame\",\"layers\":[", "1", "]}"},
                                           {"{\"method\":\"tome\",\"r\":[", "0", "]}"},
                                           {"{\"method\":\"diffrate\",\"merge\":[1],\"prune\":[", "9", "]}"},
                                           {"", "{\"method\":\"tome\",\"layers\":[]}", ""}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        vr_schedule s;
        vr_error    err = {0};
        FILE       *f = fopen(scratch_path("long.json"), "w");
        cr_assert(f);
        fprintf(f, "{\"name\":\"x\",\"steps\":[%s", forms[i][0]);
        for (int n = 0; n < 20000; n++) fprintf(f, "%s%s", n ? "," : "", forms[i][1]);
        fprintf(f, "%s]}", forms[i][2]);
        fclose(f);
        cr_expect_neq(vr_schedule_read(&s, "configs", scratch_path("long.json"), &mae_h, &err), VR_OK, "%zu", i);
        cr_expect(strcmp(err.rule, "schedule-list") == 0 || strcmp(err.rule, "two-reducers") == 0, "%zu: %s", i, err.text);
    }
}

/* Broken if it fails: some damaged file is neither read nor refused with a sentence. */
Test(schedule, mutants, .init = scratch_begin, .fini = scratch_end, .timeout = 120)
{
    static const vr_merge_model *const models[] = {&deit_s, &mae_l, &tiny4, &siglip, &distilled};
    static const char                  bytes[] = "{}[]\",:-+.0123456789enulltruefalsmixk\x00\xff";
    uint64_t                           random = 42;
    for (int n = 0; n < 6000; n++) {
        char        text[600];
        const char *from = files[scratch_random(&random) % 18].text; /* the good ones */
        size_t      length = strlen(from);
        memcpy(text, from, length);
        for (uint64_t edits = 1 + scratch_random(&random) % 4; edits > 0; edits--) {
            size_t at = scratch_random(&random) % length;
            if (scratch_random(&random) % 4 == 0 && length > 2)
                memmove(text + at, text + at + 1, --length - at);
            else
                text[at] = bytes[scratch_random(&random) % (sizeof bytes - 1)];
        }
        vr_schedule s;
        vr_error    err = {0};
        scratch_write("mutant.json", text, length);
        vr_status status =
            vr_schedule_read(&s, "configs", scratch_path("mutant.json"), models[scratch_random(&random) % 5], &err);
        if (status == VR_OK)
            cr_expect(vr_schedule_name(&s).text[0]);
        else
            cr_expect(err.text[0] && s.steps == NULL);
        vr_schedule_free(&s);
    }
}

/* The same for the words of a command line. */
Test(schedule, mutants_of_words, .timeout = 120)
{
    static const char *const merges[] = {"mame", "tome", "evit", "diffrate", "table1_mame_deit_b"};
    static const char        bytes[] = "0123456789,-.e+x:_k ";
    uint64_t                 random = 7;
    for (int n = 0; n < 4000; n++) {
        char text[40];
        for (size_t i = 0; i < sizeof text; i++) text[i] = bytes[scratch_random(&random) % (sizeof bytes - 1)];
        text[1 + scratch_random(&random) % 12] = 0;
        vr_merge_words w = {.merge = merges[n % 5]};
        *(const char **[]){
            &w.tau, &w.layers, &w.r, &w.keep, &w.rates, &w.rates_from, &w.seed, &w.restore}[scratch_random(&random) % 8] = text;
        if (w.seed) w.partition = "random";
        vr_schedule s;
        vr_error    err = {0};
        vr_status   status = vr_schedule_make(&s, "configs", &w, &deit_b, &err);
        cr_expect(status == VR_OK || err.text[0]);
        vr_schedule_free(&s);
    }
}

/* ---- written ---- */

/* Broken if it fails: the file that `tune` writes is another schedule than the one it measured. */
Test(schedule, what_is_written_is_read_back_as_the_same, .init = scratch_begin, .fini = scratch_end)
{
    static const vr_merge_words asked[] = {
        {.merge = "mame", .tau = "0.9,0.8125,0.7", .layers = "1,4,7", .restore = "9", .restore_mode = "copy"},
        {.merge = "mame", .weights = "mass", .rule = "similarity", .refine = "off", .partition = "random", .seed = "7"},
        {.merge = "mame", .feature = "k-mean", .similarity = "dot", .tau = "12.5", .scope = "batch", .forced = "drop"},
        {.merge = "tome", .r = "13", .prop_attn = "off"},
        {.merge = "evit", .keep = "0.123456789", .fuse = true},
        {.merge = "diffrate", .rates_from = "deit_small:2.9"},
        {.merge = "none"},
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        vr_error    err = {0};
        vr_schedule made, again;
        cr_assert_eq(vr_schedule_make(&made, "configs", &asked[i], &dinov2_s, &err), VR_OK, "%zu: %s", i, err.text);
        FILE *f = fopen(scratch_path("s.json"), "w");
        vr_schedule_write(f, &made, "tuned", "a \"quoted\" source\n", "dinov2_small");
        fclose(f);
        cr_assert_eq(vr_schedule_read(&again, "configs", scratch_path("s.json"), &dinov2_s, &err), VR_OK, "%zu: %s", i,
                     err.text);
        cr_expect_eq(again.count, made.count);
        for (int k = 0; k < made.count && k < again.count; k++)
            cr_expect_eq(memcmp(&again.steps[k], &made.steps[k], sizeof *made.steps), 0, "schedule %zu, step %d", i, k);
        cr_expect_eq(again.scope, made.scope);
        cr_expect_eq(again.proportional, made.proportional);
        cr_expect_str_eq(again.source, "a \"quoted\" source\n");
        vr_schedule_free(&made);
        vr_schedule_free(&again);
    }
}
