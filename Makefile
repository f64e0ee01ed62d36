# vitrun.  `make help` lists the targets.
SHELL   := /bin/bash
BUILD   ?= build
ifeq ($(origin CC),default)
CC      := gcc
endif
prefix  ?= /usr/local
bindir  ?= $(prefix)/bin
libdir  ?= $(prefix)/lib
datadir ?= $(prefix)/share
CORPUS  ?= ../shared/data
GOLDEN  ?= tests/golden
PACK    ?= gpu-pack
VERSION := 0.1.0

PKGS     := libjpeg libpng libwebp libwebpdemux libcjson
WARN     := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -Wno-format-truncation -Wno-unknown-warning-option
CFLAGS   ?= -O2 -g
HARDEN   := -fstack-protector-strong -fstack-clash-protection -fcf-protection
ifndef SAN
HARDEN   += -D_FORTIFY_SOURCE=2
endif
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE $(CFLAGS) $(HARDEN) -fPIC -fvisibility=hidden -ffp-contract=off -fno-math-errno $(WARN) \
             $(SANFLAGS) $(shell pkg-config --cflags $(PKGS) 2>/dev/null) -DVR_DATADIR='"$(datadir)/vitrun"' -DVR_LIBDIR='"$(libdir)"' -MMD -MP
LDLIBS     = $(shell pkg-config --libs $(PKGS) 2>/dev/null || echo -ljpeg -lpng -lwebp -lwebpdemux -lcjson) -lm -lpthread
LDFLAGS   += -pie -Wl,-z,relro,-z,now
ifdef SAN
SANFLAGS  := -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif

