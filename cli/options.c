/* options.c: the table of commands, the table of flags, and the parser that both are for. */
#include "options.h"
#include "../engine/internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int cmd_version(const cli_options *o);
static int cmd_help(const cli_options *o);

const cli_command cli_commands[] = {
    {CLI_CLASSIFY,
     "classify",
     "IMG...",
     "label pictures",
     "IMG is a picture, a folder (searched with all its folders), @LIST (a file of names) or - (one picture from standard\n"
     "input). A picture that cannot be read gives a row with its error and exit code 1 at the end.",
     {"vitrun classify photo.jpg", "vitrun classify --json -k 1 pictures/ > labels.jsonl"},
     cmd_classify,
     0,
     SIZE_MAX},
    {CLI_EVAL,
     "eval",
     "--imagenet DIR",
     "accuracy on a labelled set of pictures",
     "DIR, or val/ in it, holds a folder for each class, named by synset, by the model's name of the class or, where all\n"
     "classes are there, by index; or it holds the pictures themselves, and --labels names a file with their classes. DIR may\n"
     "also be a file that vitrun cache made of such a folder; every flag means the same.\n"
     "EXIF orientation is ignored unless --exif on. Broken pictures are left out, named, and counted.\n"
     "--compare finds pictures by the end of their path, else by file name where that is unique. A difference is listed\n"
     "with its label, our class, theirs, and our logit's margin between the two where theirs is among our best five.",
     {"vitrun eval --imagenet imagenette2/val",
      "vitrun eval --imagenet ILSVRC2012 -m MODEL --merge mame --agreement --state run.state"},
     cmd_eval,
     0,
     0},
    {CLI_CACHE,
     "cache",
     "DIR -o FILE",
     "keep the crops of a data set, for eval again and again",
     "Decodes, resizes and crops the pictures of DIR as the model, or --recipe, wants them, and writes the crops with their\n"
     "names, folders and the sources' SHA-256 to one file. vitrun eval --imagenet FILE then gives what it gives for DIR, with\n"
     "the same flags: class folders name their classes, and --labels goes to eval as for DIR. A picture without a crop is\n"
     "listed with its reason. EXIF orientation is ignored unless --exif on. The same pictures give the same bytes. --verify\n"
     "FILE checks a cache, and with DIR whether its sources are still what they were.",
     {"vitrun cache imagenette2/val -o crops.vrc", "vitrun cache --verify crops.vrc imagenette2/val"},
     cmd_cache,
     0,
     1},
    {CLI_TUNE,
     "tune",
     "IMG...",
     "find a merge setting for a target, on pictures without labels",
     "Looks for mame's tau, tome's r or evit's keep: one number, or with --per-block a tau for each block. The setting that\n"
     "merges least and costs at most --target-gmacs, or is --target-speed times as fast; or the one that merges most and "
     "still\n"
     "gives the unmerged model's answer on --target-agreement per cent. Settings are tried on one half of the pictures; how\n"
     "good the one found is, is measured on the other. --seed chooses the halves.",
     {"vitrun tune pictures/ --target-gmacs 3 --save tuned.json", "vitrun tune pictures/ --per-block --target-agreement 99"},
     cmd_tune,
     1,
     SIZE_MAX},
    {CLI_REPORT,
     "report",
     "RESULTS...",
     "a page with figures and tables from results of eval",
     "RESULTS are files that eval --json wrote: an object, or an array of them, one a setting of merging. The page is one\n"
     "file without scripts: accuracy against arithmetic and speed, agreement, tokens, all numbers, hashes of the files. What\n"
     "was measured differently gets a section of its own. Without -o it goes to standard output, unless that is a terminal;\n"
     "-o NAME.md and -o NAME.svg choose their formats.",
     {"vitrun report results/*.json -o report.html", "vitrun report sweep.json -f md"},
     cmd_report,
     1,
     SIZE_MAX},
    {CLI_BENCH,
     "bench",
     "[IMG...]",
     "measure throughput and latency",
     "Runs every combination of --batch, --threads and --dtype. Lists are 1,2,4; ranges are 1-8, 2-8+2 (steps of 2) and\n"
     "1-64*2 (doubling). IMG as for classify: photographs, decoded before anything is measured and taken in turn, run by run;\n"
     "without any, the two that come with vitrun. Thresholds merge random pixels (--synthetic) unlike photographs.\n"
     "--kernels tells where a step's time goes: calls (on a GPU launches of each kernel), time, bytes (each operand once) and\n"
     "flops of products, beside the machine's FMA peak on a CPU. --end-to-end measures from files to answers: decoding and\n"
     "resizing on threads of their own beside the arithmetic, and each alone before; it says which stage limits.",
     {"vitrun bench --arch deit_small_patch16_224 --random --batch 1,8",
      "vitrun bench -m model.safetensors -b 1-64*2 --merge mame --json pictures/"},
     cmd_bench,
     0,
     SIZE_MAX},
    {CLI_EMBED,
     "embed",
     "IMG...",
     "features of pictures, behind the final norm",
     "IMG as for classify. --pool cls is the class token, mean the mean of the patches, patches every patch, logits-input "
     "what\n"
     "the model's classifier reads. A picture that cannot be read gives a row with its error (npy and safetensors: a row of\n"
     "NaN) and exit code 1 at the end. npy and safetensors want -o.",
     {"vitrun embed --pool cls photo.jpg", "vitrun embed --pool mean --normalize -f npy -o features.npy pictures/"},
     cmd_embed,
     0,
     SIZE_MAX},
    {CLI_TOKENS,
     "tokens",
     "IMG",
     "show what merging does to one picture",
     "Writes a PNG or SVG: what the model sees of the picture, then a panel for each block that reduces, with every patch in\n"
     "the colour of the token that holds most of it. A group keeps its colour as it grows; a patch that is still alone has\n"
     "none, one that was dropped is dark. --json prints for each block and patch the number of its token (`map`) and of its\n"
     "group (`group`: a number that it keeps as it grows).\n"
     "--grid compares settings, one below the other: \"tau=0.5..0.9:0.1\" goes on from the other merge flags,\n"
     "\"mame tau=0.8|0.9; tome r=16; evit keep=0.7 fuse\" names methods, then flags without their dashes.",
     {"vitrun tokens photo.jpg --merge mame --tau 0.8 -o map.png",
      "vitrun tokens photo.jpg --grid \"none; mame tau=0.7|0.8|0.9; tome\" -o map.svg"},
     cmd_tokens,
     1,
     1},
    {CLI_INFO,
     "info",
     "[MODEL]",
     "say what a checkpoint is and whether it runs",
     "MODEL is a .safetensors file, its index, or a folder that holds one; -m says the same. With -v lists its tensors.",
     {"vitrun info model.safetensors", "vitrun info -v --json weights/dinov2_small_imagenette"},
     cmd_info,
     0,
     1},
    {CLI_FORWARD,
     "forward",
     "",
     "run a model on raw tensors, for comparison with other frameworks",
     "Reads `pixels` [B, 3, H, W] (F32, F16, BF16 or F64) and writes `logits` [B, classes]; with --blocks also the residual\n"
     "stream `block_in_0` and `block_out_I` [tokens of all images, dim] with `offsets_I` [B + 1].",
     {"vitrun forward -m MODEL --input pixels.safetensors --output logits.safetensors",
      "vitrun forward --arch deit_tiny_patch16_224 --random --input in.safetensors --output out.safetensors --blocks"},
     cmd_forward,
     0,
     0},
    {CLI_PIXELS,
     "pixels",
     "IMG...",
     "decoded and resized pixels, for comparison with other frameworks",
     "Prints checksums of the pixels after each step of the preprocessing, or writes them as tensors.",
     {"vitrun pixels --recipe all photo.jpg", "vitrun pixels --json pictures/"},
     cmd_pixels,
     0,
     SIZE_MAX},
    {CLI_DEVICES,
     "devices",
     "",
     "what this machine offers",
     "The processor, its instruction sets and the one that would be used, cores, memory, and GPUs.",
     {"vitrun devices", "vitrun devices --json"},
     cmd_devices,
     0,
     0},
    {CLI_COMPLETION,
     "completion",
     "SHELL",
     "print a shell's completion script",
     "SHELL is bash.",
     {"source <(vitrun completion bash)", "vitrun completion bash > ~/.local/share/bash-completion/completions/vitrun"},
     cmd_completion,
     1,
     1},
    {CLI_HELP,
     "help",
     "[COMMAND]",
     "explain a command",
     "The same text as vitrun COMMAND --help.",
     {"vitrun help", "vitrun help classify"},
     cmd_help,
     0,
     1},
    {CLI_VERSION,
     "version",
     "",
     "print the version",
     "The same as vitrun --version.",
     {"vitrun version", "vitrun --version"},
     cmd_version,
     0,
     0},
    {0},
};

