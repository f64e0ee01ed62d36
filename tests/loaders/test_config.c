/* Model descriptions: ours, timm's, transformers'; what is not supported is refused by its name. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../loaders/config.h"
#include "scratch.h"

/* Broken if it fails: a description in configs/models is not readable, or an alias does not find it. */
Test(config, every_description_is_valid)
{
    DIR           *dir = opendir("configs/models");
    struct dirent *d;
    int            count = 0;
    cr_assert(dir);
    while ((d = readdir(dir))) {
        char     *dot = strstr(d->d_name, ".json");
        vr_config c;
        vr_error  err = {0};
        if (!dot) continue;
        *dot = 0;
        cr_expect_eq(vr_config_read_arch(&c, "configs", d->d_name, &err), VR_OK, "%s", err.text);
        cr_expect_str_eq(c.name, d->d_name);
        vr_config_free(&c);
        count++;
    }
    closedir(dir);
    cr_expect(count >= 16);
}

Test(config, aliases_and_unknown_names)
{
    vr_config c;
    vr_error  err = {0};
    cr_assert_eq(vr_config_read_arch(&c, "configs", "deit_base", &err), VR_OK, "%s", err.text);
    cr_expect_str_eq(c.name, "deit_base_patch16_224");
    cr_expect_str_eq(c.recipe.name, "bicubic-248-crop224");
    cr_expect_eq(vr_config_read_arch(&c, "configs", "resnet50", &err), VR_E_USAGE);
    cr_expect(strstr(err.text, "deit_small_patch16_224"), "%s", err.text);
}

typedef struct {
    const char *what, *text;
    vr_status   code;
    const char *words;
} case_of_config;

#define TIMM(more) "{\"architecture\":\"vit_tiny_patch16_224\",\"num_classes\":10" more "}"
#define HF(more)                                                                                                          \
    "{\"model_type\":\"vit\",\"hidden_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":3,\"intermediate_size\":" \
    "96" more "}"

