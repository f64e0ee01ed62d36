/* Checkpoints that do not fit their description: each refused by rule, with both names or shapes in the sentence. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../engine/vitrun.h"
#include "../../loaders/checkpoint.h"
#include "../../loaders/file.h"
#include "scratch.h"

/* One change to a good checkpoint. */
typedef struct {
    const char *what;
    const char *tensor;
    enum { REMOVE, RENAME, RESHAPE, RETYPE, POISON, ADD, NOTHING } change;
    const char *to;   /* RENAME, ADD: a name */
    int         rank; /* RESHAPE */
    uint64_t    shape[4];
    vr_dtype    dtype; /* RETYPE */
    float       value; /* POISON */
    int         strict;
    int         code;  /* wanted */
    const char *words; /* wanted in the sentence */
} mutation;

static const mutation mutations[] = {
    {.what = "untouched", .change = NOTHING, .code = VITRUN_OK},
    {.what = "untouched and strict", .change = NOTHING, .strict = 1, .code = VITRUN_OK},
    {.what = "no patch projection",
     .tensor = "patch_embed.proj.weight",
     .change = REMOVE,
     .code = VITRUN_MODEL,
     .words = "none of its"},
    {.what = "no patch bias",
     .tensor = "patch_embed.proj.bias",
     .change = REMOVE,
     .code = VITRUN_MODEL,
     .words = "patch_embed.proj.bias"},
    {.what = "no class token", .tensor = "cls_token", .change = REMOVE, .code = VITRUN_MODEL, .words = "cls_token"},
    {.what = "no positions", .tensor = "pos_embed", .change = REMOVE, .code = VITRUN_MODEL, .words = "pos_embed"},
    {.what = "no qkv bias",
     .tensor = "blocks.2.attn.qkv.bias",
     .change = REMOVE,
     .code = VITRUN_MODEL,
     .words = "blocks.2.attn.qkv.bias"},
    {.what = "no final norm", .tensor = "norm.weight", .change = REMOVE, .code = VITRUN_MODEL, .words = "norm.weight"},
    {.what = "no head", .tensor = "head.weight", .change = REMOVE, .code = VITRUN_MODEL, .words = "head.weight"},
    {.what = "a misspelt name",
     .tensor = "blocks.0.norm1.weight",
     .change = RENAME,
     .to = "blocks.0.norm_1.weight",
     .code = VITRUN_MODEL,
     .words = "blocks.0.norm1.weight"},
    {.what = "a block too many", .change = ADD, .to = "blocks.4.norm1.weight", .code = VITRUN_MODEL, .words = "only 4 blocks"},
    {.what = "a block far too many",
     .change = ADD,
     .to = "blocks.4294967296.norm1.weight",
     .code = VITRUN_MODEL,
     .words = "only 4 blocks"},
    {.what = "LayerScale in a model without",
     .change = ADD,
     .to = "blocks.0.ls1.gamma",
     .code = VITRUN_MODEL,
     .words = "does not compute"},
    {.what = "a norm of queries", .change = ADD, .to = "blocks.3.attn.q_norm.weight", .code = VITRUN_MODEL, .words = "q_norm"},
    {.what = "a norm of pooled features", .change = ADD, .to = "fc_norm.weight", .code = VITRUN_MODEL, .words = "fc_norm"},
    {.what = "fc1 transposed",
     .tensor = "blocks.1.mlp.fc1.weight",
     .change = RESHAPE,
     .rank = 2,
     .shape = {48, 192},
     .code = VITRUN_MODEL,
     .words = "[48, 192]; vit_tiny_patch16_224 wants [192, 48]"},
    {.what = "fc2 transposed",
     .tensor = "blocks.1.mlp.fc2.weight",
     .change = RESHAPE,
     .rank = 2,
     .shape = {192, 48},
     .code = VITRUN_MODEL,
     .words = "wants [48, 192]"},
    {.what = "qkv transposed",
     .tensor = "blocks.0.attn.qkv.weight",
     .change = RESHAPE,
     .rank = 2,
     .shape = {48, 144},
     .code = VITRUN_MODEL,
     .words = "wants [144, 48]"},
    {.what = "another patch side",
     .tensor = "patch_embed.proj.weight",
     .change = RESHAPE,
     .rank = 4,
     .shape = {48, 3, 2, 8},
     .code = VITRUN_MODEL,
     .words = "[48, 3, 2, 8]"},
    {.what = "a flattened patch projection",
     .tensor = "patch_embed.proj.weight",
     .change = RESHAPE,
     .rank = 2,
     .shape = {48, 48},
     .code = VITRUN_MODEL,
     .words = "wants [48, 3, 4, 4]"},
    {.what = "positions of rank 2",
     .tensor = "pos_embed",
     .change = RESHAPE,
     .rank = 2,
     .shape = {65, 48},
     .code = VITRUN_MODEL,
     .words = "wants [1, 65, 48]"},
    {.what = "a class token of rank 1",
     .tensor = "cls_token",
     .change = RESHAPE,
     .rank = 1,
     .shape = {48},
     .code = VITRUN_MODEL,
     .words = "wants [1, 1, 48]"},
    {.what = "a norm as a matrix",
     .tensor = "norm.weight",
     .change = RESHAPE,
     .rank = 2,
     .shape = {1, 48},
     .code = VITRUN_MODEL,
     .words = "[1, 48]"},
    {.what = "a head of other classes",
     .tensor = "head.weight",
     .change = RESHAPE,
     .rank = 2,
     .shape = {5, 96},
     .code = VITRUN_MODEL,
     .words = "wants [10, 48]"},
    {.what = "F32 relabelled I32",
     .tensor = "blocks.0.mlp.fc1.bias",
     .change = RETYPE,
     .dtype = VR_I32,
     .code = VITRUN_MODEL,
     .words = "stored as I32"},
    {.what = "F32 relabelled U32",
     .tensor = "head.bias",
     .change = RETYPE,
     .dtype = VR_U32,
     .code = VITRUN_MODEL,
     .words = "stored as U32"},
    {.what = "a NaN",
     .tensor = "blocks.3.mlp.fc2.weight",
     .change = POISON,
     .value = NAN,
     .code = VITRUN_NONFINITE,
     .words = "blocks.3.mlp.fc2.weight"},
    {.what = "an infinity",
     .tensor = "pos_embed",
     .change = POISON,
     .value = INFINITY,
     .code = VITRUN_NONFINITE,
     .words = "pos_embed"},
    {.what = "minus infinity in a bias",
     .tensor = "head.bias",
     .change = POISON,
     .value = -INFINITY,
     .code = VITRUN_NONFINITE,
     .words = "head.bias"},
    {.what = "a denormal", .tensor = "head.bias", .change = POISON, .value = 1e-44f, .code = VITRUN_OK},
    {.what = "a negative zero", .tensor = "head.bias", .change = POISON, .value = -0.0f, .code = VITRUN_OK},
    {.what = "a tensor more", .change = ADD, .to = "ema.decay", .code = VITRUN_OK},
    {.what = "a tensor more, strict",
     .change = ADD,
     .to = "ema.decay",
     .strict = 1,
     .code = VITRUN_MODEL,
     .words = "ema.decay"},
    {.what = "a harmless tensor, strict", .change = ADD, .to = "embeddings.position_ids", .strict = 1, .code = VITRUN_OK},
    {.what = "CLIP's norm_pre", .change = ADD, .to = "norm_pre.weight", .code = VITRUN_MODEL, .words = "not supported yet"},
    {.what = "VideoMAE's q_bias", .change = ADD, .to = "blocks.0.attn.q_bias", .code = VITRUN_MODEL, .words = "VideoMAE"},
    {.what = "SigLIP's pooling", .change = ADD, .to = "attn_pool.latent", .code = VITRUN_MODEL, .words = "SigLIP"},
    {.what = "transformers' names",
     .change = ADD,
     .to = "vit.layernorm.weight",
     .code = VITRUN_MODEL,
     .words = "named as transformers ViT"},
};

