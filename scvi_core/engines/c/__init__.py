"""The fast path on the CPU: kernels in C, compiled at first use."""
