"""Hugging Face Daily Papers: live, saved as a page, or copied as text.

    bytes → reader → records (JSON)                       → Listings
                   → markup (HTML) | captures | text → Cards → Listings

JSON knows everything of a paper, a card what is printed on it, and a text copy neither ids nor links.
"""

from digest.sources.huggingface.reader import HuggingFaceReader
from digest.sources.huggingface.source import HuggingFace

__all__ = ["HuggingFace", "HuggingFaceReader"]
