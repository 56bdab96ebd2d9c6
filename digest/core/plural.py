"""Plural and singular as one word; nothing more is stemmed.

Words that only look like plurals, and plurals that do not follow the rules, are listed.
A longer list would help less than it would surprise: `news` and `new` must stay two words.
"""

from __future__ import annotations

from collections.abc import Sequence

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

IRREGULAR = {
    "aches": "ache", "appendices": "appendix", "atlases": "atlas", "automata": "automaton",
    "avalanches": "avalanche", "axes": "axis", "bacteria": "bacterium", "biases": "bias",
    "bonuses": "bonus", "buses": "bus", "caches": "cache", "calories": "calorie",
    "campuses": "campus", "canvases": "canvas", "censuses": "census", "children": "child",
    "cliches": "cliche", "cookies": "cookie", "corpora": "corpus", "corpuses": "corpus",
    "cortices": "cortex", "crises": "crisis", "criteria": "criterion", "diagnoses": "diagnosis",
    "echoes": "echo", "feet": "foot", "foci": "focus", "focuses": "focus", "formulae": "formula",
    "fungi": "fungus", "gases": "gas", "halves": "half", "headaches": "headache",
    "helices": "helix", "heroes": "hero", "indices": "index", "knives": "knife", "leaves": "leaf",
    "lenses": "lens", "loci": "locus", "matrices": "matrix", "maxima": "maximum", "men": "man",
    "metastases": "metastasis", "mice": "mouse", "minima": "minimum", "movies": "movie",
    "niches": "niche", "nuclei": "nucleus", "optima": "optimum", "phenomena": "phenomenon",
    "potatoes": "potato", "prognoses": "prognosis", "quizzes": "quiz", "radii": "radius",
    "selfies": "selfie", "spectra": "spectrum", "statuses": "status", "stenoses": "stenosis",
    "stimuli": "stimulus", "teeth": "tooth", "tomatoes": "tomato", "vertices": "vertex",
    "viruses": "virus", "volcanoes": "volcano", "vortices": "vortex", "wolves": "wolf",
    "women": "woman", "zombies": "zombie",
}  # fmt: skip

_SPECIAL: dict[str, list[str]] = {}  # the other way round
for _plural, _singular in IRREGULAR.items():
    _SPECIAL.setdefault(_singular, []).append(_plural)

_SIBILANTS = ("sses", "xes", "ches", "shes", "tzes", "zzes")


def singular(word: str) -> str:
    """The singular of a case-folded English noun; any other word comes back as it is."""
    if not word.endswith("s") or len(word) <= _MIN_STEM:
        return IRREGULAR.get(word, word)
    if word in IRREGULAR:
        return IRREGULAR[word]
    if word in _UNCHANGED or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ics") and word not in _ICS_PLURALS:
        return word  # dynamics and semantics are no plurals of dynamic and semantic
    if word.endswith(("yses", "theses")):  # analyses, prostheses
        return word[:-2] + "is"
    if word.endswith("ies") and len(word) > _MIN_STEM + 1:
        return word[:-3] + "y"
    if word.endswith(_SIBILANTS) and len(word) > _MIN_STEM + 1:
        return word[:-2]
    return word[:-1] if word[-2].isalpha() else word


def roots(label: str) -> Sequence[str]:
    """Stretches of letters, one of which stands in every word whose singular is the label."""
    root = label[:-2] if label.endswith("is") else label.removesuffix("y")
    return (root, *_SPECIAL.get(label, ()))
