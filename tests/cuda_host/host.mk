# GPU code on a CPU: see tests/cuda_host/README.md.  The top Makefile includes this file.
CUDA_HOST      := tests/cuda_host
CH              = $(BUILD)/cuda_host
CH_CXX         ?= g++
CH_FAKE        := emulator device_memory runtime
CH_LT          := cublaslt product
CH_CU          := $(wildcard kernels/cuda/*.cu)
CH_KERNEL_CPP  := $(wildcard $(CUDA_HOST)/kernels/*.cpp)
CH_OWN_CPP     := $(wildcard $(CUDA_HOST)/test_*.cpp)
CH_WARN        := -Wall -Wextra -Wshadow -Werror -Wno-unknown-pragmas -Wno-unused-function
CH_FLAGS       := -std=c++17 -g -fPIC -ffp-contract=off $(CH_WARN) -I $(CUDA_HOST)/include -I kernels -MMD -MP
CH_CLANG       := $(findstring clang,$(CH_CXX))

# Three builds: plain for the plugin (with the sanitizer of SAN=..., if any), san and races for the tests of kernels.
CH_ADDRESS     := $(if $(CH_CLANG),-D__SANITIZE_ADDRESS__=1)
CH_THREAD      := $(if $(CH_CLANG),-D__SANITIZE_THREAD__=1)
ch_flags_plain  = -O2 $(SANFLAGS) $(if $(findstring address,$(SAN)),$(CH_ADDRESS)) $(if $(findstring thread,$(SAN)),$(CH_THREAD))
ch_flags_san   := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer $(CH_ADDRESS)
ch_flags_races := -O1 -fsanitize=thread $(CH_THREAD)

# The emulator switches fibres under ThreadSanitizer's feet, and tells it so itself; sums of products need no watching.
CH_BARE_plain   = $(if $(findstring thread,$(SAN)),-fno-sanitize=all -U__SANITIZE_THREAD__ -DVR_EMU_RACES)
CH_BARE_races  := -fno-sanitize=all -U__SANITIZE_THREAD__ -DVR_EMU_RACES

define ch_variant
$(CH)/$(1)/%.o: %.cpp
	@mkdir -p $$(@D)
	@echo "  $(CH_CXX) $$< ($(1))"
	@$(CH_CXX) $(CH_FLAGS) $$(ch_flags_$(1)) -c -o $$@ $$<
$(CH)/$(1)/%.o: %.cu
	@mkdir -p $$(@D)
	@echo "  $(CH_CXX) $$< ($(1))"
	@$(CH_CXX) $(CH_FLAGS) $$(ch_flags_$(1)) -x c++ -c -o $$@ $$<
$(CH)/$(1)/$(CUDA_HOST)/emulator.o: $(CUDA_HOST)/emulator.cpp
	@mkdir -p $$(@D)
	@echo "  $(CH_CXX) $$< ($(1))"
	@$(CH_CXX) $(CH_FLAGS) $$(ch_flags_$(1)) $$(CH_BARE_$(1)) -c -o $$@ $$<
$(CH)/$(1)/$(CUDA_HOST)/product.o: $(CUDA_HOST)/product.cpp
	@mkdir -p $$(@D)
	@$(CH_CXX) $(CH_FLAGS) -O3 -c -o $$@ $$<
endef
$(foreach v,plain san races,$(eval $(call ch_variant,$(v))))
ch_objects = $(patsubst %,$(CH)/$(1)/$(CUDA_HOST)/%.o,$(2))

# The plugin on the emulator.  cuBLASLt's fake has the soname of the real one and is loaded with the plugin, so that the
# back end's dlopen finds it.
CH_BASE_C      := kernels/base.c kernels/trace.c
CH_PLUGIN_C    := $(wildcard kernels/cuda/*.c) $(CH_BASE_C)
CH_PLUGIN_OBJ   = $(CH_PLUGIN_C:%.c=$(CH)/plugin/%.o) $(CH_CU:%.cu=$(CH)/plain/%.o)
CH_SHARED       = $(CH_CXX) $(CFLAGS) $(SANFLAGS) -shared -Wl,-z,relro,-z,now -Wl,-rpath,'$$ORIGIN'

cuda-host: $(CH)/vitrun-cuda.so ## the CUDA back end on an emulator: build/cuda_host/vitrun-cuda.so

$(CH)/libfakecuda.so: $(call ch_objects,plain,$(CH_FAKE))
	@$(CH_SHARED) -Wl,-soname,libfakecuda.so -o $@ $^ -lpthread
$(CH)/libcublasLt.so.13: $(call ch_objects,plain,$(CH_LT)) $(CH)/libfakecuda.so
	@$(CH_SHARED) -Wl,-soname,libcublasLt.so.13 -o $@ $^
$(CH)/vitrun-cuda.so: $(CH_PLUGIN_OBJ) $(CH)/libcublasLt.so.13 $(CH)/libfakecuda.so
	@echo "  link $@"
	@$(CH_SHARED) -Wl,-soname,vitrun-cuda.so -Wl,--no-as-needed -o $@ $^ -ldl -lm -lpthread
$(CH)/plugin/%.o: %.c
	@mkdir -p $(@D)
	@echo "  $(CC) $< (cuda_host)"
	@$(CC) -I $(CUDA_HOST)/include $(ALL_CFLAGS) -c -o $@ $<

# Kernels, and the test bed itself, against plain loops.
define ch_tests
$(CH)/test_bed.$(1): $(call ch_objects,$(1),$(CH_FAKE) $(CH_LT) harness $(patsubst $(CUDA_HOST)/%.cpp,%,$(CH_OWN_CPP)))
	@echo "  link $$@"
	@$(CH_CXX) $$(ch_flags_$(1)) -o $$@ $$^ -lpthread
$(CH)/test_kernels.$(1): $(call ch_objects,$(1),$(CH_FAKE) $(CH_LT) harness) $(CH_KERNEL_CPP:%.cpp=$(CH)/$(1)/%.o) \
    $(CH_CU:%.cu=$(CH)/$(1)/%.o) $(CH_BASE_C:%.c=$(CH)/plugin/%.o)
	@echo "  link $$@"
	@$(CH_CXX) $$(ch_flags_$(1)) -o $$@ $$^ -lm -lpthread
endef
$(foreach v,san races,$(eval $(call ch_tests,$(v))))
CH_PROGRAMS     = $(CH)/test_bed $(if $(CH_KERNEL_CPP),$(CH)/test_kernels)

cuda-host-check: $(CH_PROGRAMS:%=%.san)  ## kernels on the emulator, under ASan and UBSan, in three orders
	@for t in $^; do echo "$$t"; $$t || exit 1; done
cuda-host-races: $(CH_PROGRAMS:%=%.races)  ## kernels on the emulator, every CUDA thread a fibre of ThreadSanitizer's
	@for t in $^; do echo "$$t"; setarch -R $$t || exit 1; done

-include $(shell find $(CH) -name '*.d' 2>/dev/null)
.PHONY: cuda-host cuda-host-check cuda-host-races cuda-host-mutants
