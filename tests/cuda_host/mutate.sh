#!/usr/bin/env bash
# mutate.sh BUILD/cuda_host [FILE[:LINE]...]: takes each barrier and each wait out of kernels/cuda/ (or of the files named) in turn
# and says which test finds it: values (ASan, three orders) or races (ThreadSanitizer).  Ends with 1 where neither does.
#   CXX, FLAGS, SAN, RACES   how the tests are compiled; the tests themselves are built already
#   VR_MUTATE_TESTS          the programs to run, by name; else test_NAME for NAME.cu, else all of them
# Races are looked for where values show nothing: "." stands for what was not asked.
# A line that ends in "// no mutant: why" is left alone.
set -u
built=$1; shift
[ $# -gt 0 ] || set -- kernels/cuda/*.cu kernels/cuda/*.cuh
scratch=$built/mutant
rm -rf "$scratch"; mkdir -p "$scratch/kernels/cuda"
trap 'rm -rf "$scratch"' EXIT
cp kernels/*.h "$scratch/kernels/"
missed=0 found=0

users() { # the .cu files that include $1, directly or through another header
    case $1 in
    *.cu) basename "$1" ;;
    *) grep -l "$(basename "$1" | sed 's/\./\\./g')" "$built"/san/kernels/cuda/*.d | sed 's,.*/\(.*\)\.d,\1.cu,' ;;
    esac
}
programs() {
    local test=test_$(basename "$1" | sed 's/\..*//')
    if [ -n "${VR_MUTATE_TESTS:-}" ]; then echo "$VR_MUTATE_TESTS"
    elif [ -x "$built/san/$test" ]; then echo "$test"
    else (cd "$built/san" && ls test_* | grep -v '\.\|test_bed'); fi
}
part() { # the part of test_reducers that belongs to $1: none for the others, which run whole
    case $(basename "$1") in
    mame.cu) echo mame ;;
    mare.cu) echo mare ;;
    diffrate.cu | evit.cu | tome.cu) echo others ;;
    esac
}
build() { # build VARIANT FLAGS FILE PROGRAM: the program with the mutant's objects before the archive of the right ones
    local objects=() cu
    for cu in $(users "$3"); do
        [ -f "$scratch/$1.${cu%.cu}.o" ] ||
            $CXX ${FLAGS/-I kernels/-I $scratch/kernels} $2 -x c++ -c -o "$scratch/$1.${cu%.cu}.o" "$scratch/kernels/cuda/$cu" || return 1
        objects+=("$scratch/$1.${cu%.cu}.o")
    done
    $CXX $2 -o "$scratch/$4.$1" "$built/$1/tests/cuda_host/kernels/$4.o" "${objects[@]}" "$built/$1/libkernels.a" "$built/$1/libbed.a" \
        -lm -lpthread
}
verdict() { # verdict VARIANT FLAGS FILE: "-" or how it was found
    local program rc said=- only
    only=$(part "$3")
    for program in $(programs "$3"); do
        build "$1" "$2" "$3" "$program" >"$scratch/log" 2>&1 || { echo "does not build"; return; }
        if [ "$1" = races ]; then
            VR_CUDA_ORDER=ascending TSAN_OPTIONS=halt_on_error=1 timeout 300 setarch -R "$scratch/$program.races" ${only:+"$only"} >"$scratch/log" 2>&1
        else
            timeout 300 "$scratch/$program.san" ${only:+"$only"} >"$scratch/log" 2>&1
        fi
        rc=$?
        [ $rc -eq 0 ] && continue
        if [ $rc -eq 124 ]; then said="no end"
        elif grep -q 'data race' "$scratch/log"; then said="race"
        elif grep -q 'AddressSanitizer' "$scratch/log"; then said="ASan"
        elif grep -q '^fake CUDA: ' "$scratch/log"; then said="fault"
        else said="values"; fi
        break
    done
    echo "$said"
}

printf '%-32s %-36s %-10s %s\n' "line" "taken out" "values" "races"
for chosen; do
    file=${chosen%:*}
    for line in $(grep -nE '(__syncthreads|__syncwarp|cp_async_wait<[^>]*>)\([^)]*\);' "$file" | grep -v '// no mutant: ' | cut -d: -f1); do
        [ "$chosen" = "$file" ] || [ "$chosen" = "$file:$line" ] || continue
        cp kernels/cuda/*.cu kernels/cuda/*.cuh kernels/cuda/*.h "$scratch/kernels/cuda/"
        rm -f "$scratch"/*.o
        what=$(sed -n "${line}p" "$file" | grep -oE '(__sync[a-z]*|cp_async_wait<[^>]*>)\([^)]*\)' | head -1)
        sed -E -i "${line}s/(__syncthreads|__syncwarp|cp_async_wait<[^>]*>)\([^)]*\);/(void)0;/" "$scratch/kernels/cuda/$(basename "$file")"
        values=$(verdict san "$SAN" "$file")
        races=.
        [ "$values" = - ] && races=$(verdict races "$RACES" "$file")
        printf '%-32s %-36s %-10s %s\n' "$(basename "$file"):$line" "$what" "$values" "$races"
        case "$values$races" in
        -- | *build*) missed=$((missed + 1)) ;;
        *) found=$((found + 1)) ;;
        esac
    done
done
echo "$found passed, $missed failed"
[ $missed -eq 0 ]
