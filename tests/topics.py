"""Invented papers of a few subjects, enough of them to learn from."""

from __future__ import annotations

from random import Random

from digest.core.model import Paper, PaperId

SUBJECTS = {
    "ferns": "frond spore sorus rhizome crozier prothallus understory sporangium indusium pinna "
    "epiphyte gametophyte shade damp peat",
    "clocks": "escapement pendulum mainspring gear balance hairspring pallet chime dial winding "
    "torsion tick arbor jewel regulator",
    "bread": "dough yeast crumb crust oven gluten proofing flour sourdough kneading starter loaf "
    "hydration fermentation bakery",
    "kites": "sail bridle wind tether tail spar glide gust drag lift cord hover dihedral flight canopy",
    "bells": "clapper bronze casting tower peal resonance foundry strike tuning hum toll partial "
    "carillon alloy ringing",
}
"""Words that stand in papers of a subject; none of them is the subject's name."""

_ANYWHERE = (
    "data model learning large small measure compare simple careful long short early sample test field "
    "report estimate observe change improve number set time part group range common open whole local"
)


def written(subject: str, number: int, *, more: str = "", share: float = 0.4) -> Paper:
    """The paper of a subject with that number: the same each time; `more` stands in its title too."""
    chance = Random(f"{subject} {number}")  # noqa: S311 - nothing secret
    own, others = SUBJECTS[subject].split(), _ANYWHERE.split()
    title = " ".join(chance.sample(own, 3)).capitalize()
    abstract = " ".join(chance.choice(own if chance.random() < share else others) for _ in range(60))
    name = PaperId(f"doi:10.5555/{subject}.{number}")
    return Paper(name, f"{title} {more}".strip() + f", part {number}", f"{abstract.capitalize()}.")


def library(**names: str) -> list[Paper]:
    """Papers of every subject; of a few subjects, given with names, the few papers say the name."""
    return [
        written(subject, number, more=names.get(subject, ""))
        for subject in SUBJECTS
        for number in range(8 if subject in names else 50)
    ]