#define AT(field) offsetof(cli_options, field)
#define ENGINE    (CLI_CLASSIFY | CLI_EVAL | CLI_EMBED | CLI_TOKENS | CLI_TUNE | CLI_FORWARD | CLI_INFO | CLI_BENCH)
#define PICTURES  (CLI_CLASSIFY | CLI_EVAL | CLI_EMBED | CLI_PIXELS)
#define READERS   (PICTURES | CLI_TOKENS | CLI_TUNE | CLI_BENCH | CLI_CACHE) /* of one picture too */
#define RESULTS   (CLI_CLASSIFY | CLI_EVAL | CLI_EMBED | CLI_TOKENS | CLI_TUNE | CLI_PIXELS | CLI_INFO | CLI_DEVICES | CLI_BENCH)
#define MERGES    (CLI_CLASSIFY | CLI_EVAL | CLI_EMBED | CLI_TOKENS | CLI_TUNE | CLI_BENCH)
#define ALL       (ENGINE | PICTURES | CLI_DEVICES | CLI_COMPLETION | CLI_HELP | CLI_VERSION | CLI_REPORT | CLI_CACHE)

static const char dtype_words[] = "auto f32 tf32 f16 bf16 int8";

/* Flags of one command first, then those that many share; --help keeps this order.  A flag that means something else to
 * another command has a row for each.
 * A table is read by its columns, hence: */
