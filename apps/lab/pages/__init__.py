"""The ten pages, from core/papers.py: the table behind the home page, the header and the routes. Importing it loads no torch."""

from __future__ import annotations

from dataclasses import dataclass

from core.engine.registry import declared
from core.papers import PAPERS


@dataclass(frozen=True)
class Page:
    """One paper as one plain question.

    route: its address and, with underscores, its folder here: page.py, lesson.json and, if it draws what no other does, desk.js.
    experiments: the names it runs; the first one is what its Run button starts.  built: False for a page that is planned.
    formerly: an older address that leads to it.
    """

    route: str
    name: str
    question: str
    card: str
    paper: str
    experiments: tuple[str, ...] = ()
    built: bool = False
    formerly: str = ""

    @property
    def module(self) -> str:
        return f"apps.lab.pages.{self.folder}.page"

    @property
    def folder(self) -> str:
        return self.route.replace("-", "_")

    def first_view(self, experiment: str) -> str:
        """Under which name the recorded run lies that fills this page, or the part of it that runs another experiment."""
        return self.route if experiment == self.experiments[0] else f"{self.route}-{experiment.rpartition('/')[2]}"


PAGES = tuple(Page(paper.route, paper.name, paper.question, paper.card, paper.number,
                   tuple(entry.name for entry in declared(paper) if entry.kind == "experiment"), paper.built,
                   paper.formerly) for paper in PAPERS)


def page_of(experiment: str) -> Page | None:
    """The built page that runs this experiment."""
    return next((page for page in PAGES if page.built and experiment in page.experiments), None)
