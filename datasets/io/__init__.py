"""How counts come into memory: raw files, their formats, what is kept of them, and which genes and cells are taken."""