static const case_of_config cases[] = {
    {"timm, plain", TIMM(""), VR_OK, NULL},
    {"timm, tagged", "{\"architecture\":\"vit_tiny_patch16_224.augreg_in21k\",\"num_classes\":10}", VR_OK, NULL},
    {"timm, unknown architecture", "{\"architecture\":\"swin_base\"}", VR_E_MODEL, "swin_base"},
    {"timm, architecture a number", "{\"architecture\":7}", VR_E_MODEL, "must be a text"},
    {"timm, an option that changes arithmetic", TIMM(",\"model_args\":{\"qk_norm\":true}"), VR_E_MODEL, "qk_norm"},
    {"timm, registers", TIMM(",\"model_args\":{\"reg_tokens\":4}"), VR_E_MODEL, "reg_tokens"},
    {"timm, no qkv bias", TIMM(",\"model_args\":{\"qkv_bias\":false}"), VR_E_MODEL, "qkv_bias"},
    {"timm, max pooling", TIMM(",\"global_pool\":\"max\""), VR_E_MODEL, "max"},
    {"timm, four channels", TIMM(",\"model_args\":{\"in_chans\":4}"), VR_E_MODEL, "in_chans"},
    {"timm, heads that do not divide", TIMM(",\"model_args\":{\"num_heads\":7}"), VR_E_MODEL, "7 heads"},
    {"timm, a depth of 0", TIMM(",\"model_args\":{\"depth\":0}"), VR_E_MODEL, "depth"},
    {"timm, a depth of 10^9", TIMM(",\"model_args\":{\"depth\":1000000000}"), VR_E_MODEL, "depth"},
    {"timm, a fractional depth", TIMM(",\"model_args\":{\"depth\":1.5}"), VR_E_MODEL, "whole number"},
    {"timm, an image of 2^20", TIMM(",\"model_args\":{\"img_size\":1048576,\"patch_size\":1}"), VR_E_MODEL, "img_size"},
    {"timm, too many tokens", TIMM(",\"model_args\":{\"img_size\":8192,\"patch_size\":16}"), VR_E_MODEL, "tokens"},
    {"timm, an image that is no multiple", TIMM(",\"model_args\":{\"img_size\":225}"), VR_E_MODEL, "patches of 16"},
    {"timm, a negative mlp_ratio", TIMM(",\"model_args\":{\"mlp_ratio\":-4}"), VR_E_MODEL, "mlp_ratio"},
    {"timm, std of 0", TIMM(",\"pretrained_cfg\":{\"std\":[0.5,0,0.5]}"), VR_E_MODEL, "std"},
    {"timm, std of 0 as a float", TIMM(",\"pretrained_cfg\":{\"std\":[0.5,1e-60,0.5]}"), VR_E_MODEL, "std"},
    {"timm, an infinite mean as a float", TIMM(",\"pretrained_cfg\":{\"mean\":[0.5,1e300,0.5]}"), VR_E_MODEL, "mean"},
    {"timm, two means", TIMM(",\"pretrained_cfg\":{\"mean\":[0.5,0.5]}"), VR_E_MODEL, "mean"},
    {"timm, crop_pct of 0", TIMM(",\"pretrained_cfg\":{\"crop_pct\":0}"), VR_E_MODEL, "crop_pct"},
    {"timm, lanczos", TIMM(",\"pretrained_cfg\":{\"interpolation\":\"lanczos\"}"), VR_E_MODEL, "lanczos"},
    {"timm, a pretrained_cfg that is a list", TIMM(",\"pretrained_cfg\":[]"), VR_E_MODEL, "pretrained_cfg"},
    {"timm, a pretrained_cfg of null", TIMM(",\"pretrained_cfg\":null"), VR_OK, NULL},
    {"timm, border crops", TIMM(",\"pretrained_cfg\":{\"crop_mode\":\"border\"}"), VR_E_MODEL, "border"},
    {"timm, labels that are no texts", TIMM(",\"label_names\":[1,2]"), VR_E_MODEL, "label_names"},
    {"transformers, plain", HF(""), VR_OK, NULL},
    {"transformers, swin", "{\"model_type\":\"swin\"}", VR_E_MODEL, "swin"},
    {"transformers, tanh GELU", HF(",\"hidden_act\":\"gelu_new\""), VR_E_MODEL, "gelu_new"},
    {"transformers, no bias", HF(",\"qkv_bias\":false"), VR_E_MODEL, "qkv_bias"},
    {"transformers, SwiGLU",
     "{\"model_type\":\"dinov2\",\"hidden_size\":48,\"num_hidden_layers\":2,\"num_attention_heads\":3,"
     "\"image_size\":28,\"use_swiglu_ffn\":true}",
     VR_E_MODEL, "use_swiglu_ffn"},
    {"transformers, an epsilon of 0", HF(",\"layer_norm_eps\":0"), VR_E_MODEL, "epsilon"},
    {"transformers, a label missing", HF(",\"id2label\":{\"0\":\"a\",\"2\":\"b\"}"), VR_E_MODEL, "id2label"},
    {"transformers, a label twice", HF(",\"id2label\":{\"0\":\"a\",\"00\":\"b\"}"), VR_E_MODEL, "id2label"},
    {"transformers, a width of -1", "{\"model_type\":\"vit\",\"hidden_size\":-1}", VR_E_MODEL, "hidden_size"},
    {"transformers, no width", "{\"model_type\":\"vit\"}", VR_E_MODEL, "width"},
    {"neither", "{\"hello\":1}", VR_E_MODEL, "--arch"},
    {"not an object", "[1]", VR_E_MODEL, "--arch"},
    {"an architecture of null", "{\"architecture\":null}", VR_E_MODEL, "--arch"},
    {"a model_type of null", "{\"model_type\":null}", VR_E_MODEL, "--arch"},
    {"an architecture of null beside a model_type", HF(",\"architecture\":null"), VR_OK, NULL},
    {"broken JSON", "{\"architecture\":", VR_E_MODEL, "config.json"},
    {"a key twice", "{\"architecture\":\"vit_tiny_patch16_224\",\"architecture\":\"vit_base_patch16_224\"}", VR_E_MODEL,
     "architecture"},
    {"empty", "", VR_E_MODEL, "config.json"},
};

