/* topk.c: the largest logits and their probabilities. */
#include <math.h>

#include "vitrun.h"

int vitrun_topk(const float *logits, int classes, int k, vitrun_class *out)
{
    int count = 0;
    if (classes <= 0 || k <= 0) return 0;
    for (int i = 0; i < classes; i++) { /* insertion: k is small, and an equal logit stays behind the lower index */
        int at = count < k ? count : k;
        while (at > 0 && logits[i] > out[at - 1].logit) {
            if (at < k) out[at] = out[at - 1];
            at--;
        }
        if (at < k) out[at] = (vitrun_class){.index = i, .logit = logits[i]};
        if (count < k) count++;
    }
    double sum = 0;
    for (int i = 0; i < classes; i++) sum += exp((double)logits[i] - (double)out[0].logit);
    for (int j = 0; j < count; j++) out[j].prob = (float)(exp((double)out[j].logit - (double)out[0].logit) / sum);
    return count;
}