# Kernels whose source is compiled once for each instruction set; the machine's is picked when a back end is opened.
ARCH      := $(shell uname -m)
ISA_DIR   := kernels/cpu/isa
VECTOR_SRC := $(filter-out %/amx.c %/bytes.c,$(wildcard $(ISA_DIR)/*.c))
PAIRS_SRC := $(patsubst %,$(ISA_DIR)/%.c,gemm attention norm table)
ifeq ($(ARCH),x86_64)
ISAS      := portable avx2 avx512
PAIRS     := avx512bf16 amx
BYTES     := avx512vnni
else
ISAS      := portable
endif
flags_portable :=
flags_avx2     := -mavx2 -mfma -mf16c
flags_avx512   := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprefer-vector-width=512
flags_avx512bf16 := $(flags_avx512) -mavx512bf16 -DVR_ISA_avx512 -DVR_PAIRS
flags_amx      := $(flags_avx512bf16) -mamx-tile -mamx-bf16 -DVR_AMX
flags_avx512vnni := $(flags_avx512) -mavx512vnni -DVR_ISA_avx512 -DVR_BYTES
src_avx512vnni := $(ISA_DIR)/bytes.c
src_avx512bf16 := $(PAIRS_SRC) $(ISA_DIR)/tile.c
src_amx        := $(PAIRS_SRC) $(ISA_DIR)/amx.c
isa_objects     = $(foreach i,$(1),$(patsubst %.c,$(BUILD)/%.$(i).o,$(or $(src_$(i)),$(VECTOR_SRC))))
ISA_OBJ   := $(call isa_objects,$(ISAS) $(PAIRS) $(BYTES))

# The same again for the tests, with the instructions that this machine may lack put together from AVX-512.
EMULATED  := $(patsubst %,%_emulated,$(PAIRS) $(BYTES))
src_avx512bf16_emulated := $(src_avx512bf16)
src_amx_emulated := $(src_amx)
src_avx512vnni_emulated := $(src_avx512vnni)
flags_avx512bf16_emulated := $(flags_avx512) -DVR_ISA_avx512 -DVR_PAIRS -include tests/support/emulated.h
flags_amx_emulated := $(flags_avx512bf16_emulated) -DVR_AMX
flags_avx512vnni_emulated := $(flags_avx512) -DVR_ISA_avx512 -DVR_BYTES -include tests/support/emulated.h
ifdef PAIRS
$(BUILD)/tests/support/emulated.o: ALL_CFLAGS += $(flags_avx512)
endif

# The GPU plugin: CUDA=auto builds it where nvcc is found, 1 insists, 0 leaves it out.
CUDA      ?= auto
COMMA     := ,
NVCC      ?= $(firstword $(shell command -v nvcc) $(wildcard /usr/local/cuda/bin/nvcc))
NVCCFLAGS ?= -O3 -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=[sm_90,compute_90] $(NVCC_SMALL)
# Machine code compressed for size, a third of the usual, where nvcc (12.8 or newer) can.
NVCC_SMALL = $(if $(NVCC),$(shell $(NVCC) --help 2>/dev/null | grep -q -e --compress-mode && echo --compress-mode=size))
ifneq ($(CUDA),0)
PLUGIN    := $(if $(NVCC),$(BUILD)/vitrun-cuda.so)
endif
ifeq ($(CUDA)$(NVCC),1)
$(error CUDA=1, but nvcc is neither on the PATH nor in /usr/local/cuda/bin; name it with NVCC=...)
endif
# NVCC may be a name on the PATH, with a compiler cache before it.
CUDA_INC  := $(if $(NVCC),$(abspath $(dir $(shell command -v $(lastword $(NVCC))))../include))
CH_BASE_C := kernels/base.c kernels/trace.c kernels/profile.c
CUDA_OBJ  := $(patsubst %,$(BUILD)/%.o,$(wildcard kernels/cuda/*.cu)) $(patsubst %.c,$(BUILD)/%.o,$(wildcard kernels/cuda/*.c) $(CH_BASE_C))

LIB_SRC   := $(wildcard engine/*.c loaders/*.c kernels/*.c kernels/cpu/*.c)
CLI_SRC   := $(wildcard cli/*.c)
TEST_SRC  := $(wildcard tests/reference/*.c tests/support/*.c tests/kernels/*.c tests/engine/*.c tests/loaders/*.c tests/cli/test_*.c)
LIB_OBJ   := $(LIB_SRC:%.c=$(BUILD)/%.o) $(ISA_OBJ)
CLI_OBJ   := $(CLI_SRC:%.c=$(BUILD)/%.o)
TEST_OBJ  := $(TEST_SRC:%.c=$(BUILD)/%.o) $(call isa_objects,$(EMULATED)) $(filter-out %/main.o,$(CLI_OBJ))

all: $(BUILD)/vitrun $(BUILD)/libvitrun.a $(BUILD)/libvitrun.so $(BUILD)/vitrun.pc $(PLUGIN) ## build build/vitrun and libvitrun

demo: deps  ## install what is missing, build, classify a bundled photo with the bundled model
	@$(MAKE) --no-print-directory CUDA=0 all
	$(BUILD)/vitrun classify tests/pictures/china.jpg

test: deps  ## install what is missing, build, run every test
	@$(MAKE) --no-print-directory all check

deps:       ## install the Debian packages of packages.txt that are missing
	@bash tests/support/install-packages.sh packages.txt

check: $(BUILD)/vitrun $(BUILD)/vr_tests $(BUILD)/golden_runner $(BUILD)/cuda_host/vitrun-cuda.so $(BUILD)/step $(BUILD)/cutouts \
    $(BUILD)/profile $(BUILD)/bench_kernels
	@BUILD=$(BUILD) CORPUS=$(CORPUS) GOLDEN=$(GOLDEN) CC="$(CC)" bash tests/run.sh

golden: $(BUILD)/golden_runner  ## run the golden cases of GOLDEN=DIR (default tests/golden); DTYPE=f32 (default), bf16, int8
	$(BUILD)/golden_runner --dtype $(or $(DTYPE),f32) $(GOLDEN)

golden-cuda-host: $(BUILD)/golden_runner $(BUILD)/cuda_host/vitrun-cuda.so  ## the same on the emulated GPU; DTYPE=f32 (default), f16, bf16, tf32
	VITRUN_PLUGIN_PATH=$(BUILD)/cuda_host/vitrun-cuda.so $(BUILD)/golden_runner --device cuda --dtype $(or $(DTYPE),f32) $(GOLDEN)

deep: $(BUILD)/vitrun $(BUILD)/golden_runner $(BUILD)/cuda_host/vitrun-cuda.so  ## hours: what the emulated GPU can prove (DEEP="goldens orders calls races mutants")
	@BUILD=$(BUILD) GOLDEN=$(GOLDEN) DEEP="$(DEEP)" bash tests/deep.sh

asan:       ## the tests under AddressSanitizer and UndefinedBehaviorSanitizer
	@$(MAKE) --no-print-directory BUILD=build/asan SAN=address,undefined CFLAGS="-O1 -g" build/asan/vitrun build/asan/vr_tests \
	    build/asan/golden_runner check

tsan:       ## the threads under ThreadSanitizer (Debian's Criterion does not start under it: a stress program and the goldens)
	@$(MAKE) --no-print-directory BUILD=build/tsan SAN=thread CFLAGS="-O1 -g" build/tsan/stress_cpu build/tsan/golden_runner build/tsan/vitrun \
	    build/tsan/cuda_host/vitrun-cuda.so
	setarch -R build/tsan/stress_cpu
	rm -rf build/tsan/golden && mkdir -p build/tsan/golden/models   # the full-size models would take half an hour
	ln -s $(abspath $(wildcard $(GOLDEN)/reduce[dr]*)) build/tsan/golden/
	ln -s $(abspath $(filter-out %_random,$(wildcard $(GOLDEN)/models/*))) build/tsan/golden/models/
	setarch -R build/tsan/golden_runner build/tsan/golden
	setarch -R build/tsan/vitrun classify --quiet -m tests/golden/models/timm_cls tests/pictures -k 1 >/dev/null; [ $$? -le 1 ]
	VITRUN_PLUGIN_PATH=build/tsan/cuda_host/vitrun-cuda.so VITRUN_FAKE_CUDA_STREAMS=late setarch -R build/tsan/vitrun classify --quiet \
	    --device cuda -m tests/golden/models/timm_cls tests/pictures/[a-c]* -k 1 --max-batch 1 --merge mame --tau 0.5 >/dev/null; [ $$? -le 1 ]

tidy:       ## layering, dead files, format
	@bash tests/tidy.sh

format:     ## format every source as .clang-format says
	clang-format -i $$(git ls-files -co --exclude-standard '*.c' '*.h')

bench: $(BUILD)/vitrun  ## a quick look at speed on this machine
	$(BUILD)/vitrun bench --arch deit_small_patch16_224 --random --batch 1,8

bench-peers: $(BUILD)/vitrun $(BUILD)/step  ## beside ONNX Runtime, OpenVINO and torch (needs VENV=DIR with them)
	BUILD=$(BUILD) bash tests/bench/peers.sh

profile: $(BUILD)/profile  ## where the time goes, verb by verb (PICTURES="FILE..." BATCH=N RUNS=N)
	$(BUILD)/profile weights/dinov2_small_imagenette $(or $(BATCH),8) $(or $(RUNS),10) $(or $(PICTURES),tests/pictures/china.jpg tests/pictures/flower.jpg)

launches: $(BUILD)/vitrun cuda-host  ## what the CUDA back end launches in a forward pass, counted without a GPU
	BUILD=$(BUILD) bash tests/bench/launches.sh

study: $(BUILD)/vitrun  ## README's table of token reduction, measured anew (IMAGENETTE=DIR, LIMIT=N for a sample)
	IMAGENETTE="$(IMAGENETTE)" LIMIT="$(LIMIT)" BUILD=$(BUILD) bash tests/bench/study.sh

gpu-pack: $(BUILD)/vitrun $(BUILD)/golden_runner $(BUILD)/step $(BUILD)/cutouts $(PLUGIN)  ## PACK=DIR (default gpu-pack): all that a machine with a GPU needs to check and measure (PICTURES=DIR)
	@BUILD=$(BUILD) PLUGIN=$(PLUGIN) PICTURES="$(PICTURES)" bash tests/gpu/pack.sh $(PACK)

gpu-check: gpu-pack  ## the same, and runs its check.sh here (PARTS="device golden ...")
	@bash $(PACK)/check.sh $(PARTS)

install: all  ## install under prefix (default /usr/local); DESTDIR is honoured
	install -d $(DESTDIR)$(bindir) $(DESTDIR)$(libdir)/pkgconfig $(DESTDIR)$(prefix)/include $(DESTDIR)$(datadir)/vitrun
	install -m 755 $(BUILD)/vitrun $(DESTDIR)$(bindir)/vitrun
	install -m 644 $(BUILD)/libvitrun.a $(DESTDIR)$(libdir)/
	install -m 755 $(BUILD)/libvitrun.so $(DESTDIR)$(libdir)/libvitrun.so.0
	ln -sf libvitrun.so.0 $(DESTDIR)$(libdir)/libvitrun.so
	if [ -n "$(PLUGIN)" ]; then install -d $(DESTDIR)$(libdir)/vitrun && install -m 755 $(PLUGIN) $(DESTDIR)$(libdir)/vitrun/; fi
	install -m 644 engine/vitrun.h $(DESTDIR)$(prefix)/include/
	install -m 644 $(BUILD)/vitrun.pc $(DESTDIR)$(libdir)/pkgconfig/
	cp -r configs weights $(DESTDIR)$(datadir)/vitrun/
	install -d $(DESTDIR)$(datadir)/vitrun/pictures
	install -m 644 tests/pictures/china.jpg tests/pictures/flower.jpg tests/pictures/README.md $(DESTDIR)$(datadir)/vitrun/pictures/
	install -m 644 LICENSE NOTICE $(DESTDIR)$(datadir)/vitrun/

uninstall:  ## remove what install put there
	rm -f $(DESTDIR)$(bindir)/vitrun $(DESTDIR)$(libdir)/libvitrun.a $(DESTDIR)$(libdir)/libvitrun.so $(DESTDIR)$(libdir)/libvitrun.so.0 \
	    $(DESTDIR)$(prefix)/include/vitrun.h $(DESTDIR)$(libdir)/pkgconfig/vitrun.pc
	rm -rf $(DESTDIR)$(datadir)/vitrun $(DESTDIR)$(libdir)/vitrun

clean:      ## remove what was built
	rm -rf build

help:       ## this list
	@grep -E '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):[^#]*## */\1\t/' | sort | awk -F'\t' '{printf "  %-12s %s\n", $$1, $$2}'

$(BUILD)/vitrun: $(CLI_OBJ) $(BUILD)/libvitrun.a
	@echo "  link $@"
	@$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $(CLI_OBJ) $(BUILD)/libvitrun.a $(LDLIBS)

$(BUILD)/libvitrun.a: $(LIB_OBJ)
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/libvitrun.so: $(LIB_OBJ)
	@echo "  link $@"
	@$(CC) $(CFLAGS) $(SANFLAGS) -shared -Wl,-soname,libvitrun.so.0 -Wl,-z,relro,-z,now -o $@ $^ $(LDLIBS)

# What was compiled or written for another prefix is made anew: `make demo` first, then `make install prefix=...`.
$(BUILD)/prefix: FORCE
	@mkdir -p $(@D)
	@echo '$(prefix) $(libdir) $(datadir)' | cmp -s - $@ || echo '$(prefix) $(libdir) $(datadir)' > $@
$(BUILD)/engine/datadir.o $(BUILD)/engine/device.o $(BUILD)/cli/bundled.o: $(BUILD)/prefix
FORCE:

$(BUILD)/vitrun.pc: Makefile $(BUILD)/prefix
	@mkdir -p $(@D)
	@printf 'prefix=%s\nlibdir=%s\nincludedir=$${prefix}/include\n\nName: vitrun\nDescription: Vision Transformer inference\nVersion: %s\nLibs: -L$${libdir} -lvitrun\nLibs.private: %s\nCflags: -I$${includedir}\n' \
	    '$(prefix)' '$(libdir)' '$(VERSION)' '$(LDLIBS)' > $@

$(BUILD)/vr_tests: $(TEST_OBJ) $(BUILD)/libvitrun.a
	@echo "  link $@"
	@$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $(TEST_OBJ) $(BUILD)/libvitrun.a $(LDLIBS) -lcriterion

$(BUILD)/golden_runner: $(BUILD)/tests/golden_runner.o $(BUILD)/tests/golden_reducers.o $(BUILD)/tests/golden_reduced.o $(filter $(BUILD)/tests/reference/% $(BUILD)/tests/support/% $(BUILD)/kernels/%,$(TEST_OBJ)) $(BUILD)/libvitrun.a
	@echo "  link $@"
	@$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/profile: $(BUILD)/tests/bench/profile.o $(BUILD)/libvitrun.a
	@echo "  link $@"
	@$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/bench_kernels: $(BUILD)/tests/bench/bench_kernels.o $(BUILD)/libvitrun.a
	@echo "  link $@"
	@$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/step: $(BUILD)/tests/bench/step.o $(BUILD)/libvitrun.a
	@echo "  link $@"
	@$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/cutouts: $(BUILD)/tests/gpu/cutouts.o $(BUILD)/libvitrun.a
	@echo "  link $@"
	@$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/stress_cpu: $(BUILD)/tests/stress/stress_cpu.o $(BUILD)/libvitrun.a
	@echo "  link $@"
	@$(CC) $(CFLAGS) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The plugin exports vr_plugin alone.  Registers that spill to memory are told; SPILLS=error makes an error of them.
$(BUILD)/vitrun-cuda.so: $(CUDA_OBJ)
	@echo "  link $@"
	@echo '{ global: vr_plugin; local: *; };' > $(BUILD)/kernels/cuda/exports
	@$(NVCC) -shared -cudart static -Xlinker --version-script=$(BUILD)/kernels/cuda/exports,-z,relro,-z,now \
	    -Xcompiler -static-libstdc++,-static-libgcc -o $@ $^ -lpthread

$(BUILD)/kernels/cuda/%.cu.o: kernels/cuda/%.cu
	@mkdir -p $(@D)
	@echo "  nvcc $<"
	@$(NVCC) -std=c++17 $(NVCCFLAGS) -I kernels -Xptxas -warn-spills$(if $(filter error,$(SPILLS)),$(COMMA)-Werror) -Xcompiler -fPIC,-fvisibility=hidden,-Wall -MMD -MP -c -o $@ $<

$(BUILD)/kernels/cuda/%.o: kernels/cuda/%.c
	@mkdir -p $(@D)
	@echo "  $(CC) $<"
	@$(CC) -isystem $(CUDA_INC) $(ALL_CFLAGS) -c -o $@ $<

define isa_rule
$(BUILD)/kernels/cpu/isa/%.$(1).o: kernels/cpu/isa/%.c
	@mkdir -p $$(@D)
	@echo "  $$(CC) $$< ($(1))"
	@$$(CC) $$(ALL_CFLAGS) -O3 $$(flags_$(1)) -DVR_ISA=$(1) -DVR_ISA_$(1) -c -o $$@ $$<
endef
$(foreach i,$(ISAS) $(PAIRS) $(BYTES) $(EMULATED),$(eval $(call isa_rule,$(i))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  $(CC) $<"
	@$(CC) $(ALL_CFLAGS) -c -o $@ $<

include tests/cuda_host/host.mk
-include $(shell find $(BUILD) -name '*.d' -not -path '$(BUILD)/*san/*' 2>/dev/null)
.PHONY: all demo test deps check golden golden-cuda-host deep asan tsan tidy format bench bench-peers profile launches study gpu-pack gpu-check install uninstall clean help FORCE
.DELETE_ON_ERROR:
