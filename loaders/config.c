/* config.c: model descriptions.  Three dialects (ours, timm's, transformers'), one struct; what a dialect does not say
 * comes from a description in configs/models, never from a default in code. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"

enum { MAX_SIDE = 16384, MAX_WIDTH = 8192, MAX_DEPTH = 256, MAX_HEADS = 128, MAX_CLASSES = 1000000, MAX_TOKENS = 16384 };

typedef struct {
    const char *path; /* of the document, for messages */
    vr_error   *err;
} reader;

static const char *const layout_names[VR_LAYOUTS] = {
    [VR_LAYOUT_TIMM] = "timm",
    [VR_LAYOUT_HF_VIT] = "transformers ViT",
    [VR_LAYOUT_HF_DEIT] = "transformers DeiT",
    [VR_LAYOUT_HF_DINOV2] = "transformers DINOv2",
};

const char *vr_layout_name(vr_layout layout) { return layout_names[layout]; }

/* Checks: everything later code relies on. */

static vr_status check_range(const reader *r, const char *what, int64_t value, int64_t low, int64_t high)
{
    if (value >= low && value <= high) return VR_OK;
    return vr_fail(r->err, VR_E_MODEL, "config-range", "%s: %s is %lld; it must be from %lld to %lld.", vr_quotez(r->path).text,
                   what, (long long)value, (long long)low, (long long)high);
}

