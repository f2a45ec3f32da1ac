"""What experiments draw: a module each, of the experiment's name. Nothing here is part of a record's key.

``figure(table, records)`` returns {name: Figure} from the summary over seeds (`report.table.summarise`), one row per
method and score, and the finished jobs (`report.table.frame`), one row each, with their ``arrays``.
"""
