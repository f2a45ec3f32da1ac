"""What a method that iterates says of its end, as a run collects it (``convergence_``)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Convergence:
    """Whether the iterations of a fit ended by themselves; its text is one sentence.

    Attributes
    ----------
    converged : bool
    iterations : int
        That were made.
    enough : int or None
        That are known to do: the same where it converged.
    option : str
        What bounds them.
    """

    converged: bool
    iterations: int
    enough: int | None
    option: str

    def __str__(self):
        if self.converged:
            return f"It converged after {self.iterations} iterations."
        return f"It has not converged in {self.iterations} iterations: choose a larger {self.option}."


def convergence(iterations, allowed, option="max_iter"):
    """Return the `Convergence` of ``iterations`` where ``allowed`` ones end a fit that has not converged."""
    converged = iterations < allowed
    return Convergence(converged, iterations, iterations if converged else None, option)