/* clang-format off */
const cli_flag cli_flags[] = {
    {"topk", 'k', "N", "show the N best classes (default 5; 1 for timm-csv)", CLI_CLASSIFY, CLI_INTEGER, AT(topk), 1, 1e6, 0, 0},
    {"pool", 0, "WHAT", "cls, mean, patches or logits-input (default logits-input)", CLI_EMBED, CLI_CHOICE, AT(pool), 0, 0, "cls mean patches logits-input", 0},
    {"normalize", 0, 0, "scale each vector to length 1", CLI_EMBED, CLI_SWITCH, AT(normalize), 0, 0, 0, 0},
    {"style", 0, "STYLE", "tint (default), mean: each group's mean colour, or border: outlines", CLI_TOKENS, CLI_CHOICE, AT(style), 0, 0, "tint mean border", 0},
    {"grid", 0, "SETTINGS", "a row of panels for each of several settings, such as \"tau=0.7|0.8|0.9\"", CLI_TOKENS, CLI_TEXT, AT(grid), 0, 0, 0, 0},
    {"panels", 0, "LIST", "blocks to show, such as 0-3 or 2,5 (default: those that change anything)", CLI_TOKENS, CLI_TEXT, AT(panels), 0, 0, 0, 0},
    {"scale", 0, "X", "pixels drawn for one of the model's, such as 0.5 or 2 (default: chosen)", CLI_TOKENS, CLI_REAL, AT(scale), 0.1, 16, 0, 0},
    {"imagenet", 0, "DIR", "the labelled pictures: a folder, or a cache made of it", CLI_EVAL, CLI_TEXT, AT(imagenet), 0, 0, 0, 0},
    {"labels", 0, "FILE", "classes of a folder without class folders, one line a picture", CLI_EVAL, CLI_TEXT, AT(labels), 0, 0, 0, 0},
    {"labels-order", 0, "ORDER", "what numbers in --labels mean: index (from 0, the model's) or devkit (see --devkit-map)", CLI_EVAL, CLI_CHOICE, AT(labels_order), 0, 0, "index devkit", 0},
    {"devkit-map", 0, "FILE", "lines 'ID SYNSET': how ILSVRC2012's devkit numbers the classes", CLI_EVAL, CLI_TEXT, AT(devkit_map), 0, 0, 0, 0},
    {"class-map", 0, "FILE", "names of the class folders, line i (from 0) is class i", CLI_EVAL, CLI_TEXT, AT(class_map), 0, 0, 0, 0},
    {"target-gmacs", 0, "G", "the most that an image may cost, in 1e9 multiply-adds", CLI_TUNE, CLI_REAL, AT(target_gmacs), 1e-6, 1e6, 0, 0},
    {"target-speed", 0, "X", "times as fast as the unmerged model", CLI_TUNE, CLI_REAL, AT(target_speed), 1, 1e3, 0, 0},
    {"target-agreement", 0, "P", "per cent of pictures with the unmerged model's answer", CLI_TUNE, CLI_REAL, AT(target_agreement), 1, 100, 0, 0},
    {"per-block", 0, 0, "mame: a tau for each block, or none", CLI_TUNE, CLI_SWITCH, AT(per_block), 0, 0, 0, 0},
    {"save", 0, "FILE", "write what was found as a schedule for --merge FILE", CLI_TUNE, CLI_TEXT, AT(save), 0, 0, 0, 0},
    {"limit", 0, "N", "N pictures at random, for both halves together (default 256)", CLI_TUNE, CLI_INTEGER, AT(limit), 4, 1e6, 0, 0},
    {"valid-labels", 0, "FILE", "choose among these classes only: a synset or an index a line (ImageNet-A, -R)", CLI_EVAL, CLI_TEXT, AT(valid_labels), 0, 0, 0, 0},
    {"real-labels", 0, "FILE", "judge by ReaL too: a JSON list, for each ILSVRC2012_val picture, of its classes", CLI_EVAL, CLI_TEXT, AT(real_labels), 0, 0, 0, 0},
    {"limit", 0, "N", "only the first N pictures", CLI_EVAL, CLI_INTEGER, AT(limit), 1, 1e9, 0, 0},
    {"shuffle", 0, "SEED", "in a random order, before --limit", CLI_EVAL, CLI_TEXT, AT(shuffle), 0, 0, 0, 0},
    {"predictions", 0, "FILE", "write a line a picture: label, five best classes, tokens, cost", CLI_EVAL, CLI_TEXT, AT(predictions), 0, 0, 0, 0},
    {"compare", 0, "FILE", "count where answers differ from FILE: --predictions, or CSV or JSON of timm's inference.py", CLI_EVAL, CLI_TEXT, AT(compare), 0, 0, 0, 0},
    {"differences", 0, "FILE", "write a line for each picture that --compare finds different, instead of a table", CLI_EVAL, CLI_TEXT, AT(differences), 0, 0, 0, 0},
    {"sweep", 0, "LIST", "many merge settings in one pass: \"none; mame tau=0.7..0.9:0.05; tome r=8|16\"", CLI_EVAL, CLI_TEXT, AT(sweep), 0, 0, 0, 0},
    {"agreement", 0, 0, "run the unmerged model too, and compare", CLI_EVAL, CLI_SWITCH, AT(agreement), 0, 0, 0, 0},
    {"state", 0, "FILE", "keep results in FILE, and go on from there when it exists", CLI_EVAL, CLI_TEXT, AT(state), 0, 0, 0, 0},
    {"no-timing", 0, 0, "leave out times and speeds, so that runs can be compared", CLI_EVAL, CLI_SWITCH, AT(no_timing), 0, 0, 0, 0},
    {"recipe", 0, "NAME", "preprocessing to use, or all", CLI_PIXELS, CLI_TEXT, AT(recipe), 0, 0, 0, 0},
    {"recipe", 0, "NAME", "how to resize and crop, such as bicubic-256-crop224, instead of a model's way", CLI_CACHE, CLI_TEXT, AT(recipe), 0, 0, 0, 0},
    {"verify", 0, "FILE", "check a cache, and with DIR its sources", CLI_CACHE, CLI_TEXT, AT(verify), 0, 0, 0, 0},
    {"input", 0, "FILE", "safetensors file with the tensor `pixels`", CLI_FORWARD, CLI_TEXT, AT(input), 0, 0, 0, 0},
    {"blocks", 0, 0, "write the output of every block too", CLI_FORWARD, CLI_SWITCH, AT(blocks), 0, 0, 0, 0},
    {"repetitions", 'r', "N", "measure at least N times (default 10)", CLI_BENCH, CLI_INTEGER, AT(repetitions), 1, 1e6, 0, 0},
    {"min-seconds", 0, "S", "measure for at least S seconds (default 1)", CLI_BENCH, CLI_REAL, AT(min_seconds), 0, 86400, 0, 0},
    {"digest", 0, 0, "print a hash of the first run's logits, bit for bit", CLI_BENCH, CLI_SWITCH, AT(digest), 0, 0, 0, 0},
    {"synthetic", 0, 0, "random pixels instead of photographs", CLI_BENCH, CLI_SWITCH, AT(synthetic), 0, 0, 0, 0},
    {"kernels", 0, 0, "where a step's time goes, verb by verb or kernel by kernel", CLI_BENCH, CLI_SWITCH, AT(kernels), 0, 0, 0, 0},
    {"end-to-end", 0, "DIR", "from the picture files of DIR to answers: which stage limits?", CLI_BENCH, CLI_TEXT, AT(end_to_end), 0, 0, 0, 0},

    {"model", 'm', "MODEL", ".safetensors file, its index.json, or a folder that holds one", ENGINE | CLI_CACHE, CLI_TEXT, AT(model), 0, 0, 0, "VITRUN_MODEL"},
    {"arch", 0, "NAME", "architecture of configs/models, where the model has no config.json", ENGINE | CLI_CACHE, CLI_TEXT, AT(arch), 0, 0, 0, 0},
    {"random", 0, 0, "random weights of --arch instead of a model", ENGINE, CLI_SWITCH, AT(random), 0, 0, 0, 0},
    {"seed", 0, "N", "seed of the random weights (default 0)", ENGINE & ~CLI_TUNE, CLI_NUMBER, AT(seed), 0, 0, 0, 0},
    {"seed", 0, "N", "which half is searched on; seed of --random too (default 0)", CLI_TUNE, CLI_NUMBER, AT(seed), 0, 0, 0, 0},
    {"device", 0, "DEVICE", "auto, cpu, cuda or cuda:N, the GPU with that number (default auto)", ENGINE, CLI_CHOICE, AT(device), 0, 0, "auto cpu cuda cuda:", "VITRUN_DEVICE"},
    {"dtype", 0, "TYPE", "auto, f32, tf32, f16, bf16 or int8 (default auto: f32 on a CPU, f16 on a GPU; a CPU has f32, bf16, int8)", ENGINE & ~CLI_BENCH, CLI_CHOICE, AT(dtype), 0, 0, dtype_words, "VITRUN_DTYPE"},
    {"dtype", 0, "LIST", "auto, f32, tf32, f16, bf16, int8, or a list of these (default auto)", CLI_BENCH, CLI_TEXT, AT(dtype), 0, 0, dtype_words, "VITRUN_DTYPE"},
    {"fp16", 0, 0, "the same as --dtype f16", ENGINE, CLI_CONSTANT, AT(dtype), 0, 0, "f16", 0},
    {"bf16", 0, 0, "the same as --dtype bf16", ENGINE, CLI_CONSTANT, AT(dtype), 0, 0, "bf16", 0},
    {"deterministic", 0, 0, "on a GPU: results do not depend on the batch, at some cost in speed", ENGINE, CLI_SWITCH, AT(deterministic), 0, 0, 0, 0},
    {"batch", 'b', "N", "pictures computed together (default: chosen)", CLI_CLASSIFY | CLI_EVAL | CLI_EMBED, CLI_TEXT, AT(batch), 0, 0, 0, 0},
    {"batch", 'b', "LIST", "images computed together: numbers and ranges (default 1; --end-to-end: chosen)", CLI_BENCH, CLI_TEXT, AT(batch), 0, 0, 0, 0},
    {"max-batch", 0, "N", "most images computed at once (in each lane), whatever the batch; auto (default): what suits the device", ENGINE, CLI_TEXT, AT(max_batch), 0, 0, "auto", 0},
    {"lanes", 0, "N", "micro-batches in flight on a GPU: 1, or 2 (default: 2 where memory does)", ENGINE, CLI_INTEGER, AT(lanes), 1, 2, 0, 0},
    {"threads", 't', "N", "threads (default: all cores)", (ENGINE & ~CLI_BENCH) | CLI_CACHE, CLI_TEXT, AT(threads), 0, 0, 0, "VITRUN_THREADS"},
    {"threads", 't', "LIST", "threads: numbers and ranges (default: all cores)", CLI_BENCH, CLI_TEXT, AT(threads), 0, 0, 0, "VITRUN_THREADS"},
    {"img-size", 0, "SIZE", "N or HxW: another input size; positions are interpolated", CLI_CACHE | CLI_CLASSIFY | CLI_EVAL | CLI_EMBED | CLI_TOKENS | CLI_TUNE | CLI_INFO | CLI_BENCH, CLI_TEXT, AT(img_size), 0, 0, 0, 0},
    {"data-dir", 0, "DIR", "the folder configs/ (default: $VITRUN_DATA, else found above the program)", ENGINE | CLI_CACHE, CLI_TEXT, AT(data_dir), 0, 0, 0, 0},
    {"strict", 0, 0, "refuse a model with tensors that are not used", ENGINE, CLI_SWITCH, AT(strict), 0, 0, 0, 0},
    {"allow-nonfinite", 0, 0, "accept weights that are NaN or infinite", ENGINE, CLI_SWITCH, AT(allow_nonfinite), 0, 0, 0, 0},
    {"max-header", 0, "BYTES", "largest safetensors header (default 16M, at most 100000000)", ENGINE | CLI_CACHE, CLI_SIZE, AT(max_header), 8, 1e8, 0, 0},

    {"merge", 0, "METHOD", "none, mame, tome, evit, diffrate, a name in configs/schedules, or a schedule file (default none)", MERGES, CLI_TEXT, AT(merge.method), 0, 0, "none mame tome evit diffrate", 0},
    {"merge-layers", 0, "LIST", "blocks that reduce, such as 0-7 or 3,6,9 (mame, tome, evit)", MERGES, CLI_TEXT, AT(merge.layers), 0, 0, 0, 0},
    {"tau", 0, "LIST", "mame: similarity above which tokens merge, one or one a block (default 0.8)", MERGES, CLI_TEXT, AT(merge.tau), 0, 0, 0, 0},
    {"r", 0, "LIST", "tome: tokens merged at a block, one or one a block (default 16, 8 or 7 by depth)", MERGES, CLI_TEXT, AT(merge.r), 0, 0, 0, 0},
    {"keep", 0, "LIST", "evit: share of tokens kept, one or one a block (default 0.7)", MERGES, CLI_TEXT, AT(merge.keep), 0, 0, 0, 0},
    {"fuse", 0, 0, "evit: fuse the others into one token", MERGES, CLI_SWITCH, AT(merge.fuse), 0, 0, 0, 0},
    {"rates", 0, "GMACS", "diffrate: the published table for that cost, such as 8.7", MERGES, CLI_TEXT, AT(merge.rates), 0, 0, 0, 0},
    {"rates-from", 0, "TABLE", "diffrate: a table of another model, such as deit_small:2.9, scaled by token count", MERGES, CLI_TEXT, AT(merge.rates_from), 0, 0, 0, 0},
    {"merge-scope", 0, "SCOPE", "mame: decide for each image (default), or for the batch as the paper does", MERGES, CLI_CHOICE, AT(merge.scope), 0, 0, "image batch", 0},
    {"merge-pool", 0, "POOL", "weigh a mean over tokens by their mass, or not (default: by method)", MERGES, CLI_CHOICE, AT(merge.pool), 0, 0, "plain mass", 0},
    {"merge-weights", 0, "HOW", "mame: weigh tokens by mass when merging (default plain)", MERGES, CLI_CHOICE, AT(merge.weights), 0, 0, "plain mass", 0},
    {"rule", 0, "RULE", "mame: alg1 (default), or similarity: single matches merge too", MERGES, CLI_CHOICE, AT(merge.rule), 0, 0, "alg1 similarity", 0},
    {"refine", 0, "on|off", "mame: drop weights below the mean (default on)", MERGES, CLI_CHOICE, AT(merge.refine), 0, 0, "on off", 0},
    {"partition", 0, "KIND", "mame: alternating (default), sequential or random", MERGES, CLI_CHOICE, AT(merge.partition), 0, 0, "alternating sequential random", 0},
    {"merge-seed", 0, "N", "mame: seed of a random partition (default 0)", MERGES, CLI_TEXT, AT(merge.seed), 0, 0, 0, 0},
    {"feature", 0, "WHAT", "mame: what is compared: x (default), k or k-mean", MERGES, CLI_CHOICE, AT(merge.feature), 0, 0, "x k k-mean", 0},
    {"similarity", 0, "KIND", "mame: cosine (default) or dot", MERGES, CLI_CHOICE, AT(merge.similarity), 0, 0, "cosine dot", 0},
    {"forced", 0, "HOW", "mame: 2:1 whatever tau says; tokens without a match merge or drop (default none)", MERGES, CLI_CHOICE, AT(merge.forced), 0, 0, "none merge drop", 0},
    {"prop-attn", 0, "WHEN", "attention weighs tokens by size: auto (default), on or off", MERGES, CLI_CHOICE, AT(merge.prop_attn), 0, 0, "auto on off", 0},
    {"restore", 0, "LAYER", "restore what mame merged (MaRe) after this block", MERGES, CLI_TEXT, AT(merge.restore), 0, 0, 0, 0},
    {"restore-mode", 0, "MODE", "how --restore spreads tokens: paper (default) or copy", MERGES, CLI_CHOICE, AT(merge.restore_mode), 0, 0, "paper copy", 0},

    {"files-from", 0, "FILE", "more names, one a line or NUL-separated; - is standard input", (PICTURES & ~CLI_EVAL) | CLI_TUNE | CLI_BENCH, CLI_TEXT, AT(files_from), 0, 0, 0, 0},
    {"exif", 0, "on|off", "turn pictures upright as EXIF says (default on, off for eval and cache)", READERS, CLI_ONOFF, AT(exif), 0, 0, "on off", 0},
    {"allow-truncated", 0, 0, "decode damaged pictures as far as they go", READERS, CLI_SWITCH, AT(allow_truncated), 0, 0, 0, 0},
    {"formats", 0, "LIST", "picture formats to accept, such as jpeg,png (default all)", READERS, CLI_TEXT, AT(formats), 0, 0, 0, 0},
    {"max-file-size", 0, "BYTES", "largest picture file (default 64M)", READERS, CLI_SIZE, AT(max_file_size), 1, 1e12, 0, 0},
    {"max-pixels", 0, "N", "most pixels of a picture (default 50000000)", READERS, CLI_SIZE, AT(max_pixels), 1, 1e12, 0, 0},
    {"max-side", 0, "N", "longest side of a picture (default 16384)", READERS, CLI_INTEGER, AT(max_side), 1, 1e6, 0, 0},

    {"output", 'o', "FILE", "write results to FILE; - is standard output", RESULTS | CLI_FORWARD | CLI_REPORT | CLI_CACHE, CLI_TEXT, AT(output), 0, 0, 0, 0},
    {"format", 'f', "FORMAT", "table (default), json, csv, timm-csv or pipeline", CLI_CLASSIFY, CLI_CHOICE, AT(format), 0, 0, "table json jsonl csv timm-csv pipeline", 0},
    {"format", 'f', "FORMAT", "jsonl (default), npy or safetensors", CLI_EMBED, CLI_CHOICE, AT(format), 0, 0, "jsonl json npy safetensors", 0},
    {"format", 'f', "FORMAT", "png, svg or json (default: what the ending of --output says)", CLI_TOKENS, CLI_CHOICE, AT(format), 0, 0, "png svg json", 0},
    {"format", 'f', "FORMAT", "table (default), json or csv", CLI_EVAL, CLI_CHOICE, AT(format), 0, 0, "table json csv", 0},
    {"format", 'f', "FORMAT", "html (default), md: a table, or svg: accuracy against GMACs", CLI_REPORT, CLI_CHOICE, AT(format), 0, 0, "html md svg", 0},
    {"format", 'f', "FORMAT", "md (default), csv or json", CLI_BENCH, CLI_CHOICE, AT(format), 0, 0, "md csv json", 0},
    {"format", 'f', "FORMAT", "jsonl (default) or safetensors: the tensors of one recipe", CLI_PIXELS, CLI_CHOICE, AT(format), 0, 0, "jsonl safetensors", 0},
    {"json", 0, 0, "results as JSON", RESULTS, CLI_SWITCH, AT(json), 0, 0, 0, 0},
    {"color", 0, "WHEN", "auto, always or never (default auto)", CLI_CLASSIFY, CLI_CHOICE, AT(color), 0, 0, "auto always never", 0},
    {"no-progress", 0, 0, "no progress on standard error", PICTURES | CLI_CACHE, CLI_SWITCH, AT(no_progress), 0, 0, 0, 0},
    {"quiet", 'q', 0, "no notes on standard error", ALL, CLI_SWITCH, AT(quiet), 0, 0, 0, 0},
    {"verbose", 'v', 0, "say more", ALL, CLI_SWITCH, AT(verbose), 0, 0, 0, 0},
    {0},
};
/* clang-format on */