static vr_status check_config(const reader *r, const vr_config *c)
{
    const struct {
        const char *what;
        int         value, low, high;
    } ranges[] = {
        {"the image height", c->image_height, 1, MAX_SIDE},
        {"the image width", c->image_width, 1, MAX_SIDE},
        {"the patch side", c->patch, 1, 256},
        {"the width", c->dim, 1, MAX_WIDTH},
        {"the depth", c->depth, 1, MAX_DEPTH},
        {"the number of heads", c->heads, 1, MAX_HEADS},
        {"the MLP's width", c->mlp, 1, 8 * MAX_WIDTH},
        {"the number of classes", c->classes, -1, MAX_CLASSES},
        {"the number of special tokens", c->prefix, 1, 2},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (check_range(r, ranges[i].what, ranges[i].value, ranges[i].low, ranges[i].high)) return VR_E_MODEL;
    if (c->dim % c->heads)
        return vr_fail(r->err, VR_E_MODEL, "config-heads", "%s: a width of %d does not divide into %d heads.",
                       vr_quotez(r->path).text, c->dim, c->heads);
    if (c->image_height % c->patch || c->image_width % c->patch)
        return vr_fail(r->err, VR_E_MODEL, "config-patch", "%s: an image of %dx%d does not divide into patches of %d.",
                       vr_quotez(r->path).text, c->image_height, c->image_width, c->patch);
    if ((c->image_height / c->patch) * (c->image_width / c->patch) > MAX_TOKENS)
        return vr_fail(r->err, VR_E_MODEL, "config-tokens", "%s: %dx%d in patches of %d are more than %d tokens.",
                       vr_quotez(r->path).text, c->image_height, c->image_width, c->patch, MAX_TOKENS);
    if (!(c->norm_eps > 0 && c->norm_eps < 1))
        return vr_fail(r->err, VR_E_MODEL, "config-eps", "%s: the LayerNorm epsilon is %g; it must be above 0 and below 1.",
                       vr_quotez(r->path).text, (double)c->norm_eps);
    if (c->head == VR_HEAD_DISTILLED && c->prefix != 2)
        return vr_fail(r->err, VR_E_MODEL, "config-pool", "%s: two averaged heads need two special tokens.",
                       vr_quotez(r->path).text);
    return VR_OK;
}

vr_status vr_config_set_size(vr_config *c, int height, int width, vr_error *err)
{
    if (height < 1 || width < 1 || height > MAX_SIDE || width > MAX_SIDE || height % c->patch || width % c->patch ||
        (height / c->patch) * (width / c->patch) > MAX_TOKENS)
        return vr_fail(
            err, VR_E_USAGE, "image-size",
            "An image size of %dx%d does not fit %s: each side must be a multiple of its patch side %d, and there may be at "
            "most %d patches.",
            height, width, c->name, c->patch, MAX_TOKENS);
    vr_recipe *r = &c->recipe;
    if (r->crop_height == height && r->crop_width == width) return VR_OK;
    r->crop_height = height, r->crop_width = width;
    const int wanted_h = (int)floor(height / c->crop_pct), wanted_w = (int)floor(width / c->crop_pct);
    if (r->resize == VR_RESIZE_SQUASH) {
        r->resize_height = wanted_h, r->resize_width = wanted_w;
    } else if (r->resize != VR_RESIZE_NONE && (c->layout != VR_LAYOUT_TIMM || wanted_h == wanted_w)) {
        r->resize = VR_RESIZE_SHORTER, r->filter = c->filter;
        r->resize_height = r->resize_width = wanted_h < wanted_w ? wanted_h : wanted_w;
    } else if (r->resize != VR_RESIZE_NONE) {
        r->resize = VR_RESIZE_COVER, r->filter = VR_BILINEAR;
        r->resize_height = wanted_h, r->resize_width = wanted_w;
    }
    vr_recipe_name(r);
    return VR_OK;
}

/* Fields: each reader leaves *out as it was where the key is absent. */

static vr_status wrong_type(const reader *r, const char *key, const char *wanted, const vr_json *found)
{
    return vr_fail(r->err, VR_E_MODEL, "config-type", "%s: \"%s\" must be %s; found %s.", vr_quotez(r->path).text, key, wanted,
                   vr_json_type_name(found));
}

static vr_status read_int(const reader *r, const vr_json *object, const char *key, int low, int high, int *out)
{
    const vr_json *v = vr_json_get(object, key);
    int64_t        n;
    if (!v || vr_json_type(v) == VR_JSON_NULL) return VR_OK;
    if (!vr_json_int(v, INT32_MIN, INT32_MAX, &n)) return wrong_type(r, key, "a whole number", v);
    if (check_range(r, key, n, low, high)) return VR_E_MODEL;
    *out = (int)n;
    return VR_OK;
}

static vr_status read_double(const reader *r, const vr_json *object, const char *key, double *out)
{
    const vr_json *v = vr_json_get(object, key);
    if (!v || vr_json_type(v) == VR_JSON_NULL) return VR_OK;
    return vr_json_double(v, out) ? VR_OK : wrong_type(r, key, "a number", v);
}

static vr_status read_bool(const reader *r, const vr_json *object, const char *key, bool *out)
{
    const vr_json *v = vr_json_get(object, key);
    if (!v || vr_json_type(v) == VR_JSON_NULL) return VR_OK;
    return vr_json_bool(v, out) ? VR_OK : wrong_type(r, key, "true or false", v);
}

static vr_status read_string(const reader *r, const vr_json *object, const char *key, const char **out)
{
    const vr_json *v = vr_json_get(object, key);
    if (!v || vr_json_type(v) == VR_JSON_NULL) return VR_OK;
    return vr_json_string(v, out) ? VR_OK : wrong_type(r, key, "a text", v);
}

/* N, or [H, W]. */
static vr_status read_size(const reader *r, const vr_json *object, const char *key, int *height, int *width)
{
    const vr_json *v = vr_json_get(object, key);
    int64_t        h, w;
    if (!v || vr_json_type(v) == VR_JSON_NULL) return VR_OK;
    if (vr_json_type(v) == VR_JSON_ARRAY && vr_json_size(v) == 2) {
        if (!vr_json_int(vr_json_item(v, 0), 1, MAX_SIDE, &h) || !vr_json_int(vr_json_item(v, 1), 1, MAX_SIDE, &w))
            return wrong_type(r, key, "two whole numbers from 1 to 16384", v);
    } else {
        if (!vr_json_int(v, 1, MAX_SIDE, &h)) return wrong_type(r, key, "a whole number from 1 to 16384 or two of them", v);
        w = h;
    }
    *height = (int)h, *width = (int)w;
    return VR_OK;
}

static vr_status read_three(const reader *r, const vr_json *object, const char *key, bool positive, float out[3])
{
    const vr_json *v = vr_json_get(object, key);
    if (!v || vr_json_type(v) == VR_JSON_NULL) return VR_OK;
    for (size_t i = 0; i < 3; i++) {
        double x;
        if (vr_json_type(v) != VR_JSON_ARRAY || vr_json_size(v) != 3 || !vr_json_double(vr_json_item(v, i), &x) ||
            !(fabs(x) <= 1e6) || (positive && !(x >= 1e-6))) /* beyond these no pixel is a useful number */
            return wrong_type(r, key, positive ? "three positive numbers" : "three numbers", v);
        out[i] = (float)x;
    }
    return VR_OK;
}

static vr_status refuse(const reader *r, const char *what, const char *value)
{
    return vr_fail(r->err, VR_E_MODEL, "not-supported", "%s: %s \"%s\" is not supported yet.", vr_quotez(r->path).text, what,
                   vr_quotez(value).text);
}

static vr_status copy_name(const reader *r, char *out, size_t size, const char *text, const char *what)
{
    if (strlen(text) >= size)
        return vr_fail(r->err, VR_E_MODEL, "config-name", "%s: %s is longer than %zu bytes.", vr_quotez(r->path).text, what,
                       size - 1);
    strcpy(out, text);
    return VR_OK;
}

/* Our own descriptions. */

static vr_status read_choice(const reader *r, const vr_json *doc, const char *key, const char *const *choices, int *out)
{
    const char *text = NULL;
    if (read_string(r, doc, key, &text)) return VR_E_MODEL;
    for (int i = 0; text && choices[i]; i++)
        if (strcmp(text, choices[i]) == 0) {
            *out = i;
            return VR_OK;
        }
    return vr_fail(r->err, VR_E_MODEL, "config-choice", "%s: \"%s\" is %s%s%s, which is none of its values.",
                   vr_quotez(r->path).text, key, text ? "\"" : "", text ? vr_quotez(text).text : "missing", text ? "\"" : "");
}

static vr_status read_arch_preprocess(const reader *r, const vr_json *doc, vr_config *c)
{
    static const char *const filters[] = {"bilinear", "bicubic", NULL};
    static const char *const keys[] = {"crop_pct", "filter", "mean", "std", NULL};
    const vr_json           *p = vr_json_get(doc, "preprocess");
    int                      filter = 0;
    if (!p || vr_json_type(p) != VR_JSON_OBJECT) return wrong_type(r, "preprocess", "an object", p);
    if (vr_json_only_keys(p, keys, r->path, r->err) || read_choice(r, p, "filter", filters, &filter) ||
        read_double(r, p, "crop_pct", &c->crop_pct) || read_three(r, p, "mean", false, c->recipe.mean) ||
        read_three(r, p, "std", true, c->recipe.std))
        return r->err->code;
    if (!(c->crop_pct >= 0.05 && c->crop_pct <= 1))
        return vr_fail(r->err, VR_E_MODEL, "config-range", "%s: crop_pct must be from 0.05 to 1.", vr_quotez(r->path).text);
    c->recipe.resize = VR_RESIZE_SHORTER;
    c->recipe.filter = c->filter = filter ? VR_BICUBIC : VR_BILINEAR;
    c->recipe.offset = VR_OFFSET_HALF_EVEN;
    return VR_OK;
}

static vr_status parse_arch(const reader *r, const vr_json *doc, vr_config *c)
{
    static const char *const keys[] = {"name",       "aliases", "image",          "patch",  "dim",  "depth",       "heads",
                                       "mlp",        "classes", "special_tokens", "pool",   "norm", "layer_scale", "norm_eps",
                                       "activation", "labels",  "preprocess",     "source", NULL};
    static const char *const pools[] = {"class", "distilled", "mean", "class_mean", NULL};
    static const char *const norms[] = {"final", "fc", NULL};
    static const char *const gelu[] = {"gelu", NULL};
    const char              *name = NULL, *labels = NULL;
    double                   eps = 0;
    int                      pool = 0, norm = 0, activation = 0;
    memset(c, 0, sizeof *c);
    if (vr_json_only_keys(doc, keys, r->path, r->err) || read_string(r, doc, "name", &name) ||
        read_string(r, doc, "labels", &labels) || read_size(r, doc, "image", &c->image_height, &c->image_width) ||
        read_int(r, doc, "patch", 1, 256, &c->patch) || read_int(r, doc, "dim", 1, MAX_WIDTH, &c->dim) ||
        read_int(r, doc, "depth", 1, MAX_DEPTH, &c->depth) || read_int(r, doc, "heads", 1, MAX_HEADS, &c->heads) ||
        read_int(r, doc, "mlp", 1, 8 * MAX_WIDTH, &c->mlp) || read_int(r, doc, "classes", 0, MAX_CLASSES, &c->classes) ||
        read_int(r, doc, "special_tokens", 1, 2, &c->prefix) || read_bool(r, doc, "layer_scale", &c->layer_scale) ||
        read_double(r, doc, "norm_eps", &eps) || read_choice(r, doc, "pool", pools, &pool) ||
        read_choice(r, doc, "norm", norms, &norm) || read_choice(r, doc, "activation", gelu, &activation) ||
        read_arch_preprocess(r, doc, c))
        return r->err->code;
    c->head = (vr_head_kind)pool;
    c->norm_first = c->head == VR_HEAD_MEAN && norm == 0;
    c->norm_eps = (float)eps;
    if (copy_name(r, c->name, sizeof c->name, name ? name : "", "the name") ||
        copy_name(r, c->labels_file, sizeof c->labels_file, labels ? labels : "", "the labels' name") || check_config(r, c))
        return r->err->code;
    return vr_config_set_size(c, c->image_height, c->image_width, r->err);
}

static bool names_it(const vr_json *doc, const char *wanted)
{
    const char    *name;
    const vr_json *aliases = vr_json_get(doc, "aliases");
    if (vr_json_string(vr_json_get(doc, "name"), &name) && strcmp(name, wanted) == 0) return true;
    for (size_t i = 0; aliases && i < vr_json_size(aliases); i++)
        if (vr_json_string(vr_json_item(aliases, i), &name) && strcmp(name, wanted) == 0) return true;
    return false;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

static int is_json(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 5 && d->d_name[0] != '.' && strcmp(d->d_name + n - 5, ".json") == 0;
}

/* Look through the descriptions; *found says whether one was read.  `known` collects their names for a message. */
static vr_status search_arch(vr_config *out, bool *found, const char *data_dir, const char *name, char *known, size_t room,
                             vr_error *err)
{
    char            folder[4096];
    struct dirent **list = NULL;
    vr_status       status = VR_OK;
    *found = false;
    if (snprintf(folder, sizeof folder, "%s/models", data_dir) >= (int)sizeof folder)
        return vr_fail(err, VR_E_MODEL, "data-dir", "The data folder's name is too long.");
    int n = scandir(folder, &list, is_json, by_name);
    if (n < 0)
        return vr_fail(err, VR_E_MODEL, "data-dir",
                       "%s: cannot be listed (%s); the model descriptions should be there. Name the folder that holds "
                       "models/ and labels/ with --data-dir or $VITRUN_DATA.",
                       vr_quotez(folder).text, strerror(errno));
    for (int i = 0; i < n; i++) {
        char     path[4400];
        vr_json *doc = NULL;
        snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name);
        if (!*found && status == VR_OK) {
            reader r = {path, err};
            status = vr_json_read(&doc, path, 0, err);
            if (status == VR_OK && names_it(doc, name)) {
                status = parse_arch(&r, doc, out);
                *found = status == VR_OK;
            }
            vr_json_free(doc);
            size_t used = strlen(known), stem = strlen(list[i]->d_name) - 5;
            if (used + stem + 3 < room)
                snprintf(known + used, room - used, "%s%.*s", used ? ", " : "", (int)stem, list[i]->d_name);
        }
        free(list[i]);
    }
    free(list);
    return status;
}

vr_status vr_config_read_arch(vr_config *out, const char *data_dir, const char *name, vr_error *err)
{
    char      known[440] = "";
    bool      found;
    vr_status status = search_arch(out, &found, data_dir, name, known, sizeof known, err);
    if (status || found) return status;
    return vr_fail(err, VR_E_USAGE, "arch-unknown", "There is no architecture \"%s\"; known are %s.", vr_quotez(name).text,
                   known);
}

/* Labels. */

void vr_config_free(vr_config *c)
{
    for (int i = 0; i < c->label_count; i++) {
        if (c->label_names) free(c->label_names[i]);
        if (c->label_synsets) free(c->label_synsets[i]);
    }
    free(c->label_names);
    free(c->label_synsets);
    c->label_names = c->label_synsets = NULL;
    c->label_count = 0;
}

static vr_status make_labels(const reader *r, vr_config *c, size_t count)
{
    c->label_names = vr_alloc_zeroed(count, sizeof *c->label_names);
    c->label_synsets = vr_alloc_zeroed(count, sizeof *c->label_synsets);
    if (!c->label_names || !c->label_synsets)
        return vr_fail(r->err, VR_E_MEMORY, "", "No memory for %zu labels of %s.", count, vr_quotez(r->path).text);
    c->label_count = (int)count;
    c->labels_file[0] = 0;
    return VR_OK;
}

static vr_status set_label(const reader *r, vr_config *c, size_t i, const char *name, const char *synset)
{
    c->label_names[i] = strdup(name);
    c->label_synsets[i] = strdup(synset);
    if (c->label_names[i] && c->label_synsets[i]) return VR_OK;
    return vr_fail(r->err, VR_E_MEMORY, "", "No memory for the labels of %s.", vr_quotez(r->path).text);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(vr_json_key(*(const vr_json *const *)a), vr_json_key(*(const vr_json *const *)b));
}

static int key_is(const void *name, const void *member) { return strcmp(name, vr_json_key(*(const vr_json *const *)member)); }

/* The members of an object [vr_json_size], sorted by key: 60,000 labels are looked up among as many. */
static vr_status sort_members(const reader *r, const vr_json *object, const vr_json ***out)
{
    size_t n = vr_json_size(object);
    *out = vr_alloc(n, sizeof **out);
    if (!*out) return vr_fail(r->err, VR_E_MEMORY, "", "No memory for the labels of %s.", vr_quotez(r->path).text);
    for (size_t i = 0; i < n; i++) (*out)[i] = vr_json_item(object, i);
    qsort(*out, n, sizeof **out, by_key);
    return VR_OK;
}

static const vr_json *find_member(const vr_json *const *sorted, size_t count, const char *key)
{
    const vr_json *const *found = bsearch(key, sorted, count, sizeof *sorted, key_is);
    return found ? *found : NULL;
}

/* timm: "label_names": [...] in class order, "label_descriptions": {name: words} or [...]. */
static vr_status read_timm_labels(const reader *r, const vr_json *doc, vr_config *c)
{
    const vr_json *names = vr_json_get(doc, "label_names"), *words = vr_json_get(doc, "label_descriptions");
    if (!names || vr_json_type(names) == VR_JSON_NULL) return VR_OK;
    if (vr_json_type(names) != VR_JSON_ARRAY || vr_json_size(names) > MAX_CLASSES)
        return wrong_type(r, "label_names", "a list of texts", names);
    if (vr_json_size(names) == 0) return VR_OK;
    if (make_labels(r, c, vr_json_size(names))) return VR_E_MEMORY;
    const vr_json **sorted = NULL;
    const bool      by_name = words && vr_json_type(words) == VR_JSON_OBJECT;
    if (by_name && sort_members(r, words, &sorted)) return VR_E_MEMORY;
    vr_status status = VR_OK;
    for (size_t i = 0; i < vr_json_size(names) && status == VR_OK; i++) {
        const char *name, *description = NULL;
        if (!vr_json_string(vr_json_item(names, i), &name)) {
            status = wrong_type(r, "label_names", "a list of texts", names);
            break;
        }
        if (by_name) vr_json_string(find_member(sorted, vr_json_size(words), name), &description);
        if (words && vr_json_type(words) == VR_JSON_ARRAY && i < vr_json_size(words))
            vr_json_string(vr_json_item(words, i), &description);
        status = set_label(r, c, i, description ? description : name, description ? name : "");
    }
    free(sorted);
    return status;
}

/* transformers: "id2label": {"0": words, ...}, every index from 0 on exactly once. */
static vr_status read_hf_labels(const reader *r, const vr_json *doc, vr_config *c)
{
    const vr_json *map = vr_json_get(doc, "id2label");
    if (!map || vr_json_type(map) == VR_JSON_NULL) return VR_OK;
    size_t count = vr_json_size(map);
    if (vr_json_type(map) != VR_JSON_OBJECT || count > MAX_CLASSES)
        return wrong_type(r, "id2label", "an object of index to text", map);
    if (count == 0) return VR_OK;
    if (make_labels(r, c, count)) return VR_E_MEMORY;
    for (size_t i = 0; i < count; i++) {
        const vr_json *member = vr_json_item(map, i);
        const char    *name, *key = vr_json_key(member);
        char          *end;
        unsigned long  index = strtoul(key, &end, 10);
        if (!vr_json_string(member, &name) || key[0] < '0' || key[0] > '9' || *end || index >= count || c->label_names[index])
            return vr_fail(r->err, VR_E_MODEL, "config-labels",
                           "%s: id2label must map every index from \"0\" to \"%zu\" to a text; \"%s\" does not fit.",
                           vr_quotez(r->path).text, count - 1, vr_quotez(key).text);
        if (set_label(r, c, index, name, "")) return VR_E_MEMORY;
    }
    c->classes = (int)count;
    return VR_OK;
}

/* timm's config.json. */

/* model_args that change nothing at inference, or that are read below. */
static const char *const timm_args[] = {
    "img_size",       "patch_size",       "embed_dim",   "depth",          "num_heads",       "mlp_ratio",
    "num_classes",    "in_chans",         "global_pool", "fc_norm",        "init_values",     "qkv_bias",
    "class_token",    "dynamic_img_size", "drop_rate",   "drop_path_rate", "attn_drop_rate",  "pos_drop_rate",
    "proj_drop_rate", "patch_drop_rate",  "weight_init", "fix_init",       "strict_img_size", NULL};

static vr_status read_timm_pool(const reader *r, const vr_json *doc, const vr_json *args, vr_config *c)
{
    const char *pool = NULL;
    bool        fc = false;
    if (read_string(r, doc, "global_pool", &pool) || read_string(r, args, "global_pool", &pool)) return VR_E_MODEL;
    if (pool && c->head != VR_HEAD_DISTILLED) {
        if (strcmp(pool, "token") == 0)
            c->head = VR_HEAD_CLASS;
        else if (strcmp(pool, "avg") == 0)
            c->head = VR_HEAD_MEAN;
        else
            return refuse(r, "global_pool", pool);
    }
    fc = c->head == VR_HEAD_MEAN; /* timm's rule where fc_norm is not said */
    if (read_bool(r, args, "fc_norm", &fc)) return VR_E_MODEL;
    if (fc && c->head != VR_HEAD_MEAN) return refuse(r, "fc_norm with global_pool", pool ? pool : "token");
    c->norm_first = c->head == VR_HEAD_MEAN && !fc;
    return VR_OK;
}

static vr_status read_timm_args(const reader *r, const vr_json *args, vr_config *c)
{
    int    channels = 3;
    double ratio = (double)c->mlp / c->dim;
    bool   yes = true;
    if (!args || vr_json_type(args) == VR_JSON_NULL) return VR_OK;
    if (vr_json_type(args) != VR_JSON_OBJECT) return wrong_type(r, "model_args", "an object", args);
    for (size_t i = 0; i < vr_json_size(args); i++) {
        const char *key = vr_json_key(vr_json_item(args, i));
        size_t      k = 0;
        while (timm_args[k] && strcmp(timm_args[k], key)) k++;
        if (!timm_args[k]) return refuse(r, "the model_args option", key);
    }
    if (read_bool(r, args, "qkv_bias", &yes) || read_bool(r, args, "class_token", &yes)) return VR_E_MODEL;
    if (!yes) return refuse(r, "a model without qkv_bias or class_token:", c->name);
    if (read_size(r, args, "img_size", &c->image_height, &c->image_width) ||
        read_int(r, args, "patch_size", 1, 256, &c->patch) || read_int(r, args, "embed_dim", 1, MAX_WIDTH, &c->dim) ||
        read_int(r, args, "depth", 1, MAX_DEPTH, &c->depth) || read_int(r, args, "num_heads", 1, MAX_HEADS, &c->heads) ||
        read_double(r, args, "mlp_ratio", &ratio) || read_int(r, args, "num_classes", 0, MAX_CLASSES, &c->classes) ||
        read_int(r, args, "in_chans", 1, 1024, &channels))
        return r->err->code;
    if (channels != 3) return refuse(r, "in_chans other than 3:", c->name);
    if (!(ratio > 0 && ratio <= 64))
        return vr_fail(r->err, VR_E_MODEL, "config-range", "%s: mlp_ratio must be above 0 and at most 64.",
                       vr_quotez(r->path).text);
    c->mlp = (int)(c->dim * ratio); /* as timm: int(dim * mlp_ratio) */
    const vr_json *init = vr_json_get(args, "init_values");
    if (init && vr_json_type(init) != VR_JSON_NULL) c->layer_scale = true;
    return VR_OK;
}

static vr_status read_timm_recipe(const reader *r, const vr_json *cfg, bool sized, vr_config *c)
{
    const char    *interpolation = NULL, *mode = NULL;
    const vr_json *input = vr_json_get(cfg, "input_size");
    int64_t        h = 0, w = 0;
    if (vr_json_type(cfg) == VR_JSON_NULL) return VR_OK;
    if (vr_json_type(cfg) != VR_JSON_OBJECT) return wrong_type(r, "pretrained_cfg", "an object", cfg);
    if (read_string(r, cfg, "interpolation", &interpolation) || read_string(r, cfg, "crop_mode", &mode) ||
        read_double(r, cfg, "crop_pct", &c->crop_pct) || read_three(r, cfg, "mean", false, c->recipe.mean) ||
        read_three(r, cfg, "std", true, c->recipe.std))
        return r->err->code;
    if (!(c->crop_pct >= 0.05 && c->crop_pct <= 1))
        return vr_fail(r->err, VR_E_MODEL, "config-range", "%s: crop_pct must be from 0.05 to 1.", vr_quotez(r->path).text);
    if (interpolation && strcmp(interpolation, "bicubic") && strcmp(interpolation, "bilinear"))
        return refuse(r, "interpolation", interpolation);
    if (interpolation) c->filter = strcmp(interpolation, "bicubic") == 0 ? VR_BICUBIC : VR_BILINEAR;
    c->recipe.filter = c->filter; /* which the description's own size may have replaced */
    if (mode && strcmp(mode, "center") && strcmp(mode, "squash")) return refuse(r, "crop_mode", mode);
    if (mode) c->recipe.resize = strcmp(mode, "squash") == 0 ? VR_RESIZE_SQUASH : VR_RESIZE_SHORTER;
    if (input && !sized) {
        if (vr_json_type(input) != VR_JSON_ARRAY || vr_json_size(input) != 3 ||
            !vr_json_int(vr_json_item(input, 1), 1, MAX_SIDE, &h) || !vr_json_int(vr_json_item(input, 2), 1, MAX_SIDE, &w))
            return wrong_type(r, "input_size", "[3, height, width]", input);
        c->image_height = (int)h, c->image_width = (int)w;
    }
    return VR_OK;
}

static vr_status parse_timm(const reader *r, const vr_json *doc, const char *data_dir, vr_config *c)
{
    const char    *full = NULL;
    const vr_json *args = vr_json_get(doc, "model_args");
    char           known[440] = "", arch[96];
    bool           found;
    if (read_string(r, doc, "architecture", &full) || copy_name(r, arch, sizeof arch, full, "the architecture"))
        return VR_E_MODEL;
    arch[strcspn(arch, ".")] = 0; /* vit_base_patch16_224.augreg_in1k: the tag names weights, not shapes */
    vr_status status = search_arch(c, &found, data_dir, arch, known, sizeof known, r->err);
    if (status) return status;
    if (!found)
        return vr_fail(r->err, VR_E_MODEL, "not-supported",
                       "%s: the architecture \"%s\" is not supported yet; supported are %s.", vr_quotez(r->path).text,
                       vr_quotez(arch).text, known);
    int arch_classes = c->classes;
    if (read_int(r, doc, "num_classes", 0, MAX_CLASSES, &c->classes) || read_timm_args(r, args, c) ||
        read_timm_pool(r, doc, args, c) ||
        read_timm_recipe(r, vr_json_get(doc, "pretrained_cfg"), vr_json_get(args, "img_size") != NULL, c))
        return r->err->code;
    if (c->classes != arch_classes) c->labels_file[0] = 0;
    if (read_timm_labels(r, doc, c) || check_config(r, c)) return r->err->code;
    c->recipe.crop_height = 0; /* so that the size below is set anew, with this crop_pct */
    return vr_config_set_size(c, c->image_height, c->image_width, r->err);
}

/* transformers' config.json and preprocessor_config.json. */

/* What transformers' own classes do where no preprocessor_config.json stands beside the checkpoint. */
typedef struct {
    const char *model_type;
    vr_layout   layout;
    bool        squash;
    int         resize, crop;
    vr_filter   filter;
    float       mean[3], std[3];
} hf_source;
static const hf_source hf_sources[] = {
    {"vit", VR_LAYOUT_HF_VIT, true, 224, 0, VR_BILINEAR, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}},
    {"deit", VR_LAYOUT_HF_DEIT, true, 256, 224, VR_BICUBIC, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}},
    {"dinov2", VR_LAYOUT_HF_DINOV2, false, 256, 224, VR_BICUBIC, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}},
};

