/* lanes.c: a batch cut into micro-batches; on a GPU two of them in flight, each from a thread of its own, so that one's upload, and
 * its waits for what merging left over, hide behind the other's work.  Lanes share the weights; buffers, scratch and stream are
 * each one's own.  Which of them computes a micro-batch is chance, and shows nowhere. */
#include <pthread.h>

#include "internal.h"

/* ---- the second lane ---- */

void vr_lane_close(vr_lane *lane)
{
    vr_run_close(&lane->run);
    if (lane->backend.impl) lane->backend.ops->close(&lane->backend);
    *lane = (vr_lane){0};
}

vr_status vr_lane_open(vitrun *v, vr_error *err)
{
    vr_lane  *lane = &v->second;
    vr_error  why = {0};
    vr_status status;
    if (!v->backend.ops->open_sibling || v->lanes_most == 1) return VR_OK;
    status = v->backend.ops->open_sibling(&lane->backend, &v->backend, &why);
    if (status == VR_OK) status = vr_run_open(&lane->run, &v->model, &lane->backend, v->run.needs, v->run.tokens_max, &why);
    if (status == VR_OK) return VR_OK;
    vr_lane_close(lane);
    return status == VR_E_MEMORY ? VR_OK : vr_fail(err, why.code, why.rule, "%s", why.text);
}

void vr_lanes_follow(vitrun *v, const vr_schedule *schedule) { v->run.schedule = v->second.run.schedule = schedule; }

/* ---- the queue ---- */

typedef struct {
    vitrun           *v;
    float            *logits;
    const vr_picture *in;
    int               images, first; /* as in vr_run_pictures */
    int               taken;         /* images that some lane has taken */
    vr_error          err;           /* the first fault of either lane */
    pthread_mutex_t   lock;
} queue;

/* Tokens of a micro-batch: as many as there is room for, or as are fastest where nobody asks for more: by a number, by a rule
 * that looks at the whole batch, or to see afterwards what became of its tokens. */
static int most_tokens(const vitrun *v)
{
    const bool all = v->budget_given || v->keep_trace || v->kept || v->run.schedule->scope == VR_SCOPE_BATCH;
    const int  together = v->backend.together;
    return all || together == 0 || together > v->run.tokens_max ? v->run.tokens_max : together;
}

/* How many of the pictures, at least one, make a micro-batch. */
static int cut(const vitrun *v, const vr_picture *in, int images)
{
    const int most = most_tokens(v);
    int       count = 0, tokens = 0;
    while (count < images && count < v->run.images_max) {
        tokens += vr_tokens_of(v->run.model, &in[count]);
        if (count > 0 && tokens > most) break;
        count++;
    }
    return count;
}

static int take(queue *q, int *from)
{
    int count = 0;
    pthread_mutex_lock(&q->lock);
    if (!q->err.code && q->taken < q->images) {
        *from = q->taken;
        count = cut(q->v, q->in + q->taken, q->images - q->taken);
        q->taken += count;
        q->v->batch_first = q->first + *from; /* those before it have lost their traces */
    }
    pthread_mutex_unlock(&q->lock);
    return count;
}

static void work(queue *q, vr_run *run)
{
    const size_t outputs = (size_t)q->v->model.outputs;
    int          from, count;
    while ((count = take(q, &from))) {
        vr_error err = {0};
        if (vr_run_batch(q->v, run, q->logits + (size_t)from * outputs, q->in + from, count, q->first + from, &err) == VR_OK)
            continue;
        pthread_mutex_lock(&q->lock);
        if (!q->err.code) q->err = err;
        pthread_mutex_unlock(&q->lock);
    }
}

static void *work_beside(void *arg)
{
    queue *q = arg;
    work(q, &q->v->second.run);
    return NULL;
}

/* A table of verbs that somebody put before the first lane's, to watch them, sees one lane only. */
static bool both(const queue *q)
{
    const vitrun *v = q->v;
    return v->second.run.model && v->second.backend.ops == v->backend.ops && cut(v, q->in, q->images) < q->images;
}

vr_status vr_run_pictures(vitrun *v, float *logits, const vr_picture *in, int images, int first, vr_error *err)
{
    queue     q = {.v = v, .logits = logits, .in = in, .images = images, .first = first, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t beside;
    v->batch_first = v->costs = first;
    const bool two = both(&q) && pthread_create(&beside, NULL, work_beside, &q) == 0; /* without it, one does it all */
    work(&q, &v->run);
    if (two) pthread_join(beside, NULL);
    pthread_mutex_destroy(&q.lock);
    if (q.err.code) return vr_fail(err, q.err.code, q.err.rule, "%s", q.err.text);
    v->costs = first + images;
    return VR_OK;
}
