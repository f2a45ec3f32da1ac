"""What experiments draw: a module each, of the experiment's name. Nothing here is part of a record's key.

``figure(table, records)`` returns {name: Figure} from the summary over seeds (`report.table.summarise`), one row per
method and score, and the finished jobs (`report.table.frame`), one row each, with their ``arrays``. Decorated with
`of_finished`, it has at least one of these.
"""

import functools

from ..plots.blank import without_result


def of_finished(figure):
    """A ``figure(table, records)`` that is asked only where a job has finished: else a panel says what became of each.

    So it finds at least one record, and the facts that finished jobs have.
    """

    @functools.wraps(figure)
    def drawn(table, records):
        return {"no_result": without_result(table)} if records.empty else figure(table, records)

    return drawn