/* Broken if it fails: a config that means another model is run as one we know, or crashes the reader. */
Test(config, refusals_name_the_cause)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vr_config c = {0};
        vr_error  err = {0};
        bool      found = false;
        scratch_begin();
        scratch_text("config.json", cases[i].text);
        cr_expect_eq(vr_config_read_folder(&c, &found, "configs", scratch_path("."), &err), cases[i].code, "%s: %s",
                     cases[i].what, err.text);
        if (cases[i].words)
            cr_expect(strstr(err.text, cases[i].words), "%s: \"%s\" is not in: %s", cases[i].what, cases[i].words, err.text);
        vr_config_free(&c);
        scratch_end();
    }
}

static vr_config read_both(const char *config, const char *preprocessor)
{
    vr_config c = {0};
    vr_error  err = {0};
    bool      found = false;
    scratch_begin();
    scratch_text("config.json", config);
    if (preprocessor) scratch_text("preprocessor_config.json", preprocessor);
    cr_assert_eq(vr_config_read_folder(&c, &found, "configs", scratch_path("."), &err), VR_OK, "%s", err.text);
    scratch_end();
    return c;
}

/* Broken if it fails: pictures are resized or cropped to other sizes than timm's or transformers' own. */
Test(config, recipes)
{
    static const struct {
        const char *config, *preprocessor, *recipe;
        vr_resize   resize;
        vr_offset   offset;
    } table[] = {
        {TIMM(""), NULL, "bicubic-248-crop224", VR_RESIZE_SHORTER, VR_OFFSET_HALF_EVEN},
        {TIMM(",\"pretrained_cfg\":{\"crop_pct\":0.95}"), NULL, "bicubic-235-crop224", VR_RESIZE_SHORTER, VR_OFFSET_HALF_EVEN},
        {TIMM(",\"pretrained_cfg\":{\"crop_pct\":1.0,\"input_size\":[3,384,384]}"), NULL, "bicubic-384-crop384",
         VR_RESIZE_SHORTER, VR_OFFSET_HALF_EVEN},
        {TIMM(",\"pretrained_cfg\":{\"crop_mode\":\"squash\",\"crop_pct\":1.0,\"interpolation\":\"bilinear\"}"), NULL,
         "bilinear-squash224", VR_RESIZE_SQUASH, VR_OFFSET_HALF_EVEN},
        {TIMM(",\"pretrained_cfg\":{\"crop_mode\":\"squash\"}"), NULL, "bicubic-squash248-crop224", VR_RESIZE_SQUASH,
         VR_OFFSET_HALF_EVEN},
        {TIMM(",\"pretrained_cfg\":{\"input_size\":[3,224,448]}"), NULL, "bilinear-cover248x497-crop224x448", VR_RESIZE_COVER,
         VR_OFFSET_HALF_EVEN},
        {HF(""), NULL, "bilinear-squash224", VR_RESIZE_SQUASH, VR_OFFSET_FLOOR},
        {HF(""), "{\"size\":384,\"resample\":3}", "bicubic-squash384", VR_RESIZE_SQUASH, VR_OFFSET_FLOOR},
        {HF(""),
         "{\"size\":{\"shortest_edge\":256},\"crop_size\":{\"height\":224,\"width\":224},\"do_center_crop\":true,\"resample\":"
         "3}",
         "bicubic-256-crop224", VR_RESIZE_SHORTER, VR_OFFSET_FLOOR},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        vr_config c = read_both(table[i].config, table[i].preprocessor);
        cr_expect_str_eq(c.recipe.name, table[i].recipe);
        cr_expect_eq(c.recipe.resize, table[i].resize);
        cr_expect_eq(c.recipe.offset, table[i].offset);
        vr_config_free(&c);
    }
}

