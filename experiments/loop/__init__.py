"""The run loop: what is computed, where, and what a record of it holds."""