const cli_command *cli_command_find(const char *name)
{
    for (const cli_command *c = cli_commands; c->name; c++)
        if (strcmp(c->name, name) == 0) return c;
    return NULL;
}

/* ---- values ---- */

/* A complete decimal number, no sign, no space; *suffix takes what follows the digits. */
static bool whole(const char *text, uint64_t *out, const char **suffix)
{
    if (text[0] < '0' || text[0] > '9') return false;
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    *out = n;
    *suffix = end;
    return errno == 0;
}

static bool size_value(const char *text, uint64_t *out)
{
    const char *suffix;
    uint64_t    n;
    if (!whole(text, &n, &suffix)) return false;
    unsigned shift = 0;
    switch (suffix[0]) {
    case 0:
        break;
    case 'k':
    case 'K':
        shift = 10;
        break;
    case 'm':
    case 'M':
        shift = 20;
        break;
    case 'g':
    case 'G':
        shift = 30;
        break;
    default:
        return false;
    }
    if (shift && suffix[1]) return false;
    if (n > (UINT64_MAX >> shift)) return false;
    *out = n << shift;
    return true;
}

/* One of the words; a word that ends with a colon wants a number of one or two digits behind it. */
static bool in_words(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *w = words; *w;) {
        size_t n = strcspn(w, " "), digits = strspn(word + (n < length ? n : length), "0123456789");
        bool   same = n <= length && memcmp(w, word, n) == 0;
        if (same && (w[n - 1] == ':' ? digits > 0 && digits < 3 && n + digits == length : n == length)) return true;
        w += n + (w[n] == ' ');
    }
    return false;
}

