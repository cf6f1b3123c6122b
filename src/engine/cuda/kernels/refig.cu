// All kernels, as one module. `build.rs` compiles it with nvcc; tests compile it for the host, see host.h.
#include "classifier.cuh"
#include "convolution.cuh"
#include "convolution_tensor.cuh"
#include "direct.cuh"
#include "feature.cuh"
#include "images.cuh"
#include "norm.cuh"
#include "update.cuh"