static const char good[] = "tests/golden/models/timm_cls";

/* Writes the good checkpoint with one change. */
static void write_mutant(const mutation *m)
{
    vr_safetensors    *st;
    vr_error           err = {0};
    vr_tensor_out      out[80];
    float             *data[80];
    static const float extra[48];
    size_t             count = 0, reads;
    cr_assert_eq(vr_safetensors_open(&st, good, 0, &err), VR_OK, "%s", err.text);
    reads = vr_safetensors_count(st);
    for (size_t i = 0; i < reads; i++) {
        const vr_tensor *t = vr_safetensors_at(st, i);
        bool             hit = m->tensor && strcmp(t->name, m->tensor) == 0;
        data[i] = malloc(t->bytes);
        cr_assert_eq(vr_safetensors_read_f32(st, t, 0, t->elements, data[i], &err), VR_OK);
        if (hit && m->change == REMOVE) continue;
        vr_tensor_out *o = &out[count++];
        *o = (vr_tensor_out){.name = t->name, .dtype = t->dtype, .rank = t->rank, .data = data[i]};
        memcpy(o->shape, t->shape, sizeof o->shape);
        if (!hit) continue;
        if (m->change == RENAME) o->name = m->to;
        if (m->change == RETYPE) o->dtype = m->dtype;
        if (m->change == POISON) data[i][t->elements - 1] = m->value;
        if (m->change == RESHAPE) {
            o->rank = m->rank;
            memcpy(o->shape, m->shape, sizeof m->shape);
        }
    }
    if (m->change == ADD)
        out[count++] = (vr_tensor_out){.name = m->to, .dtype = VR_F32, .rank = 1, .shape = {48}, .data = extra};
    cr_assert_eq(vr_safetensors_write(scratch_path("model.safetensors"), out, count, NULL, NULL, 0, &err), VR_OK, "%s: %s",
                 m->what, err.text);
    for (size_t i = 0; i < reads; i++) free(data[i]);
    vr_safetensors_close(st);
}

