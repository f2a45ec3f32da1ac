"""From records to tables, statements and the page."""
