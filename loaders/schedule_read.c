/* schedule_read.c: one step of a schedule file. */
#include "schedule_parts.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof(vr_step_rule) == sizeof(int), "the table of words writes enums as ints");

void vr_written_begin(vr_written *w, vr_method method, int origin)
{
    memset(w, 0, sizeof *w);
    w->origin = origin;
    w->say.method = method;
    if (method != VR_MAME) return;
    w->say.refine = true;
    w->say.share = 0.5;
}

static vr_status wrong_type(const vr_origin *from, const char *key, const char *wanted, const vr_json *found)
{
    return vr_origin_fail(from, found ? "schedule-type" : "schedule-missing", key, "must be %s; found %s", wanted,
                          found ? vr_json_type_name(found) : "nothing");
}

/* Each reader leaves its target as it was where the key is absent; null is a value only to "forced". */

static vr_status read_bool(bool *out, const vr_origin *from, const vr_json *object, const char *key)
{
    const vr_json *v = vr_json_get(object, key);
    return !v || vr_json_bool(v, out) ? VR_OK : wrong_type(from, key, "true or false", v);
}

static vr_status read_text(const char **out, const vr_origin *from, const vr_json *object, const char *key)
{
    const vr_json *v = vr_json_get(object, key);
    return !v || vr_json_string(v, out) ? VR_OK : wrong_type(from, key, "a string", v);
}

static vr_status read_word(vr_step *say, const vr_origin *from, const vr_json *object, const vr_word_key *k)
{
    const vr_json *v = vr_json_get(object, k->key);
    const char    *text;
    int            number;
    if (!v || (vr_json_type(v) == VR_JSON_NULL && strcmp(k->key, "forced") == 0)) return VR_OK;
    if (!vr_json_string(v, &text)) return wrong_type(from, k->key, "a string", v);
    if (vr_word_find(&number, from, k->key, k->words, text)) return from->err->code;
    memcpy((char *)say + k->offset, &number, sizeof number);
    return VR_OK;
}

static vr_status read_numbers(vr_written *w, const vr_origin *from, const vr_json *object, const vr_number_key *k)
{
    const vr_json *v = vr_json_get(object, k->key);
    vr_numbers    *out = (vr_numbers *)(void *)((char *)w + k->offset);
    double         value;
    if (!v) return VR_OK;
    if (vr_json_double(v, &value)) return vr_numbers_add(out, from, k, value);
    if (vr_json_type(v) != VR_JSON_ARRAY || vr_json_size(v) == 0)
        return wrong_type(from, k->key, "a number or a list of numbers", v);
    for (size_t i = 0; i < vr_json_size(v); i++) {
        if (!vr_json_double(vr_json_item(v, i), &value))
            return wrong_type(from, k->key, "a number or a list of numbers", vr_json_item(v, i));
        if (vr_numbers_add(out, from, k, value)) return from->err->code;
    }
    return VR_OK;
}

static vr_status read_layers(vr_written *w, const vr_origin *from, const vr_json *object)
{
    const vr_json *v = vr_json_get(object, "layers");
    const char    *text;
    double         layer;
    if (!v) return VR_OK;
    w->layers_said = true;
    if (vr_json_string(v, &text)) return vr_layers_parse(&w->layers, from, "layers", text);
    if (vr_json_type(v) != VR_JSON_ARRAY) return wrong_type(from, "layers", "a text such as \"0-7\" or a list of blocks", v);
    for (size_t i = 0; i < vr_json_size(v); i++) {
        if (!vr_json_double(vr_json_item(v, i), &layer))
            return wrong_type(from, "layers", "a list of blocks", vr_json_item(v, i));
        if (vr_layers_add(&w->layers, from, "layers", layer)) return from->err->code;
    }
    return VR_OK;
}

