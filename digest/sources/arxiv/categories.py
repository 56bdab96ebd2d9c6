"""The categories of arXiv, and how its services spell them."""

from __future__ import annotations

from difflib import get_close_matches

# https://arxiv.org/category_taxonomy
_SUBJECTS = {
    "astro-ph": "CO EP GA HE IM SR",
    "cond-mat": "dis-nn mes-hall mtrl-sci other quant-gas soft stat-mech str-el supr-con",
    "cs": "AI AR CC CE CG CL CR CV CY DB DC DL DM DS ET FL GL GR GT HC IR IT LG LO MA MM MS NA NE NI OH OS"
    " PF PL RO SC SD SE SI SY",
    "econ": "EM GN TH",
    "eess": "AS IV SP SY",
    "gr-qc": "",
    "hep-ex": "",
    "hep-lat": "",
    "hep-ph": "",
    "hep-th": "",
    "math": "AC AG AP AT CA CO CT CV DG DS FA GM GN GR GT HO IT KT LO MG MP NA NT OA OC PR QA RA RT SG SP ST",
    "math-ph": "",
    "nlin": "AO CD CG PS SI",
    "nucl-ex": "",
    "nucl-th": "",
    "physics": "acc-ph ao-ph app-ph atm-clus atom-ph bio-ph chem-ph class-ph comp-ph data-an ed-ph flu-dyn"
    " gen-ph geo-ph hist-ph ins-det med-ph optics plasm-ph pop-ph soc-ph space-ph",
    "q-bio": "BM CB GN MN NC OT PE QM SC TO",  # codespell:ignore
    "q-fin": "CP EC GN MF PM PR RM ST TR",
    "quant-ph": "",
    "stat": "AP CO ME ML OT TH",  # codespell:ignore
}
_PHYSICS = (
    "astro-ph cond-mat gr-qc hep-ex hep-lat hep-ph hep-th math-ph nlin nucl-ex nucl-th physics quant-ph"
)
# Other names of categories; a paper there carries both.
_ALIASES = {
    "math.MP": "math-ph",
    "math.IT": "cs.IT",
    "cs.NA": "math.NA",
    "stat.TH": "math.ST",
    "cs.SY": "eess.SY",
    "q-fin.EC": "econ.GN",
}
_ALL = {
    *_SUBJECTS,
    *(f"{archive}.{subject}" for archive, subjects in _SUBJECTS.items() for subject in subjects.split()),
}


def checked(category: str) -> str:
    """A category or archive (`cs.CV`, `hep-th`, `cs`) if there is one of that name. Raises ValueError."""
    if category in _ALL:
        return category
    by_lower = {name.lower(): name for name in _ALL}
    near = get_close_matches(category.lower(), sorted(by_lower), n=1)
    advice = f"did you mean {by_lower[near[0]]!r}?" if near else f"the archives are {', '.join(_SUBJECTS)}"
    raise ValueError(f"categories has {category!r}, which arXiv does not have: {advice}")


def is_in(paper_category: str, category: str) -> bool:
    """Whether a paper's category is the one meant, or of the archive meant."""
    if _SUBJECTS.get(category) and paper_category.startswith(f"{category}."):
        return True
    return _ALIASES.get(paper_category, paper_category) == _ALIASES.get(category, category)


def search_term(category: str) -> str:
    """The category in a query of the API; an archive is all of its subjects."""
    return f"cat:{category}.*" if _SUBJECTS.get(category) else f"cat:{category}"


def set_spec(category: str) -> str:
    """The set of OAI-PMH: group, archive and subject, such as `cs:cs:CV` or `physics:hep-th`.

    https://github.com/arXiv/oaipmh, oaipmh/processors/create_set_list.py.
    """
    archive, _, subject = category.partition(".")
    group = "physics" if archive in _PHYSICS.split() else archive
    return ":".join(filter(None, (group, archive, subject)))


def of_set(spec: str) -> str | None:
    """The category that a set is; none for a whole archive that has subjects."""
    category = ".".join(spec.split(":")[1:])
    return category if category in _ALL and not _SUBJECTS.get(category) else None