vr_status cli_flag_set(cli_options *o, const cli_flag *f, const char *source, const char *text, vr_error *err)
{
    void       *at = (char *)o + f->offset;
    uint64_t    n = 0;
    const char *suffix = "";
    switch (f->kind) {
    case CLI_SWITCH:
        *(bool *)at = true;
        return VR_OK;
    case CLI_CONSTANT:
        *(const char **)at = f->choices;
        return VR_OK;
    case CLI_TEXT:
        if (!text[0]) return vr_fail(err, VR_E_USAGE, "value", "%s is empty; it wants %s", source, f->argument);
        *(const char **)at = text;
        return VR_OK;
    case CLI_CHOICE:
        if (!in_words(f->choices, text))
            return vr_fail(err, VR_E_USAGE, "value", "%s is '%s'; it can be one of: %s", source, vr_quotez(text).text,
                           f->choices);
        *(const char **)at = text;
        return VR_OK;
    case CLI_ONOFF:
        if (!in_words(f->choices, text))
            return vr_fail(err, VR_E_USAGE, "value", "%s is '%s'; it can be on or off", source, vr_quotez(text).text);
        *(bool *)at = strcmp(text, "on") == 0;
        o->exif_given = true;
        return VR_OK;
    case CLI_INTEGER:
        if (!whole(text, &n, &suffix) || *suffix || (double)n < f->low || (double)n > f->high) break;
        *(int *)at = (int)n;
        return VR_OK;
    case CLI_NUMBER:
        if (!whole(text, &n, &suffix) || *suffix)
            return vr_fail(err, VR_E_USAGE, "value", "%s is '%s'; it wants a whole number below 2^64", source,
                           vr_quotez(text).text);
        *(uint64_t *)at = n;
        return VR_OK;
    case CLI_SIZE:
        if (!size_value(text, &n) || (double)n < f->low || (double)n > f->high)
            return vr_fail(err, VR_E_USAGE, "value",
                           "%s is '%s'; it wants a whole number from %.0f to %.0f, such as 500, 64K, 16M or 1G", source,
                           vr_quotez(text).text, f->low, f->high);
        *(uint64_t *)at = n;
        return VR_OK;
    case CLI_REAL: {
        char  *end;
        double x = strtod(text, &end);
        bool   plain = text[0] == '.' || (text[0] >= '0' && text[0] <= '9'); /* no sign, no "inf", no leading space */
        if (!plain || *end || !isfinite(x) || x < f->low || x > f->high)
            return vr_fail(err, VR_E_USAGE, "value", "%s is '%s'; it wants a number from %g to %g", source,
                           vr_quotez(text).text, f->low, f->high);
        *(double *)at = x;
        return VR_OK;
    }
    }
    return vr_fail(err, VR_E_USAGE, "value", "%s is '%s'; it wants a whole number from %.0f to %.0f", source,
                   vr_quotez(text).text, f->low, f->high);
}

