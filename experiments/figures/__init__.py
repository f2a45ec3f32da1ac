"""What experiments draw: one module each, ``figure(table, records)``. Nothing here is part of a record's key."""