/* Broken if it fails: a checkpoint that is not the described model is run as if it were, or refused without saying why. */
Test(checkpoint, mutants_are_refused_by_name)
{
    char    *config;
    size_t   length;
    vr_error err = {0};
    cr_assert_eq(vr_file_read(&config, &length, "tests/golden/models/timm_cls/config.json", 1 << 20, &err), VR_OK);
    for (size_t i = 0; i < sizeof mutations / sizeof *mutations; i++) {
        const mutation *m = &mutations[i];
        vitrun         *v = NULL;
        vitrun_error    e = {0};
        vitrun_options  o = vitrun_defaults();
        scratch_begin();
        write_mutant(m);
        scratch_write("config.json", config, length);
        o.device = "cpu";
        o.model = scratch_path("."), o.strict = m->strict, o.threads = 1;
        cr_expect_eq(vitrun_open(&v, &o, &e), m->code, "%s: code %d, %s", m->what, e.code, e.text);
        if (m->words) cr_expect(strstr(e.text, m->words), "%s: \"%s\" is not in: %s", m->what, m->words, e.text);
        if (m->code) cr_expect_null(v);
        vitrun_close(v);
        scratch_end();
    }
    free(config);
}

/* Broken if it fails: where the classes are counted in the file, a misshapen classifier makes a model without one. */
Test(checkpoint, a_misshapen_classifier_is_not_an_absent_one, .init = scratch_begin, .fini = scratch_end)
{
    static const mutation shapes[] = {
        {.what = "rank 3", .tensor = "head.weight", .change = RESHAPE, .rank = 3, .shape = {10, 48, 1}},
        {.what = "rank 1", .tensor = "head.weight", .change = RESHAPE, .rank = 1, .shape = {480}},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        vr_config      c = {0};
        vr_error       err = {0};
        bool           found;
        vr_checkpoint *ck;
        write_mutant(&shapes[i]);
        cr_assert_eq(vr_config_read_folder(&c, &found, "configs", good, &err), VR_OK, "%s", err.text);
        c.classes = -1;
        cr_expect_eq(vr_checkpoint_open(&ck, scratch_path("model.safetensors"), &c, false, 0, false, &err), VR_E_MODEL, "%s",
                     shapes[i].what);
        cr_expect(strstr(err.text, "head.weight"), "%s: %s", shapes[i].what, err.text);
        vr_checkpoint_close(ck);
        vr_config_free(&c);
    }
}

/* Broken if it fails: the features of a distilled model are those of one of its two tokens, where timm gives their mean. */
Test(checkpoint, a_distilled_model_needs_its_classifiers)
{
    vr_config      c = {0};
    vr_error       err = {0};
    bool           found;
    vr_checkpoint *ck;
    cr_assert_eq(vr_config_read_folder(&c, &found, "configs", "tests/golden/models/timm_distilled", &err), VR_OK, "%s",
                 err.text);
    c.classes = 0;
    cr_expect_eq(vr_checkpoint_open(&ck, "tests/golden/models/timm_distilled", &c, false, 0, false, &err), VR_E_MODEL);
    cr_expect(strstr(err.text, "not supported yet"), "%s", err.text);
    vr_checkpoint_close(ck);
    vr_config_free(&c);
}

/* Broken if it fails: the deterministic random weights are not those that timm was given for the expected logits. */
Test(checkpoint, random_weights_are_the_defined_ones)
{
    vr_config      c;
    vr_checkpoint *ck;
    vr_error       err = {0};
    cr_assert_eq(vr_config_read_arch(&c, "configs", "deit_tiny", &err), VR_OK, "%s", err.text);
    cr_assert_eq(vr_checkpoint_open_random(&ck, &c, 0, &err), VR_OK);
    cr_expect_eq(vr_checkpoint_parameters(ck), 5717416);
    float  bias[1000];
    float *patch = malloc(vr_place_elements(&c, VR_AT_PATCH_WEIGHT) * sizeof *patch);
    cr_assert_eq(vr_checkpoint_read(ck, VR_AT_HEAD_BIAS, 0, false, bias, &err), VR_OK);
    cr_assert_eq(vr_checkpoint_read(ck, VR_AT_PATCH_WEIGHT, 0, false, patch, &err), VR_OK);
    cr_expect_float_eq(bias[0], -0.0705389977f, 1e-8); /* "samples" of golden/models/deit_tiny_random/expected.json */
    cr_expect_float_eq(bias[3], 0.070377782f, 1e-8);
    cr_expect_float_eq(patch[0], -0.0495548286f, 1e-8);
    cr_expect_float_eq(patch[2], 0.00251102471f, 1e-9);
    free(patch);
    vr_checkpoint_close(ck);
    vr_config_free(&c);
}
