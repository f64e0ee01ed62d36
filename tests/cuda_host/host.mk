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
CH_BASE_C      := $(wildcard kernels/*.c)
CH_PLUGIN_OBJ   = $(patsubst %.c,$(CH)/c/%.o,$(wildcard kernels/cuda/*.c) kernels/base.c kernels/trace.c kernels/profile.c) $(CH_CU:%.cu=$(CH)/plain/%.o)
CH_SHARED       = $(CH_CXX) $(SANFLAGS) -shared -Wl,-z,relro,-z,now -Wl,-rpath,'$$ORIGIN'

cuda-host: $(CH)/vitrun-cuda.so ## the CUDA back end on an emulator: build/cuda_host/vitrun-cuda.so

$(CH)/libfakecuda.so: $(call ch_objects,plain,$(CH_FAKE))
	@$(CH_SHARED) -Wl,-soname,libfakecuda.so -o $@ $^ -lpthread
$(CH)/libcublasLt.so.13: $(call ch_objects,plain,$(CH_LT)) $(CH)/libfakecuda.so
	@$(CH_SHARED) -Wl,-soname,libcublasLt.so.13 -o $@ $^
$(CH)/vitrun-cuda.so: $(CH_PLUGIN_OBJ) $(CH)/libcublasLt.so.13 $(CH)/libfakecuda.so
	@echo "  link $@"
	@echo '{ global: vr_plugin; local: *; };' > $(CH)/exports
	@$(CH_SHARED) -Wl,--version-script=$(CH)/exports -Wl,--no-as-needed -o $@ $^ -ldl -lm -lpthread
$(CH)/c/%.o: %.c
	@mkdir -p $(@D)
	@echo "  $(CC) $< (cuda_host)"
	@$(CC) -I $(CUDA_HOST)/include $(ALL_CFLAGS) -c -o $@ $<

# Programs that test: one of the bed itself, and each kernels/test_*.cpp is one, linked with what else is there and with
# the kernels and the oracle.
CH_TESTS       := $(patsubst $(CUDA_HOST)/kernels/%.cpp,%,$(wildcard $(CUDA_HOST)/kernels/test_*.cpp))
CH_HELP_CPP    := $(filter-out $(CUDA_HOST)/kernels/test_%,$(wildcard $(CUDA_HOST)/kernels/*.cpp))
CH_ORACLE_C    := $(wildcard tests/reference/*.c kernels/*.c) kernels/cuda/watch.c loaders/halves.c
define ch_tests
$(CH)/$(1)/libkernels.a: $(CH_CU:%.cu=$(CH)/$(1)/%.o)
	@rm -f $$@
	@$(AR) rcs $$@ $$^
$(CH)/$(1)/libbed.a: $(call ch_objects,$(1),$(CH_FAKE) $(CH_LT)) $(CH_HELP_CPP:%.cpp=$(CH)/$(1)/%.o) $(CH_ORACLE_C:%.c=$(CH)/c/%.o)
	@rm -f $$@
	@$(AR) rcs $$@ $$^
$(CH)/$(1)/test_bed: $(call ch_objects,$(1),harness $(patsubst $(CUDA_HOST)/%.cpp,%,$(CH_OWN_CPP))) $(CH)/$(1)/libbed.a
	@echo "  link $$@"
	@$(CH_CXX) $$(ch_flags_$(1)) -o $$@ $$^ -lm -lpthread
$(CH_TESTS:%=$(CH)/$(1)/%): $(CH)/$(1)/%: $(CH)/$(1)/$(CUDA_HOST)/kernels/%.o $(CH)/$(1)/libkernels.a $(CH)/$(1)/libbed.a
	@echo "  link $$@"
	@$(CH_CXX) $$(ch_flags_$(1)) -o $$@ $$^ -lm -lpthread
endef
$(foreach v,san races,$(eval $(call ch_tests,$(v))))
ch_programs     = $(patsubst %,$(CH)/$(1)/%,test_bed $(CH_TESTS))

cuda-host-check: $(call ch_programs,san)  ## kernels on the emulator, under ASan and UBSan, in three orders
	@bash $(CUDA_HOST)/exit.sh $(CH)/san/test_bed
	@bash $(CUDA_HOST)/check.sh $^
cuda-host-races: $(call ch_programs,races)  ## kernels on the emulator, every CUDA thread a fibre of ThreadSanitizer's
	@VR_CUDA_ORDER=ascending setarch -R bash $(CUDA_HOST)/check.sh $^
cuda-host-headers:  ## the fakes' headers against the toolkit's, where it is installed
	@if [ -n "$(CUDA_INC)" ]; then $(CH_CXX) -std=c++17 -isystem $(CUDA_INC) -fsyntax-only $(CUDA_HOST)/test_headers.cpp && \
	    echo "headers: ok"; else echo "headers: SKIP (no CUDA toolkit)"; fi
cuda-host-mutants: $(call ch_programs,san) $(call ch_programs,races)  ## each barrier and wait taken out in turn must be found (long)
	@CXX="$(CH_CXX)" FLAGS="$(CH_FLAGS)" SAN="$(ch_flags_san)" RACES="$(ch_flags_races)" bash $(CUDA_HOST)/mutate.sh $(CH) $(MUTATE)

-include $(shell find $(CH) -name '*.d' 2>/dev/null)
.PHONY: cuda-host cuda-host-check cuda-host-races cuda-host-headers cuda-host-mutants
