# GPU code on a CPU: see tests/cuda_host/README.md.  The top Makefile includes this file.
CUDA_HOST       := tests/cuda_host
CH              := $(BUILD)/cuda_host
CH_CXX          ?= g++
CH_INCLUDES     := -I $(CUDA_HOST)/include -I kernels
CH_WARN         := -Wall -Wextra -Wpedantic -Wshadow -Werror -Wno-unknown-pragmas
CH_CXXFLAGS      = -std=c++17 -g -O2 -fPIC -ffp-contract=off $(CH_WARN) $(CH_INCLUDES) -MMD -MP

CH_FAKE         := emulator device_memory runtime
CH_KERNELS      := $(wildcard kernels/cuda/*.cu)
