"""Probes of the page: the gamma slider, the hovered token, the changed digit. One reading serves them all.

    reasoning/energy     figures path, profile, heat, chain, scoreboard of one output, under any variant and gamma
    reasoning/corrupt    the same output with one result changed: energy, certainty and every token before and after

The model runs once per text; moving the slider afterwards only does arithmetic on what was kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from core.engine.answers import Answer
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.engine.lens import read_layers
from core.engine.models import LoadedModel
from core.engine.thinking import Thinking, can_switch
from core.reasoning import figures, shown
from core.reasoning.calibration import Calibration, mean_difference, plane
from core.reasoning.data import VALUES, Check, Problem, corrupt, kind_of
from core.reasoning.energy import LayerPath, energy, path_of, turn_degrees
from core.reasoning.generations import longest, swap_trace, texts
from core.reasoning.metrics import score_all
from core.reasoning.prompts import Form
from core.reasoning.reading import Reader
from core.reasoning.readings import Reading
from core.reasoning.spec import COE, ENERGY_SCORES, GAMMA, CorruptConfig, EnergyConfig, Kind, ReadingConfig

TOP = 5


@dataclass(frozen=True)
class Setting:
    """A loaded reasoner with its yardstick for one kind of problem."""

    loaded: LoadedModel
    form: Form
    calibration: Calibration | None

    @classmethod
    def of(cls, lab: Lab, ref: str, kind: Kind, thinking: Thinking = "on", *, untagged: bool = False) -> Setting:
        """`untagged`: also a model that marks no thinking. Raises LabError for a model that is not a reasoner, and for a wish that its
        template cannot be asked for."""
        loaded = lab.load(ref)
        source, _, name = ref.partition("/")
        calibration = Calibration.read(lab.folder(name), loaded.fingerprint, kind) if source == "embedded" else None
        form = Form.of(loaded.tokenizer, loaded.model, thinking, untagged=untagged)
        if thinking != "on" and can_switch(loaded.tokenizer):  # asked otherwise, it is another model as far as its answers go
            loaded = replace(loaded, fingerprint=f"{loaded.fingerprint} thinks {thinking}")
        return cls(loaded, form, calibration)

    @property
    def scale(self) -> float:
        return self.calibration.scale if self.calibration else 1.0

    def reader(self, **options: Any) -> Reader:
        """A reader whose temperature-scaled score uses the temperature fitted for this model, if one was."""
        if self.calibration:
            options = {"temperature": self.calibration.temperature, "project": self.calibration.project, **options}
        # Without a yardstick the plane is the finished path's own: what is drawn in it must be kept whole until then.
        return Reader(self.loaded.model, self.form, **{"project": torch.clone, **options})


def scoring(setting: Setting, config: ReadingConfig) -> dict[str, Any]:
    """How `metrics.score_all` is to compute under a config."""
    return {"gamma": config.gamma, "scale": setting.scale, "last": config.last_state, "embedding": config.embedding,
            "span": "tagged" if config.tags else "think", "coe": config.coe}


def usual_states(config: ReadingConfig) -> bool:
    """Whether the states are those that the yardstick was measured on, and that parts of a chain are noted with."""
    return (config.last_state, config.embedding, config.tags) == ("raw", True, False)


def yardstick(setting: Setting, config: ReadingConfig) -> Calibration | None:
    """What may be subtracted from a whole reasoning; None where nothing comparable was measured."""
    return setting.calibration if usual_states(config) else None


def standing(setting: Setting, scores: dict[str, float], config: ReadingConfig) -> dict[str, float]:
    """Each score as a percentile of the calibration outputs; energies only under the settings that those were read with."""
    if setting.calibration is None:
        return {}
    as_usual = config.gamma == GAMMA and usual_states(config)
    moved = (*(() if as_usual else ENERGY_SCORES), *(COE if config.coe == "published" else ()))
    return {name: setting.calibration.percentile(name, value) for name, value in scores.items() if name not in moved}


def thinking_path(reading: Reading, setting: Setting, config: ReadingConfig) -> LayerPath:
    """The path of the whole reasoning under a config. Raises LabError when there was none."""
    path = reading.path("tagged" if config.tags else "think", scale=setting.scale, last=config.last_state, embedding=config.embedding)
    if path is None:
        raise LabError("The model answered without any reasoning.", "Try another problem, or switch its thinking on.")
    return path


def read_once(lab: Lab, setting: Setting, problem: str, output: str = "") -> tuple[Reading, Problem | None]:
    """The reading of an output, from memory when the same text was read before."""
    key = ("reasoning", setting.loaded.fingerprint, problem, output)
    if (known := lab.cache.get(key)) is None:
        ids, truth = setting.form.ask(problem)
        ids = ids.to(setting.loaded.model.device)
        reader = setting.reader()
        if output:
            rest = setting.form.tokenizer(output, add_special_tokens=False, return_tensors="pt").input_ids.to(ids.device)
            reading = reader.read(torch.cat([ids, rest], dim=1), ids.shape[1]).readings()[0]
        else:
            for _ in reader.generate(ids, longest(truth, setting.form) if truth and setting.form.chains else 256):
                pass
            reading = reader.readings()[0]
        known = lab.cache[key] = (reading, truth)
    return known


@dataclass(frozen=True)
class EnergyAnswer(Answer):
    """Everything about one output. `top`: per layer from the embedding up, the likeliest next tokens after the chosen one
    with their probabilities, empty when no token is chosen. `label`: sound | lucky | wrong | unknown. Figures path, profile, heat, chain,
    scoreboard and, of a chosen token, lens; table words (the strip)."""

    energy: float
    tokens: list[str]
    roles: list[str]
    label: str
    truncated: bool
    kinetic: list[float]
    curvature_energy: list[float]
    turns: list[float]
    scores: dict[str, float]
    percentiles: dict[str, float]
    steps: list[dict[str, Any]]
    token_energy: float | None = None
    top: list[list[list[Any]]] = field(default_factory=list)


def energy_of(config: EnergyConfig, lab: Lab) -> EnergyAnswer:
    """Scores and figures of one output; with `token`, that token's own path and every layer's guess at the next one."""
    setting = Setting.of(lab, config.model, kind_of(config.problem), config.thinking, untagged=True)
    reading, problem = read_once(lab, setting, config.problem, config.output)
    if config.token >= len(reading.ids):
        raise LabError(f"There is no token {config.token}.", f"This text has tokens 0 to {len(reading.ids) - 1}.")
    path = thinking_path(reading, setting, config)
    check = setting.form.judge(problem, *texts(reading, setting.form))
    scores = score_all(reading, **scoring(setting, config))
    percentiles = standing(setting, scores, config)
    own, top = None, []
    if config.token >= 0:
        own = token_path(reading, config)
        top = next_tokens(setting, reading, config.token)
    words, label = setting.form.words(reading.ids), check.label if check else "unknown"
    whole = float(energy(path, config.variant, config.gamma))
    rows, of_token = step_rows(reading, check, config), _token_energy(own, config)
    drawn = panels(setting, reading, check, config, path, own, percentiles)
    if top:
        drawn["lens"] = figures.next_words(top, words[config.token + 1] if config.token + 1 < len(words) else None)
    return EnergyAnswer(
        whole, words, reading.roles, label, reading.truncated, path.kinetic.tolist(), path.curvature_energy.tolist(),
        turn_degrees(path).tolist(), scores, percentiles, rows, of_token, top, says=shown.label(label, reading.truncated),
        numbers=shown.measures(whole, of_token, percentiles), figures=drawn,
        tables={"words": shown.strip(words, reading.roles, reading.stats.max_prob.tolist(), wrong_span(reading, check)),
                "steps": shown.steps([row for row in rows if row["text"]])})


def token_path(reading: Reading, config: EnergyConfig) -> LayerPath | None:
    """The chosen token's own way through the layers (its energy is not a part of the whole's: means do not add up)."""
    start = 0 if config.embedding else 1
    kinetic, cosine = reading.kinetic[config.token][start:], reading.cosine[config.token][start:]
    return None if kinetic.isnan().any() else LayerPath(kinetic, cosine, torch.tensor(float("nan")))


def _token_energy(path: LayerPath | None, config: ReadingConfig) -> float | None:
    if path is None or config.variant in ("R1_additive_norm", "R5_entropy_potential"):
        return None  # these need more than a token's kinetic energy and turns
    return float(energy(path, config.variant, config.gamma))


def next_tokens(setting: Setting, reading: Reading, token: int) -> list[list[list[Any]]]:
    """What every layer would say next after this token (logit lens): [[text, probability], ...] per layer, embedding first."""
    model = setting.loaded.model
    ids = torch.tensor([reading.ids[:token + 1]], device=model.device)
    depths = read_layers(model, ids, positions=[token])[:, 0].exp()
    best = depths.topk(min(TOP, depths.shape[-1]))
    return [[[setting.form.words([number])[0], round(chance, 4)] for number, chance in zip(numbers, chances, strict=True)]
            for numbers, chances in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def step_rows(reading: Reading, check: Check | None, config: ReadingConfig) -> list[dict[str, Any]]:
    """One row per step of the thinking: first token, last + 1, energy, lowest certainty, and what the checker says."""
    rows = []
    for i, (start, end, path) in enumerate(reading.steps):
        judged = check.steps[i] if check and i < len(check.steps) else None
        at = [j - reading.prompt_tokens for j in range(start, end)]
        rows.append({"start": start, "end": end, "energy": step_energy(path, config),
                     "certainty": float(reading.stats.max_prob[at].min()), "text": judged.text if judged else "",
                     "right": judged.right if judged else None, "reason": judged.reason if judged else ""})
    return rows


def step_energy(path: LayerPath, config: ReadingConfig) -> float:
    """Energy of a part of the chain; where the variant needs the logit lens of that part, its momentum part alone."""
    variant = "R0_kinetic" if config.variant == "R5_entropy_potential" else config.variant
    return float(energy(path, variant, config.gamma))


def shortcut(config: ReadingConfig) -> str:
    """In brackets, how the energy of a part of the chain differs from that of the whole; empty where it does not."""
    ways = [("momentum part alone", config.variant == "R5_entropy_potential"), ("usual states", not usual_states(config))]
    said = ", ".join(words for words, applies in ways if applies)
    return f" ({said})" if said else ""


def panels(setting: Setting, reading: Reading, check: Check | None, config: EnergyConfig, path: LayerPath, own: LayerPath | None,
           percentiles: dict[str, float]) -> dict[str, Any]:
    """Panels A to E as figures by name."""
    words = setting.form.words(reading.ids)
    thinking = reading.span("think")
    wrong = wrong_span(reading, check)
    usual = yardstick(setting, config) if config.difference and own is None else None
    grid = reading.kinetic if config.heat == "energy" else 1 - reading.cosine
    made = {
        "path": path_figure(setting, reading.means["think"], tips=reading.ends, words=[words[i] for i in thinking], at=thinking,
                            chosen=thinking.index(config.token) if config.token in thinking else None),
        "profile": profile_figure(own or path, usual, config, "energy of this token" if own else "energy"),
        "heat": figures.heat(grid.tolist(), words, reading.roles, what="energy" if config.heat == "energy" else "turn (0 to 2)",
                             wrong=wrong),
        "chain": chain_figure(reading, [words[i] for i in thinking], config, wrong, path),
    }
    return made | ({"scoreboard": figures.scoreboard(percentiles)} if percentiles else {})


def wrong_span(reading: Reading, check: Check | None) -> tuple[int, int] | None:
    """Tokens of the first wrong step, if it was written."""
    if check is None or check.first_error is None or check.first_error >= len(reading.steps):
        return None
    return reading.steps[check.first_error][:2]


def path_figure(setting: Setting, states: torch.Tensor, *, tips: torch.Tensor | None = None, words: list[str] | None = None,
                at: Sequence[int] = (), chosen: int | None = None) -> dict[str, Any]:
    """Panel A for mean states (layers + 1, width), in the calibration's plane or, without one, in the path's own.

    tips: the ends of the prefixes as `Setting.reader` keeps them, in that plane already or as states.
    """
    path = path_of(states)
    if setting.calibration:
        places, variance, groups = setting.calibration.project(states), setting.calibration.variance, setting.calibration.groups
    else:
        centre, axes, variance = plane(states.unsqueeze(0))
        places, groups = (states - centre) @ axes.T, None
        tips = None if tips is None else (tips - centre) @ axes.T
    return figures.path(places.tolist(), path.kinetic.tolist(), turn_degrees(path).tolist(), variance, groups,
                        [] if tips is None else tips.tolist(), words or [], at, chosen)


def profile_figure(path: LayerPath, usual: Calibration | None, config: ReadingConfig, what: str = "energy") -> dict[str, Any]:
    """Panel B of a path, minus the usual where that is given."""
    kinetic, bent = mean_difference(path, usual, config.gamma)
    return figures.profile(kinetic.tolist(), bent.tolist(), first=1 if config.embedding else 2,
                           what=f"{what} minus the usual" if usual else what)


def chain_figure(reading: Reading, words: list[str], config: ReadingConfig, wrong: tuple[int, int] | None,
                 path: LayerPath) -> dict[str, Any]:
    """Panel D of a finished reading, whose `path` gives the energy of the whole where its parts are computed another way."""
    thinking = reading.span("think")
    first = thinking[0]
    variant = "R0_kinetic" if config.variant == "R5_entropy_potential" else config.variant
    at = [i - reading.prompt_tokens for i in thinking]
    energies = energy(reading.prefixes, variant, config.gamma).tolist()
    steps = [(end - 1 - first, step_energy(path, config)) for _, end, path in reading.steps]
    note = shortcut(config)
    return figures.chain(words, energies, reading.stats.max_prob[at].tolist(), reading.stats.entropy[at].tolist(), steps,
                         (wrong[0] - first, wrong[1] - first) if wrong else None, note=note,
                         whole=float(energy(path, config.variant, config.gamma)) if note else None, tokens=thinking)


@dataclass(frozen=True)
class CorruptAnswer(Answer):
    """One output before and after a result in it was changed; differences are after minus before. Figure before_after, table noticed,
    texts written and changed."""

    before: str
    after: str
    energy_before: float
    energy_after: float
    scores_before: dict[str, float]
    scores_after: dict[str, float]
    label_before: str
    steps_after: list[dict[str, Any]]


def corrupt_one(config: CorruptConfig, lab: Lab) -> CorruptAnswer:
    """Changes the result of one step in the model's own greedy output and rereads the whole; works with bare chains only."""
    setting = Setting.of(lab, config.model, kind_of(config.problem), config.thinking)
    if not setting.form.chains:
        raise LabError("Digits can be changed in the chains of the little reasoner only.", "Choose an embedded reasoner.")
    reading, problem = read_once(lab, setting, config.problem)
    if config.value not in VALUES[problem.kind]:
        raise LabError(f"'{config.value}' cannot stand in this chain.", f"Values are: {' '.join(VALUES[problem.kind])}.")
    trace_text, answer = texts(reading, setting.form)
    changed = corrupt(problem, trace_text, config.step - 1, config.value)
    ids = swap_trace(reading.ids, reading.prompt_tokens, trace_text, changed, setting.form)
    # Both are read the same way: what was noted while the text was written differs from that in the last digits.
    reading, other = (_reread(lab, setting, text, reading.prompt_tokens) for text in (reading.ids, ids))
    path = thinking_path(reading, setting, config)
    place = next(i for i, (a, b) in enumerate(zip(reading.ids, ids, strict=True)) if a != b) - reading.prompt_tokens
    check = setting.form.judge(problem, changed, answer)
    words = setting.form.words(ids[reading.prompt_tokens:])
    known = min(len(reading.stats.log_prob), len(other.stats.log_prob))
    figure = figures.before_after(words[:known], reading.stats.log_prob[:known].exp().tolist(),
                                  other.stats.log_prob[:known].exp().tolist(), place)
    options = scoring(setting, config)
    energies = tuple(float(energy(way, config.variant, config.gamma)) for way in (path, thinking_path(other, setting, config)))
    before, after = score_all(reading, **options), score_all(other, **options)
    return CorruptAnswer(
        trace_text, changed, *energies, before, after, setting.form.judge(problem, trace_text, answer).label,
        step_rows(other, check, config), figures={"before_after": figure}, tables={"noticed": shown.noticed(energies, before, after)},
        texts={"written": trace_text, "changed": changed})


def _reread(lab: Lab, setting: Setting, ids: list[int], prompt_tokens: int) -> Reading:
    """A given text, read at one go."""
    key = ("reasoning again", setting.loaded.fingerprint, tuple(ids), prompt_tokens)
    if (known := lab.cache.get(key)) is None:
        text = torch.tensor([ids], device=setting.loaded.model.device)
        known = lab.cache[key] = setting.reader().read(text, prompt_tokens).readings()[0]
    return known
