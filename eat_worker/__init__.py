"""Queue-based annotation workers for zero-shot cross-lingual named entities (Entity-Aligned Translation)."""

__version__ = "0.1.0"