static bool takes_argument(const cli_flag *f) { return f->kind != CLI_SWITCH && f->kind != CLI_CONSTANT; }

/* ---- flags ---- */

const cli_flag *cli_flag_find(const char *name, size_t length, unsigned command)
{
    const cli_flag *found = NULL;
    for (const cli_flag *f = cli_flags; f->name; f++)
        if (strlen(f->name) == length && memcmp(f->name, name, length) == 0 && (!found || (f->commands & command))) found = f;
    return found;
}

static const cli_flag *flag_by_letter(char letter, unsigned command)
{
    for (const cli_flag *f = cli_flags; f->name; f++)
        if (f->letter == letter) return cli_flag_find(f->name, strlen(f->name), command);
    return NULL;
}

/* Optimal string alignment: insertions, deletions, changes and swaps of neighbours cost one each. */
static size_t distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), d[3][48];
    if (n >= 47 || m >= 47) return 99;
    for (size_t j = 0; j <= m; j++) d[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = d[i % 3], *before = d[(i + 2) % 3], *earlier = d[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);
            if (before[j] + 1 < best) best = before[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && earlier[j - 2] + 1 < best) best = earlier[j - 2] + 1;
            now[j] = best;
        }
    }
    return d[n % 3][m];
}

const char *cli_nearest(const char *word, const char *(*candidate)(size_t i, const void *context), const void *context)
{
    const char *nearest = NULL, *c;
    size_t      best = strlen(word) < 4 ? 2 : strlen(word) < 8 ? 3 : 4; /* farther is no slip of the hand */
    for (size_t i = 0; (c = candidate(i, context)); i++) {
        size_t length = strlen(word);
        size_t far = distance(word, c);
        if (far > 2 && length >= 3 && strncmp(word, c, length) == 0) far = 1; /* the beginning of a longer name */
        if (far < best && far < strlen(c)) best = far, nearest = c;
    }
    return nearest;
}

