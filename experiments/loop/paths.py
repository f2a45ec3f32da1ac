"""Where the project lies; a module of its own, for what is imported beside it would be in the keys of records."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
