"""What a program has set for all of PyTorch, kept out of the computations of this package."""

import contextlib

import torch


@contextlib.contextmanager
def torch_defaults(gradients=False):
    """Within, and as a decorator, new tensors are of single precision and on the CPU where nothing else is asked for.

    The engines are written for that, and the kernels in C would read doubles, or an address on a GPU, as floats. Mixed
    precision and inference mode are off; derivatives are taken only with ``gradients``.
    """
    dtype = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if torch.is_autocast_enabled("cpu"):
            stack.enter_context(torch.autocast("cpu", enabled=False))
        if torch.is_autocast_enabled("cuda"):
            stack.enter_context(torch.autocast("cuda", enabled=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(gradients))
        torch.set_default_dtype(torch.float32)
        stack.callback(torch.set_default_dtype, dtype)
        yield