/* Broken if it fails: --img-size resizes with another ratio than the model's own. */
Test(config, other_sizes_keep_the_crop_ratio)
{
    vr_config c = read_both(TIMM(""), NULL);
    vr_error  err = {0};
    cr_assert_eq(vr_config_set_size(&c, 384, 384, &err), VR_OK);
    cr_expect_str_eq(c.recipe.name, "bicubic-426-crop384"); /* floor(384 / 0.9) */
    cr_assert_eq(vr_config_set_size(&c, 448, 224, &err), VR_OK);
    cr_expect_str_eq(c.recipe.name, "bilinear-cover497x248-crop448x224"); /* as timm's transforms_imagenet_eval has it */
    cr_assert_eq(vr_config_set_size(&c, 224, 224, &err), VR_OK);
    cr_expect_str_eq(c.recipe.name, "bicubic-248-crop224");
    cr_expect_eq(vr_config_set_size(&c, 100, 100, &err), VR_E_USAGE);
    cr_expect(strstr(err.text, "multiple of its patch side 16"), "%s", err.text);
    vr_config_free(&c);

    c = read_both(HF(""), "{\"size\":256,\"crop_size\":224,\"do_center_crop\":true}");
    cr_assert_eq(vr_config_set_size(&c, 384, 384, &err), VR_OK);
    cr_expect_str_eq(c.recipe.name, "bilinear-squash438-crop384");
    vr_config_free(&c);
}

/* Broken if it fails: what a file says wrongly is called a wrong use of the program, exit code 2. */
Test(config, a_size_that_does_not_fit_is_the_config_s_fault)
{
    vr_config c = {0};
    vr_error  err = {0};
    bool      found = false;
    scratch_begin();
    scratch_text("config.json", HF(""));
    scratch_text("preprocessor_config.json", "{\"size\":225}");
    cr_expect_eq(vr_config_read_folder(&c, &found, "configs", scratch_path("."), &err), VR_E_MODEL);
    cr_expect(strstr(err.text, "preprocessor_config.json") && strstr(err.text, "225x225"), "%s", err.text);
    cr_expect(!found);
    err = (vr_error){0};
    scratch_text("preprocessor_config.json", "[]");
    cr_expect_eq(vr_config_read_folder(&c, &found, "configs", scratch_path("."), &err), VR_E_MODEL);
    cr_expect(strstr(err.text, "must be an object"), "%s", err.text);
    scratch_end();
}

/* Broken if it fails: labels belong to other classes than the checkpoint's. */
Test(config, labels)
{
    vr_config c = read_both(HF(",\"id2label\":{\"1\":\"b\",\"0\":\"a\"}"), NULL);
    cr_assert_eq(c.label_count, 2);
    cr_expect_str_eq(c.label_names[0], "a");
    cr_expect_str_eq(c.label_names[1], "b");
    vr_config_free(&c);
    c = read_both("{\"architecture\":\"vit_tiny_patch16_224\",\"num_classes\":2,\"label_names\":[\"n1\",\"n2\"],\"label_"
                  "descriptions\":{\"n2\":\"two\"}}",
                  NULL);
    cr_assert_eq(c.label_count, 2);
    cr_expect_str_eq(c.label_names[0], "n1");
    cr_expect_str_eq(c.label_names[1], "two");
    cr_expect_str_eq(c.label_synsets[1], "n2");
    vr_config_free(&c);
}

/* Broken if it fails: a config of a few megabytes keeps the reader busy with looking its labels up. */
Test(config, many_labels_are_found_quickly, .timeout = 30)
{
    enum { MANY = 60000, EACH = 240 };
    char     *text = malloc((size_t)MANY * 2 * EACH), *at = text;
    vr_config c = {0};
    vr_error  err = {0};
    bool      found = false;
    cr_assert(text);
    at += sprintf(at, "{\"architecture\":\"vit_tiny_patch16_224\",\"num_classes\":%d,\"label_names\":[", MANY);
    for (int i = 0; i < MANY; i++) at += sprintf(at, "%s\"%0100d\"", i ? "," : "", i);
    at += sprintf(at, "],\"label_descriptions\":{");
    for (int i = MANY; i-- > 0;) at += sprintf(at, "\"%0100d\":\"w%d\"%s", i, i, i ? "," : "}}");
    scratch_begin();
    scratch_write("config.json", text, (size_t)(at - text));
    double started = vr_now();
    cr_assert_eq(vr_config_read_folder(&c, &found, "configs", scratch_path("."), &err), VR_OK, "%s", err.text);
    cr_expect(vr_now() - started < 4, "%g s", vr_now() - started);
    cr_expect_str_eq(c.label_names[12345], "w12345");
    vr_config_free(&c);
    scratch_end();
    free(text);
}