static vr_status read_mame(vr_written *w, const vr_origin *from, const vr_json *object)
{
    static const vr_number_key share = {"share", 0, 0, false, true, 0, 0.999};
    const vr_json             *seed = vr_json_get(object, "seed"), *part = vr_json_get(object, "share");
    int64_t                    number = 0;
    if (read_bool(&w->say.refine, from, object, "refine")) return from->err->code;
    w->random_said = seed || part;
    if (seed && !vr_json_int(seed, 0, INT64_MAX, &number)) return wrong_type(from, "seed", "a whole number from 0", seed);
    w->say.seed = (uint64_t)number;
    if (part && !vr_json_double(part, &w->say.share)) return wrong_type(from, "share", "a number", part);
    if (part && vr_numbers_check(from, &share, w->say.share)) return from->err->code;
    if (!w->random_said || w->say.partition == VR_PARTITION_RANDOM) return VR_OK;
    return vr_origin_fail(from, "unknown-key", seed ? "seed" : "share", "means something only to \"partition\": \"random\"");
}

static vr_status read_tome(vr_written *w, const vr_origin *from, const vr_json *object)
{
    static const vr_number_key inflect = {"inflect", 0, 0, false, false, -1, 1};
    const vr_json             *v = vr_json_get(object, "inflect");
    if (!v) return VR_OK;
    if (!vr_json_double(v, &w->inflect)) return wrong_type(from, "inflect", "a number", v);
    w->inflect_said = true;
    return vr_numbers_check(from, &inflect, w->inflect);
}

static vr_status read_mare(vr_written *w, const vr_origin *from, const vr_json *object)
{
    const vr_json *v = vr_json_get(object, "layer");
    double         layer;
    if (!v || !vr_json_double(v, &layer)) return wrong_type(from, "layer", "a block", v);
    w->layers_said = true;
    return vr_layers_add(&w->layers, from, "layer", layer);
}

static const char *const *keys_of(vr_method method)
{
    static const char *const        mame[] = {"method", "layers",  "tau",        "rule",   "refine",  "partition", "seed",
                                              "share",  "feature", "similarity", "forced", "weights", NULL};
    static const char *const        tome[] = {"method", "layers", "r", "inflect", NULL};
    static const char *const        evit[] = {"method", "layers", "keep", "fuse", NULL};
    static const char *const        diffrate[] = {"method", "rates", "rates_from", "prune", "merge", NULL};
    static const char *const        mare[] = {"method", "layer", "mode", NULL};
    static const char *const *const keys[VR_METHODS] = {mame, tome, evit, diffrate, mare};
    return keys[method];
}

vr_status vr_written_read(vr_written *w, const vr_json *object, const vr_origin *from)
{
    const char *method = NULL;
    int         number;
    if (vr_json_type(object) != VR_JSON_OBJECT) return wrong_type(from, "", "an object", object);
    if (read_text(&method, from, object, "method")) return from->err->code;
    if (!method) return wrong_type(from, "method", "the name of a method", NULL);
    if (vr_word_find(&number, from, "method", vr_method_words, method)) return from->err->code;

    vr_written_begin(w, (vr_method)number, from->step);
    if (vr_json_only_keys(object, keys_of(w->say.method), vr_origin_place(from, "").text, from->err)) return from->err->code;
    for (const vr_word_key *k = vr_word_keys; k->key; k++)
        if ((k->methods & 1u << number) && read_word(&w->say, from, object, k)) return from->err->code;
    for (const vr_number_key *k = vr_number_keys; k->key; k++)
        if ((k->methods & 1u << number) && read_numbers(w, from, object, k)) return from->err->code;
    switch (w->say.method) {
    case VR_MAME:
        return read_layers(w, from, object) ? from->err->code : read_mame(w, from, object);
    case VR_TOME:
        return read_layers(w, from, object) ? from->err->code : read_tome(w, from, object);
    case VR_EVIT:
        return read_layers(w, from, object) ? from->err->code : read_bool(&w->say.fuse, from, object, "fuse");
    case VR_DIFFRATE:
        return read_text(&w->rates, from, object, "rates") ? from->err->code
                                                           : read_text(&w->rates_from, from, object, "rates_from");
    default:
        return read_mare(w, from, object);
    }
}
