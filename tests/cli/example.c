/* The smallest useful program with libvitrun: prints the best label of one picture.
 *     cc example.c -I engine -L build -lvitrun -o example && ./example MODEL PICTURE */
#include <stdio.h>
#include <stdlib.h>

#include "vitrun.h"

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: example MODEL PICTURE\n");
        return VITRUN_USAGE;
    }
    vitrun_options options = vitrun_defaults();
    vitrun_error   err = {0};
    vitrun        *v;
    options.model = argv[1];
    if (vitrun_open(&v, &options, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return err.code;
    }
    int          classes = vitrun_about(v)->classes;
    float       *logits = malloc((size_t)classes * sizeof *logits);
    vitrun_class best;
    if (logits && vitrun_logits_of_file(v, argv[2], logits, &err) == VITRUN_OK && vitrun_topk(logits, classes, 1, &best) == 1)
        printf("%d %s %.4f\n", best.index, vitrun_label(v, best.index), (double)best.prob);
    else
        fprintf(stderr, "%s\n", err.text);
    free(logits);
    vitrun_close(v);
    return err.code;
}