/* "size": N (squash, or the shorter side for the processors that crop), {"height","width"} or {"shortest_edge"}. */
static vr_status read_hf_resize(const reader *r, const vr_json *p, vr_recipe *out)
{
    const vr_json *size = vr_json_get(p, "size");
    bool           on = true;
    if (read_bool(r, p, "do_resize", &on)) return VR_E_MODEL;
    if (!on) {
        out->resize = VR_RESIZE_NONE;
        return VR_OK;
    }
    if (!size || vr_json_type(size) == VR_JSON_NULL) return VR_OK;
    int64_t h = 0, w = 0;
    if (vr_json_int(size, 1, MAX_SIDE, &h)) {
        w = h;
    } else if (vr_json_get(size, "shortest_edge")) {
        out->resize = VR_RESIZE_SHORTER;
        if (!vr_json_int(vr_json_get(size, "shortest_edge"), 1, MAX_SIDE, &h))
            return wrong_type(r, "size", "a size from 1 to 16384", size);
        w = h;
    } else {
        out->resize = VR_RESIZE_SQUASH;
        if (!vr_json_int(vr_json_get(size, "height"), 1, MAX_SIDE, &h) ||
            !vr_json_int(vr_json_get(size, "width"), 1, MAX_SIDE, &w))
            return wrong_type(r, "size", "a number, {height, width} or {shortest_edge}", size);
    }
    out->resize_height = (int)h, out->resize_width = (int)w;
    return VR_OK;
}

