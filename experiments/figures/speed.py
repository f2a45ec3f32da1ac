"""Both programs at every shape, beside the limit that matrix products set."""

from ..plots.speed import speed_bars
from . import of_finished


@of_finished
def figure(table, records):
    """Return {name: Figure}: both programs at every shape, beside the limit that matrix products set."""
    return {"training": speed_bars(records)}