static const char *flag_candidate(size_t i, const void *context)
{
    const cli_command *c = context;
    for (const cli_flag *f = cli_flags; f->name; f++)
        if ((f->commands & c->bit) && i-- == 0) return f->name;
    return i == 0 ? "help" : NULL;
}

static vr_status unknown_flag(const cli_command *c, const char *word, vr_error *err)
{
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    const char *near = word[1] == '-' ? cli_nearest(name, flag_candidate, c) : NULL;
    if (near)
        return vr_fail(err, VR_E_USAGE, "flag", "%s knows no flag %s; did you mean --%s?", c->name, vr_quotez(word).text, near);
    return vr_fail(err, VR_E_USAGE, "flag", "%s knows no flag %s; see vitrun %s --help", c->name, vr_quotez(word).text,
                   c->name);
}

static vr_status foreign_flag(const cli_command *c, const cli_flag *f, vr_error *err)
{
    char   names[160] = "";
    size_t count = 0;
    for (const cli_command *other = cli_commands; other->name; other++)
        if (cli_flag_find(f->name, strlen(f->name), other->bit)->commands & other->bit) {
            size_t at = strlen(names);
            snprintf(names + at, sizeof names - at, "%s%s", count++ ? ", " : "", other->name);
        }
    return vr_fail(err, VR_E_USAGE, "flag", "%s takes no --%s; it belongs to: %s", c->name, f->name, names);
}

/* The words of one command line while they are read. */
typedef struct {
    cli_options       *o;
    const cli_command *command;
    int                argc, at;
    char             **argv;
    bool               given[sizeof cli_flags / sizeof cli_flags[0]];
} words;

/* Store flag f, whose value is `attached` or, where that is NULL and one is needed, the next word. */
static vr_status take(words *w, const cli_flag *f, const char *attached, vr_error *err)
{
    char source[40];
    snprintf(source, sizeof source, "--%s", f->name);
    if (!(f->commands & w->command->bit)) return foreign_flag(w->command, f, err);
    if (!takes_argument(f) && attached)
        return vr_fail(err, VR_E_USAGE, "value", "%s takes no value, but was given '%s'", source, vr_quotez(attached).text);
    if (takes_argument(f) && !attached) {
        const char *next = w->at + 1 < w->argc ? w->argv[w->at + 1] : NULL;
        if (!next) return vr_fail(err, VR_E_USAGE, "value", "%s wants %s after it", source, f->argument);
        if (strncmp(next, "--", 2) == 0) /* a forgotten value, far more often than a file that is named so */
            return vr_fail(err, VR_E_USAGE, "value", "%s wants %s after it, not %s; if that is meant, write %s=%s", source,
                           f->argument, vr_quotez(next).text, source, vr_quotez(next).text);
        attached = next;
        w->at++;
    }
    w->given[f - cli_flags] = true;
    return cli_flag_set(w->o, f, source, attached, err);
}

/* One word that begins with a single dash: -q, -qv, -k5, -k 5. */
static vr_status take_letters(words *w, const char *word, bool *help, vr_error *err)
{
    for (const char *p = word + 1; *p; p++) {
        if (*p == 'h') return *help = true, VR_OK;
        const cli_flag *f = flag_by_letter(*p, w->command->bit);
        if (!f) return unknown_flag(w->command, word, err);
        if (takes_argument(f)) return take(w, f, p[1] ? p + 1 : NULL, err);
        if (take(w, f, NULL, err)) return err->code;
    }
    return VR_OK;
}

/* The environment speaks for the flags that were not given. */
static vr_status take_environment(words *w, vr_error *err)
{
    for (const cli_flag *f = cli_flags; f->name; f++) {
        const char *text = f->environment ? getenv(f->environment) : NULL;
        bool        skip = w->given[f - cli_flags] || !(f->commands & w->command->bit) || !text || !text[0];
        if (!skip && f->offset == AT(dtype) && w->o->dtype) skip = true; /* --fp16, --bf16 */
        if (!skip && f->offset == AT(model) && w->o->random) skip = true;
        if (!skip && cli_flag_set(w->o, f, f->environment, text, err)) return err->code;
    }
    return VR_OK;
}

static vr_status check_together(const cli_options *o, const cli_command *c, vr_error *err)
{
    if (o->json && o->format && strncmp(o->format, "json", 4) != 0)
        return vr_fail(err, VR_E_USAGE, "flags", "--json and --format %s contradict each other; give one", o->format);
    if (o->random && o->model) return vr_fail(err, VR_E_USAGE, "flags", "--random and --model contradict each other; give one");
    if (o->random && !o->arch)
        return vr_fail(err, VR_E_USAGE, "flags", "--random wants --arch NAME: which architecture shall have random weights?");
    const vr_merge_words merge = vr_merge_words_of(&o->merge);
    if (vr_merge_words_check(&merge, err)) return err->code;
    if (o->input_count > c->most)
        return vr_fail(err, VR_E_USAGE, "arguments", "%s takes no further argument: '%s'", c->name,
                       vr_quotez(o->inputs[c->most]).text);
    return VR_OK;
}