static vr_status read_hf_crop(const reader *r, const vr_json *p, vr_recipe *out)
{
    const vr_json *size = vr_json_get(p, "crop_size");
    bool           on = out->crop_height > 0;
    int64_t        h, w;
    if (read_bool(r, p, "do_center_crop", &on)) return VR_E_MODEL;
    if (!on) {
        out->crop_height = out->crop_width = 0;
        return VR_OK;
    }
    if (!size || vr_json_type(size) == VR_JSON_NULL) return VR_OK;
    if (vr_json_int(size, 1, MAX_SIDE, &h))
        w = h;
    else if (!vr_json_int(vr_json_get(size, "height"), 1, MAX_SIDE, &h) ||
             !vr_json_int(vr_json_get(size, "width"), 1, MAX_SIDE, &w))
        return wrong_type(r, "crop_size", "a number or {height, width}", size);
    out->crop_height = (int)h, out->crop_width = (int)w;
    return VR_OK;
}

static vr_status read_hf_recipe(const reader *r, const vr_json *p, vr_recipe *out)
{
    int    resample = out->filter == VR_BICUBIC ? 3 : 2;
    bool   normalise = true, rescale = true;
    double factor = 1.0 / 255;
    if (vr_json_type(p) != VR_JSON_OBJECT)
        return vr_fail(r->err, VR_E_MODEL, "config-type", "%s: must be an object; found %s.", vr_quotez(r->path).text,
                       vr_json_type_name(p));
    if (read_hf_resize(r, p, out) || read_hf_crop(r, p, out) || read_int(r, p, "resample", 0, 5, &resample) ||
        read_bool(r, p, "do_normalize", &normalise) || read_bool(r, p, "do_rescale", &rescale) ||
        read_double(r, p, "rescale_factor", &factor) || read_three(r, p, "image_mean", false, out->mean) ||
        read_three(r, p, "image_std", true, out->std))
        return r->err->code;
    if (resample != 2 && resample != 3)
        return refuse(r, "a resample filter other than 2 (bilinear) or 3 (bicubic):", resample == 1 ? "1" : "0, 4 or 5");
    if (!rescale || fabs(factor * 255 - 1) > 1e-9) return refuse(r, "a rescale_factor other than", "1/255");
    out->filter = resample == 3 ? VR_BICUBIC : VR_BILINEAR;
    if (!normalise)
        for (int i = 0; i < 3; i++) out->mean[i] = 0, out->std[i] = 1;
    return VR_OK;
}

