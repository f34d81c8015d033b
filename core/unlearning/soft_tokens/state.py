"""What is known so far in one run of the bench."""

from __future__ import annotations

import torch

from core.engine.lab import Lab
from core.engine.steps import Pacer
from core.unlearning.data import Record, World
from core.unlearning.soft_tokens.attack import AttackSettings, Attempt
from core.unlearning.soft_tokens.cells import Plan, subjects_for
from core.unlearning.soft_tokens.models import Subject
from core.unlearning.soft_tokens.results import Outcome
from core.unlearning.soft_tokens.spec import SoftTokensConfig, Who
from core.unlearning.soft_tokens.targets import first_token, seen_tokens

PARTS = {"bench": 6, "sentence": 0, "string": 3, "alone": 3}  # batches of `steps` steps


class Bench:
    """One run: its settings, its models by role, and what has come out so far."""

    def __init__(self, config: SoftTokensConfig, lab: Lab, world: World) -> None:
        self.config, self.lab, self.world = config, lab, world
        self.settings = AttackSettings(config.steps, config.space, config.learning_rate, config.clear_gradients, config.minutes)
        self.plan = Plan(config.targets, config.mode, config.position, config.chat_template, config.random_kind == "characters",
                         config.random_length, self.seen)
        self.subjects: dict[Who, Subject] = {}
        self.outcomes: dict[str, list[Outcome]] = {}
        self.own: dict[Who, Outcome] = {}
        self.attempts: list[Attempt] = []
        self.moved: dict[str, list[float]] = {}
        self.ordinary: dict[str, list[float]] = {}
        self.asked: dict[Who, float] = {}
        self.left_out: list[Who] = []
        self.longest: dict[int, int] = {}
        self.pacer = Pacer(PARTS[config.what] * (config.steps + 1) + (config.forget_steps if config.what in ("bench", "sentence") else 0)
                           + 4 * config.tells * (config.sentence_steps + 1))
        self._seen: dict[int, list[int]] = {}

    def seen(self, tokenizer) -> list[int]:
        """Tokens of the world's questions and answers, the most frequent first."""
        if id(tokenizer) not in self._seen:
            self._seen[id(tokenizer)] = seen_tokens(tokenizer, (f" {text}" for r in self.world.records for text in (r.question, r.answer)))
        return self._seen[id(tokenizer)]

    def start(self, who: Who, row: int, k: int) -> list[int]:
        """The token ids that soft tokens begin as."""
        tokenizer = self.subjects[who].tokenizer
        seen = self.seen(tokenizer)
        if self.config.start == "word":
            return [first_token(tokenizer, seen)] * k
        rng = self.lab.rng(f"start {who} {row}")
        return [seen[i] for i in torch.randint(len(seen), (k,), generator=rng).tolist()]

    def forgotten(self) -> list[Record]:
        """The records that are to be forgotten."""
        return self.world.forget(subjects_for(self.world, self.config.targets))
