"""Adam (Kingma & Ba 2015), the optimiser of the paper."""

import torch


class Adam:
    """Adam with its usual decay rates 0.9 and 0.999, moving tensors in place.

    Written out because its moments are shared between the engines and kept for resuming, and because building
    ``torch.optim.Adam`` loads PyTorch's compiler, which takes longer than a first epoch.

    Parameters
    ----------
    parameters : iterable of tensors
    lr, eps : float
    framework : {"torch", "tensorflow"}
        Where epsilon stands. "torch": beside the root of the second moment after its correction for the start at zero,
        as in the paper's Algorithm 1. "tensorflow": beside the root before it, the "epsilon hat" of the paper's
        section 2, so that in the terms of the other it is eps / sqrt(1 - 0.999^t) at step t.
    """

    def __init__(self, parameters, lr, eps, framework="torch"):
        self.parameters, self.lr, self.eps = list(parameters), lr, eps
        self.framework = framework
        self.n_steps = 0
        self.mean = [torch.zeros_like(p) for p in self.parameters]  # of the gradient
        self.square = [torch.zeros_like(p) for p in self.parameters]  # of its square

    @property
    def eps_of_step(self):
        """What is added to the corrected root at the step now counted."""
        return self.eps if self.framework == "torch" else self.eps / (1 - 0.999**self.n_steps) ** 0.5

    @torch.no_grad()
    def step(self):
        """Move every parameter by its ``grad`` and forget the gradients."""
        self.n_steps += 1
        rate = self.lr / (1 - 0.9**self.n_steps)
        correction = (1 - 0.999**self.n_steps) ** 0.5
        for p, mean, square in zip(self.parameters, self.mean, self.square, strict=True):
            mean.lerp_(p.grad, 0.1)
            square.mul_(0.999).addcmul_(p.grad, p.grad, value=0.001)
            p.addcdiv_(mean, square.sqrt().div_(correction).add_(self.eps_of_step), value=-rate)
            p.grad = None

    def state(self):
        """Step count and moments; tensors, not copies."""
        return {"n_steps": self.n_steps, "mean": self.mean, "square": self.square}

    def restore(self, state):
        self.n_steps = state["n_steps"]
        for name in ("mean", "square"):
            for own, saved in zip(getattr(self, name), state[name], strict=True):
                own.copy_(saved)