static vr_status parse_hf_recipe(const char *folder, const hf_source *s, vr_config *c, vr_error *err)
{
    vr_recipe *p = &c->recipe;
    vr_json   *doc = NULL;
    char       path[4400];
    snprintf(path, sizeof path, "%s/preprocessor_config.json", folder);
    *p = (vr_recipe){.resize = s->squash ? VR_RESIZE_SQUASH : VR_RESIZE_SHORTER,
                     .resize_height = s->resize,
                     .resize_width = s->resize,
                     .crop_height = s->crop,
                     .crop_width = s->crop,
                     .filter = s->filter,
                     .offset = VR_OFFSET_FLOOR,
                     .mean = {s->mean[0], s->mean[1], s->mean[2]},
                     .std = {s->std[0], s->std[1], s->std[2]}};
    if (access(path, F_OK) == 0) {
        reader    r = {path, err};
        vr_status status = vr_json_read(&doc, path, 0, err);
        if (status == VR_OK) status = read_hf_recipe(&r, doc, p);
        vr_json_free(doc);
        if (status) return status;
    }
    /* The size the pictures come out with is the size the model is run at. */
    int height = p->crop_height, width = p->crop_width;
    c->uncropped = height == 0;
    if (c->uncropped) {
        if (p->resize == VR_RESIZE_SHORTER) p->crop_height = p->crop_width = height = width = p->resize_height;
        if (p->resize == VR_RESIZE_SQUASH) p->crop_height = height = p->resize_height, p->crop_width = width = p->resize_width;
        if (p->resize == VR_RESIZE_NONE) p->crop_height = height = c->image_height, p->crop_width = width = c->image_width;
    }
    int shorter = p->resize_height < p->resize_width ? p->resize_height : p->resize_width;
    c->crop_pct = p->resize == VR_RESIZE_NONE ? 1 : (double)(height < width ? height : width) / shorter;
    c->filter = p->filter;
    vr_recipe_name(p);
    vr_error why = {0};
    if (vr_config_set_size(c, height, width, &why) == VR_OK) return VR_OK;
    return vr_fail(err, VR_E_MODEL, "config-size", "%s: %s", vr_quotez(path).text, why.text);
}

