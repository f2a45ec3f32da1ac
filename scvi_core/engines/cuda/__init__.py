"""The fast path on an NVIDIA GPU: kernels in Triton."""
