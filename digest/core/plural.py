"""Plural and singular as one word; nothing more is stemmed.

Words that only look like plurals, and plurals that do not follow the rules, are listed.
A longer list would help less than it would surprise: `news` and `new` must stay two words.
"""

from __future__ import annotations

_MIN_STEM = 3

_UNCHANGED = frozenset(
    [
        "alias",
        "always",
        "atlas",
        "bias",
        "canvas",
        "chaos",
        "cosmos",
        "gas",
        "lens",
        "less",
        "news",
        "pancreas",
        "perhaps",
        "pegasus",
        "series",
        "sometimes",
        "species",
        "towards",
        "whereas",
    ]
)

_ICS_PLURALS = frozenset(
    [
        "basics",
        "characteristics",
        "classics",
        "clinics",
        "comics",
        "critics",
        "fabrics",
        "heuristics",
        "lyrics",
        "metrics",
        "mimics",
        "mosaics",
        "relics",
        "skeptics",
        "topics",
    ]
)

_IRREGULAR = {
    "analyses": "analysis", "appendices": "appendix", "axes": "axis", "biases": "bias",
    "bonuses": "bonus", "buses": "bus", "caches": "cache", "calories": "calorie", "campuses": "campus",
    "children": "child", "cookies": "cookie", "corpora": "corpus", "corpuses": "corpus",
    "criteria": "criterion", "crises": "crisis", "diagnoses": "diagnosis", "focuses": "focus",
    "gases": "gas", "hypotheses": "hypothesis", "indices": "index", "lenses": "lens",
    "matrices": "matrix", "men": "man", "mice": "mouse", "movies": "movie", "niches": "niche",
    "nuclei": "nucleus", "phenomena": "phenomenon", "prognoses": "prognosis", "quizzes": "quiz",
    "selfies": "selfie", "statuses": "status", "stimuli": "stimulus", "syntheses": "synthesis",
    "theses": "thesis", "vertices": "vertex", "viruses": "virus", "women": "woman", "zombies": "zombie",
}  # fmt: skip

_SIBILANTS = ("sses", "xes", "ches", "shes", "zzes")


def singular(word: str) -> str:
    """The singular of a case-folded English noun; any other word comes back as it is."""
    if not word.endswith("s") or len(word) <= _MIN_STEM:
        return _IRREGULAR.get(word, word)
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in _UNCHANGED or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ics") and word not in _ICS_PLURALS:
        return word  # dynamics and semantics are no plurals of dynamic and semantic
    if word.endswith("ies") and len(word) > _MIN_STEM + 1:
        return word[:-3] + "y"
    if word.endswith(_SIBILANTS) and len(word) > _MIN_STEM + 1:
        return word[:-2]
    return word[:-1] if word[-2].isalpha() else word