static bool architecture_is(const vr_json *doc, const char *name)
{
    const vr_json *list = vr_json_get(doc, "architectures");
    const char    *text;
    for (size_t i = 0; list && i < vr_json_size(list); i++)
        if (vr_json_string(vr_json_item(list, i), &text) && strcmp(text, name) == 0) return true;
    return false;
}

static vr_status parse_hf(const reader *r, const vr_json *doc, const char *folder, vr_config *c)
{
    const char *type = NULL, *act = "gelu";
    int         channels = 3, ratio = 4;
    double      eps = 1e-12;
    bool        bias = true, swiglu = false;
    if (read_string(r, doc, "model_type", &type)) return VR_E_MODEL;
    const hf_source *s = NULL;
    for (size_t i = 0; i < sizeof hf_sources / sizeof *hf_sources; i++)
        if (strcmp(type, hf_sources[i].model_type) == 0) s = &hf_sources[i];
    if (!s) return refuse(r, "the model_type", type);

    memset(c, 0, sizeof *c);
    *c = (vr_config){.layout = s->layout, .patch = 16, .prefix = s->layout == VR_LAYOUT_HF_DEIT ? 2 : 1, .classes = -1};
    c->image_height = c->image_width = 224;
    if (s->layout == VR_LAYOUT_HF_DINOV2) c->patch = 14, eps = 1e-6, c->layer_scale = true, c->head = VR_HEAD_CLASS_MEAN;
    if (architecture_is(doc, "DeiTForImageClassificationWithTeacher")) c->head = VR_HEAD_DISTILLED;
    if (read_size(r, doc, "image_size", &c->image_height, &c->image_width) ||
        read_int(r, doc, "patch_size", 1, 256, &c->patch) || read_int(r, doc, "hidden_size", 1, MAX_WIDTH, &c->dim) ||
        read_int(r, doc, "num_hidden_layers", 1, MAX_DEPTH, &c->depth) ||
        read_int(r, doc, "num_attention_heads", 1, MAX_HEADS, &c->heads) ||
        read_int(r, doc, "intermediate_size", 1, 8 * MAX_WIDTH, &c->mlp) || read_int(r, doc, "mlp_ratio", 1, 64, &ratio) ||
        read_int(r, doc, "num_channels", 1, 1024, &channels) || read_double(r, doc, "layer_norm_eps", &eps) ||
        read_string(r, doc, "hidden_act", &act) || read_bool(r, doc, "qkv_bias", &bias) ||
        read_bool(r, doc, "use_swiglu_ffn", &swiglu) || read_hf_labels(r, doc, c))
        return r->err->code;
    if (strcmp(act, "gelu")) return refuse(r, "the activation", act);
    if (swiglu) return refuse(r, "use_swiglu_ffn:", "true");
    if (!bias) return refuse(r, "qkv_bias:", "false");
    if (channels != 3) return refuse(r, "num_channels other than 3:", type);
    if (s->layout == VR_LAYOUT_HF_DINOV2) c->mlp = c->dim * ratio;
    c->norm_eps = (float)eps;
    snprintf(c->name, sizeof c->name, "%s_%d_%d", type, c->dim, c->depth);
    return check_config(r, c) ? r->err->code : parse_hf_recipe(folder, s, c, r->err);
}

