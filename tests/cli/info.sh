#!/usr/bin/env bash
# If these fail, people learn the wrong thing about their checkpoint or their machine.
. tests/support/shell.sh
needs 'checkpoints' "$TINY"

exits 'a checkpoint' 0 info "$TINY"
check 'a checkpoint: what it is' all quiet -- prints 'layout       timm' -- prints '65 tokens' -- prints '10, pooling'
exits '-m says the same' 0 info -m "$TINY"
exits '-v' 0 info -v "$TINY"
check '-v lists tensors' all prints patch_embed.proj.weight -- prints '[48, 3, 4, 4]'
exits '--json' 0 info --json -v "$TINY"
check '--json is valid and says it is supported' all json -- prints '"supported":true' -- prints '"depth":4'
exits 'random weights' 0 info --arch deit_tiny_patch16_224 --random
check 'random weights: parameters' prints '5.72 million'
exits 'an architecture alone' 0 info --arch deit_tiny_patch16_224
mkdir "$T/other"
cp "$TINY/model.safetensors" "$T/other/"
echo '{"model_type": "clip_vision_model"}' >"$T/other/config.json"
exits 'a checkpoint that is not supported' 3 info "$T/other"
check 'a checkpoint that is not supported: why, and what it holds' all says 'not supported yet' -- prints tensors
exits 'the same with --json' 3 info --json "$T/other"
check 'the same with --json: valid' all json -- prints '"supported":false'
printf '\377\377\377\377\377\377\377\377{}' >"$T/bad.safetensors"
exits 'a damaged file' 3 info --arch deit_tiny_patch16_224 -m "$T/bad.safetensors"
check 'a damaged file: nothing on stdout' empty
cp "$TINY/model.safetensors" "$T/alone.safetensors"
exits 'weights without config.json' 3 info "$T/alone.safetensors"
check 'weights without config.json: what to do' says 'with --arch'
exits 'no checkpoint' 3 info README.md
check 'no checkpoint: said so, not asked for a config' all empty -- says 'is it a safetensors file?'
mkdir "$T/folder"
exits 'a folder without weights' 3 info "$T/folder"
check 'a folder without weights: what it lacks' all empty -- says 'neither model.safetensors nor'

VITRUN_PLUGIN_PATH=/nowhere exits 'devices' 0 devices
check 'devices: processor, and why no CUDA' all quiet -- prints portable -- prints 'cuda     none: VITRUN_PLUGIN_PATH is /nowhere'
exits 'devices --json' 0 devices --json
check 'devices --json is valid' json
VITRUN_ISA=portable exits 'VITRUN_ISA=portable' 0 devices
check 'VITRUN_ISA=portable is used' prints 'portable (used for f32, bf16)'
VITRUN_ISA=portable exits 'VITRUN_ISA=portable --json' 0 devices --json
check 'VITRUN_ISA=portable --json: none for int8' all json -- prints '"isa":"portable","isa_bf16":"portable","isa_int8":null'
VITRUN_ISA=abacus exits 'VITRUN_ISA=abacus' 7 devices
cpu=$(taskset -cp $$ 2>/dev/null | sed 's/.*: *//; s/[-,].*//')
if [ -n "$cpu" ]; then
    run taskset -c "$cpu" "$VITRUN" info --json -m "$TINY"
    check 'a process bound to one processor runs one thread' prints '"threads":1,'
else
    skip 'a process bound to one processor' 'no taskset here'
fi
