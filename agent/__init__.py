"""Words and turns: who speaks when, what is answered, and what of it was heard."""

__version__ = "0.1.0"