vr_status vr_config_read_folder(vr_config *out, bool *found, const char *data_dir, const char *folder, vr_error *err)
{
    char      path[4400];
    vr_json  *doc = NULL;
    vr_config c = {0};
    *found = false;
    if (snprintf(path, sizeof path, "%s/config.json", folder) >= (int)sizeof path)
        return vr_fail(err, VR_E_MODEL, "config-path", "%s: the folder's name is too long.", vr_quotez(folder).text);
    if (access(path, F_OK)) return VR_OK;
    reader    r = {path, err};
    vr_status status = vr_json_read(&doc, path, 16 << 20, err); /* 1,000,000 labels fit */
    if (status == VR_OK) {
        if (vr_json_type(vr_json_get(doc, "architecture")) != VR_JSON_NULL)
            status = parse_timm(&r, doc, data_dir, &c);
        else if (vr_json_type(vr_json_get(doc, "model_type")) != VR_JSON_NULL)
            status = parse_hf(&r, doc, folder, &c);
        else
            status = vr_fail(err, VR_E_MODEL, "config-kind",
                             "%s: has neither timm's \"architecture\" nor transformers' \"model_type\"; say which "
                             "architecture it is with --arch.",
                             vr_quotez(path).text);
    }
    vr_json_free(doc);
    if (status) {
        vr_config_free(&c);
        return status;
    }
    *out = c;
    *found = true;
    return VR_OK;
}
