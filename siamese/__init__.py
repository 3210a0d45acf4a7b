"""Siamese networks for verification and few-shot recognition.

Two images go through the same network; the more alike their embeddings, the more likely they show the same thing.
``docs/architecture.md`` draws the house, ``README.md`` says how to live in it.
"""

__version__ = "0.1.0"