vr_status cli_options_parse(cli_options *o, const cli_command *c, int argc, char **argv, char **inputs, bool *help,
                            vr_error *err)
{
    words w = {.o = o, .command = c, .argc = argc, .argv = argv};
    *help = false;
    *o = (cli_options){.command = c->name, .inputs = inputs, .repetitions = 10, .min_seconds = 1, .color = "auto"};
    bool flags_end = false;
    for (; w.at < argc && !*help; w.at++) {
        char *word = argv[w.at];
        if (flags_end || word[0] != '-' || word[1] == 0) {
            inputs[o->input_count++] = word;
        } else if (strcmp(word, "--") == 0) {
            flags_end = true;
        } else if (strcmp(word, "--help") == 0) {
            *help = true;
        } else if (word[1] == '-') {
            size_t          length = strcspn(word + 2, "=");
            const cli_flag *f = cli_flag_find(word + 2, length, c->bit);
            if (!f) return unknown_flag(c, word, err);
            if (take(&w, f, word[2 + length] ? word + 2 + length + 1 : NULL, err)) return err->code;
        } else if (take_letters(&w, word, help, err)) {
            return err->code;
        }
    }
    if (*help) return VR_OK;
    if (take_environment(&w, err)) return err->code;
    return check_together(o, c, err);
}

/* ---- help ---- */

static void print_flags(FILE *f, const cli_command *c)
{
    fprintf(f, "Flags:\n");
    for (const cli_flag *g = cli_flags; g->name; g++) {
        if (!(g->commands & c->bit)) continue;
        char left[48];
        snprintf(left, sizeof left, "%c%c%s --%s%s%s", g->letter ? '-' : ' ', g->letter ? g->letter : ' ',
                 g->letter ? "," : " ", g->name, g->argument ? " " : "", g->argument ? g->argument : "");
        fprintf(f, "  %-26s %s", left, g->help);
        if (g->environment) fprintf(f, " [%s]", g->environment);
        fputc('\n', f);
    }
    fprintf(f, "  %-26s %s\n", "-h, --help", "this text");
}

static void print_usage(FILE *f, const cli_command *c)
{
    fprintf(f, "Usage: vitrun %s [flags]%s%s\n", c->name, c->arguments[0] ? " " : "", c->arguments);
}

static void print_examples(FILE *f, const cli_command *c)
{
    fprintf(f, "Examples:\n  %s\n  %s\n", c->examples[0], c->examples[1]);
}

static void print_commands(FILE *f)
{
    fprintf(f, "Commands:\n");
    for (const cli_command *c = cli_commands; c->name; c++) fprintf(f, "  %-12s %s\n", c->name, c->summary);
}

void cli_help(FILE *f, const cli_command *c)
{
    if (c) {
        fprintf(f, "vitrun %s: %s\n\n", c->name, c->summary);
        print_usage(f, c);
        fprintf(f, "\n%s\n\n", c->details);
        print_flags(f, c);
        fputc('\n', f);
        print_examples(f, c);
        return;
    }
    fprintf(f, "vitrun %s: Vision Transformer inference\n\nUsage: vitrun COMMAND [flags] [arguments]\n\n", VITRUN_VERSION);
    print_commands(f);
    fprintf(f, "\nvitrun COMMAND --help explains a command and its flags.\n\n");
    print_examples(f, &cli_commands[0]);
    fprintf(
        f,
        "\nExit codes: 0 fine, 1 some inputs failed, 2 used wrongly, 3 bad or missing model, 4 no readable picture,\n"
        "5 input or output failed, 6 memory, 7 device, 8 a result is no number, 130 and 143 interrupted, 141 stdout closed.\n");
}

static const char *command_candidate(size_t i, const void *context)
{
    (void)context;
    return cli_commands[i].name;
}

int cli_unknown_command(const char *word)
{
    char        sentence[320];
    const char *near = cli_nearest(word, command_candidate, NULL);
    if (near)
        snprintf(sentence, sizeof sentence, "there is no command '%s'; did you mean '%s'?", vr_quotez(word).text, near);
    else if (access(word, F_OK) == 0)
        snprintf(sentence, sizeof sentence, "'%.100s' is no command; did you mean vitrun classify '%.100s'?",
                 vr_quotez(word).text, vr_quotez(word).text);
    else
        snprintf(sentence, sizeof sentence, "there is no command '%s'; vitrun help lists them", vr_quotez(word).text);
    return cli_error(VR_E_USAGE, sentence);
}

void cli_help_short(FILE *f, const cli_command *c)
{
    if (c) {
        print_usage(f, c);
        print_examples(f, c);
        fprintf(f, "vitrun %s --help lists the flags.\n", c->name);
    } else {
        fprintf(f, "Usage: vitrun COMMAND [flags] [arguments]\n");
        print_commands(f);
        print_examples(f, &cli_commands[0]);
    }
}

static int cmd_help(const cli_options *o)
{
    const cli_command *c = o->input_count ? cli_command_find(o->inputs[0]) : NULL;
    if (o->input_count && !c) return cli_unknown_command(o->inputs[0]);
    cli_output out = {.stream = stdout};
    cli_help(out.stream, c);
    return cli_output_end(&out, true, VR_OK);
}

static int cmd_version(const cli_options *o)
{
    cli_output out = {.stream = stdout};
    fprintf(out.stream, "vitrun %s\n", VITRUN_VERSION);
    if (o->verbose) fprintf(out.stream, "compiler %s\ndata     %s\ndevices  cpu cuda\n", __VERSION__, VR_DATADIR);
    return cli_output_end(&out, true, VR_OK);
}
