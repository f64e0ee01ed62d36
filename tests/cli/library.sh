#!/usr/bin/env bash
# If these fail, nobody but us can use the library.
. tests/support/shell.sh
needs 'a program of somebody else' "$TINY"
needs 'a program of somebody else' "$BUILD/libvitrun.so"
picture "$T/a.ppm" 40 30
run vitrun classify -m "$TINY" -k 1 -f timm-csv "$T/a.ppm"
wanted=$(sed -n '2s/^a.ppm,\([0-9]*\),.*/\1/p' "$T/out")

ln -s "$BUILD/libvitrun.so" "$T/libvitrun.so.0" # as installed
run ${CC:-cc} -std=c17 -Wall -Wextra -Werror -I engine tests/cli/example.c -o "$T/example" -L"$BUILD" -lvitrun
check 'compiles and links with vitrun.h alone' test "$code" -eq 0
# The example takes what device there is, the command line above the CPU: let there be no GPU.
run env VITRUN_PLUGIN_PATH=/nowhere LD_LIBRARY_PATH="$T" VITRUN_DATA="$ROOT/configs" "$T/example" "$TINY" "$T/a.ppm"
check 'gives the same class as the command line' all test "$code" -eq 0 -- grep -q "^$wanted " "$T/out"
run env LD_LIBRARY_PATH="$T" VITRUN_DATA="$ROOT/configs" "$T/example" no-such-model "$T/a.ppm"
check 'a missing model is an error with a sentence' all test "$code" -eq 3 -- empty -- says no-such-model
check 'exports nothing but vitrun_*' test -z "$(nm -D --defined-only "$BUILD/libvitrun.so" | awk '{print $3}' | grep -v '^vitrun_')"
