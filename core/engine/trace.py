"""Read and change what flows through a model while it runs.

    from core.engine.trace import Site, sites, trace

    with trace(model, capture=sites(model, "resid_post"), edit={Site(2, "mlp_out"): lambda x: 0 * x}) as acts:
        model(**inputs)
    acts[Site(3, "resid_post")]                            # float tensor (batch, tokens, width)

A site is a layer and a part of it, in the order in which a layer computes them:

    resid_pre     what enters the layer                     attn_out    what attention adds
    resid_mid     resid_pre + attn_out                      mlp_out     what the MLP adds
    resid_post    resid_mid + mlp_out, what leaves          attn_weights (batch, heads, queries, keys), read only

That is a block with its norms in front of its branches; `families.py` says what the parts mean in the other shapes.

**Captures** are the values that flow on, after all edits, so `resid_mid == resid_pre + attn_out` and
`resid_post == resid_mid + mlp_out` always hold. They are not copies: do not write into them. They keep their graph
when gradients are on. `attn_weights` needs a model loaded with `attention="eager"`. The model's own
`hidden_states[i + 1]` is `resid_post` of layer i, except that language models report the last one after the final norm.

**Edits** are functions `fn(x) -> new x` of the same shape and type; a second parameter without a default receives `offset`,
the number of tokens that earlier calls left in the KV cache: `x[:, t]` is token `offset + t` of the (padded) sequence.
Return a new tensor: the one given may be in use elsewhere. Editing `resid_mid` adds the difference to `attn_out`.

**Generation** calls the model once for the prompt and once per further token. `acts[site]` joins the calls along the
tokens, (batch, prompt + new - 1, width), as one forward over the whole text would give it (attention weights are
filled with zeros to the longest row of keys); `acts.calls(site)` lists them. Tokens that were tried and taken back
(assisted generation) are left out. Forwards that do not continue each other, or whose rows have changed places or left in
between (beam search), cannot be joined: use `calls`.

**stop_at=k** leaves the `with` block when layer k is done: layers above it cost nothing, and the rest of the block
does not run.

**Who sees an edit**: only the code inside this `with`, in this thread. The model may be shared: other threads and
other contexts compute undisturbed, at the same time. Start a thread that should take part with
`contextvars.copy_context().run`. Traces nest: both are active, edits of the outer one first. After the block, however
it ended, nothing of it is active anywhere. No hooks are used: the first trace gives the modules it touches a class
whose `forward` asks a ContextVar whether anybody is looking (about 0.3 microseconds; a hook costs four times that, because
it takes a module off torch's fast path). Gradient checkpointing is off in modules that have been traced.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from core.engine.errors import LabError
from core.engine.families import PARTS, Family, Part, Place, family_of
from core.engine.kv_cache import Move, watched
from core.engine.stopping import go_on

Edit = Callable[[Tensor], Tensor] | Callable[[Tensor, int], Tensor]


@dataclass(frozen=True)
class Site:
    """A place in a model: `layer` counts from 0, `part` is one of `families.PARTS`."""

    layer: int
    part: Part


def sites(model: nn.Module, *parts: Part) -> list[Site]:
    """These parts of every layer, layer by layer."""
    return [Site(layer, part) for layer in range(len(family_of(model).layers(model))) for part in parts]


@contextmanager
def trace(
    model: nn.Module,
    capture: Iterable[Site] = (),
    edit: Mapping[Site, Edit] | None = None,
    stop_at: int | None = None,
) -> Iterator[Activations]:
    """Capture and edit activations of `model` inside the block; the module's docstring is the manual.

    Raises LabError for an architecture without a row in `families.py`, a site that the model does not have, attention
    weights without an eager model, and an edit that does not give back a tensor of the same shape and type.
    """
    acts = Activations(capture)
    plan = _plan(model, acts, edit or {}, stop_at)
    _plans.set((*_plans.get(), plan))
    try:
        yield acts
    except _Stop as stop:
        if stop.plan is not plan:
            raise
    finally:
        plan.clear()  # a thread that outlives the block holds the same plan
        _plans.set(tuple(other for other in _plans.get() if other is not plan))  # blocks of two generators may overlap


class Activations(Mapping[Site, Tensor]):
    """What a trace captured: a mapping from the sites asked for to their activations."""

    def __init__(self, capture: Iterable[Site]) -> None:
        self._calls: dict[Site, list[_Seen]] = {site: [] for site in capture}

    def __getitem__(self, site: Site) -> Tensor:
        calls = self._calls[site]
        if len(calls) == 1 and not _taken_back(calls):
            return calls[0].value
        if not calls:
            raise LabError(f"Nothing has passed {site} yet.", "Call the model inside the block, then read.")
        values = _joined(site, calls)
        if site.part == "attn_weights":
            keys = max(value.shape[-1] for value in values)
            values = [nn.functional.pad(value, (0, keys - value.shape[-1])) for value in values]
        return torch.cat(values, dim=-2)

    def __contains__(self, site: object) -> bool:
        return site in self._calls

    def calls(self, site: Site) -> list[Tensor]:
        """One tensor per forward, in order.

        In text (batch, tokens of that forward, width); attention weights (batch, heads, tokens, keys).
        """
        return [seen.value for seen in self._calls[site]]

    def __iter__(self) -> Iterator[Site]:
        return iter(self._calls)

    def __len__(self) -> int:
        return len(self._calls)


class _Seen(NamedTuple):
    """One capture; `moves` is the list in which its KV cache notes what happens to it, `before` how many there were then."""

    offset: int
    value: Tensor
    moves: list[Move]
    before: int


def _taken_back(calls: list[_Seen]) -> bool:
    return any(name == "crop" for name, _ in calls[-1].moves[calls[0].before:])


def _joined(site: Site, calls: list[_Seen]) -> list[Tensor]:
    """What each forward added, cut where tokens were taken back, so that together they are one forward over the text that stayed."""
    start = position = calls[0].offset
    kept: list[Tensor] = []
    for number, seen in enumerate(calls):
        end = calls[number + 1].before if number + 1 < len(calls) else len(seen.moves)
        moves = seen.moves[seen.before:end]
        if any(name == "reorder_cache" for name, _ in moves) or (number + 1 < len(calls) and any(name != "crop" for name, _ in moves)):
            raise LabError(f"The rows of {site} changed places between its {len(calls)} forwards, as in beam search.",
                           "Use one forward over the returned text, or acts.calls(site), where rows stand as they were.")
        if seen.offset != position:
            raise LabError(f"{site} was passed by {len(calls)} forwards that do not continue each other.",
                           "Use acts.calls(site), or one trace per forward.")
        kept.append(seen.value)
        position += seen.value.shape[-2]
        for _, tokens in moves:
            position = max(start, position - tokens)
            while kept and (extra := sum(value.shape[-2] for value in kept) - (position - start)) > 0:
                last = kept.pop()
                if extra < last.shape[-2]:
                    kept.append(last[..., :last.shape[-2] - extra, :])
    if site.part == "attn_weights":
        kept = [value[..., :position] for value in kept]
    return kept or [calls[0].value[..., :0, :]]


# ---- the plan of one trace: what to do at which module ----


@dataclass(slots=True)
class _Stage:
    layer: int
    is_layer: bool
    input_edits: list[Callable[[Tensor, int], Tensor]] = field(default_factory=list)
    input_captures: list[list[_Seen]] = field(default_factory=list)
    output_edits: list[Callable[[Tensor, int], Tensor]] = field(default_factory=list)
    output_captures: list[tuple[Place, float, list[_Seen]]] = field(default_factory=list)
    written: bool = False
    stop: bool = False


_Plan = dict[nn.Module, _Stage]


class _Call(NamedTuple):
    resid_pre: Tensor
    offset: int
    moves: list[Move]


class _Stop(BaseException):  # BaseException: no `except Exception` between the layer and the block may eat it
    def __init__(self, plan: _Plan) -> None:
        self.plan = plan


_plans: ContextVar[tuple[_Plan, ...]] = ContextVar("glassbox_traces", default=())
_call: ContextVar[_Call] = ContextVar("glassbox_layer_call")


def _plan(model: nn.Module, acts: Activations, edit: Mapping[Site, Edit], stop_at: int | None) -> _Plan:
    family = family_of(model)
    layers = family.layers(model)
    plan: _Plan = {}

    def stage(index: int, module: nn.Module) -> _Stage:
        if module not in plan:
            make_traceable(module)
            plan[module] = _Stage(index, module is layers[index])
        return plan[module]

    for site in (*acts, *edit):
        _check(site, family, layers, stop_at)
        stage(site.layer, layers[site.layer])  # knows the offset and resid_pre that the parts inside need
    for site, calls in acts._calls.items():
        place, here = family.place(site.part), stage(site.layer, family.module(layers[site.layer], site.part))
        if place.side == "input":
            here.input_captures.append(calls)
        else:
            here.output_captures.append((place, family.factor(layers[site.layer], site.part), calls))
            here.written |= place.written
    for site in sorted(edit, key=lambda site: PARTS.index(site.part)):  # attn_out before resid_mid
        if site.part == "attn_weights":
            raise LabError("Attention weights can be captured but not edited.", "Edit attn_out instead.")
        fn, part = _checked(site, edit[site]), site.part
        if part == "resid_mid" and family.shape == "pre-norm":
            fn, part = _through_attention(fn), "attn_out"
        place, here = family.place(part), stage(site.layer, family.module(layers[site.layer], part))
        (here.input_edits if place.side == "input" else here.output_edits).append(_scaled(fn, family.factor(layers[site.layer], part)))
        here.written |= place.written
    if stop_at is not None:
        if not 0 <= stop_at < len(layers):
            raise LabError(f"There is no layer {stop_at} to stop at.", f"Layers are 0 to {len(layers) - 1}.")
        stage(stop_at, layers[stop_at]).stop = True
    return plan


def _check(site: Site, family: Family, layers: list[nn.Module], stop_at: int | None) -> None:
    if site.part not in PARTS:
        raise LabError(f"There is no part called '{site.part}' in a layer.", f"Parts are: {', '.join(PARTS)}.")
    if not 0 <= site.layer < len(layers):
        raise LabError(f"This model has no layer {site.layer}.", f"Layers are 0 to {len(layers) - 1}.")
    if stop_at is not None and site.layer > stop_at:
        raise LabError(f"{site} lies behind the stop.", f"Stop at layer {site.layer} or later.")
    family.place(site.part)
    if site.part == "attn_weights":
        implementation = family.attention(layers[site.layer])
        if implementation != "eager":
            raise LabError(
                f"Attention weights do not exist under '{implementation}' attention.",
                'Load the model with attention="eager"; never switch a shared model.',
            )


def _scaled(fn: Callable[[Tensor, int], Tensor], factor: float) -> Callable[[Tensor, int], Tensor]:
    """The edit sees what the layer adds, which is `factor` times what the module gives."""
    if factor == 1.0:
        return fn
    return lambda value, offset: fn(value * factor, offset) / factor


def _checked(site: Site, fn: Edit) -> Callable[[Tensor, int], Tensor]:
    takes_offset = _required_parameters(fn) >= 2

    def edit(value: Tensor, offset: int) -> Tensor:
        new = fn(value, offset) if takes_offset else fn(value)
        if not isinstance(new, Tensor) or new.shape != value.shape or new.dtype != value.dtype:
            got = f"{new.dtype} of shape {tuple(new.shape)}" if isinstance(new, Tensor) else type(new).__name__
            wanted = f"{value.dtype} of shape {tuple(value.shape)}"
            raise LabError(f"The edit of {site} gave back {got}.", f"Return a tensor {wanted}.")
        return new

    return edit


def _required_parameters(fn: Edit) -> int:
    try:
        parameters = inspect.signature(fn).parameters.values()
    except (TypeError, ValueError):  # built-in functions such as torch.zeros_like
        return 1
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


def _through_attention(fn: Callable[[Tensor, int], Tensor]) -> Callable[[Tensor, int], Tensor]:
    """The residual stream branches off before the second norm, so its middle is moved by what attention adds."""

    def edit(attn_out: Tensor, offset: int) -> Tensor:
        resid_mid = _call.get().resid_pre + attn_out
        return attn_out + (fn(resid_mid, offset) - resid_mid)

    return edit


# ---- the permanent dispatcher ----

_install = threading.Lock()
_traceable: dict[type, type] = {}


def make_traceable(module: nn.Module) -> None:
    """Give `module` a subclass of its own class whose forward dispatches; once, whoever comes first.

    A class, because it survives `deepcopy` (a patched instance would go on calling the original's weights), makes no
    reference cycle, and is called inside the module's hooks, so transformers' own recorders see edited values.
    """
    with _install:
        kind = type(module)
        if kind in _traceable.values():
            return
        if "forward" in vars(module):
            raise LabError(f"Another tool has replaced the forward of a {kind.__name__}.", "Load the model again.")
        if kind not in _traceable:
            names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
            _traceable[kind] = type(kind.__name__, (kind,), names)
            _traceable[kind].forward = _dispatching(kind.forward)
        module.__class__ = _traceable[kind]


def _dispatching(forward: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(forward)
    def dispatch(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        plans = _plans.get()
        if not plans:
            return forward(self, *args, **kwargs)
        stages = [(plan, stage) for plan in plans if (stage := plan.get(self)) is not None]
        if not stages:
            return forward(self, *args, **kwargs)
        return _staged(forward, self, stages, args, kwargs)

    return dispatch


def _staged(forward: Callable[..., Any], module: nn.Module, stages: list[tuple[_Plan, _Stage]], args: tuple, kwargs: dict) -> Any:
    first = stages[0][1]
    given = value = args[0] if args else kwargs["hidden_states"]
    offset, moves = _cache_state(first.layer, args, kwargs) if first.is_layer else _call.get()[1:]
    for _, stage in stages:
        for fn in stage.input_edits:
            value = fn(value, offset)
    for _, stage in stages:
        for calls in stage.input_captures:
            calls.append(_Seen(offset, _rows(value), moves, len(moves)))
    if value is not given:
        args, kwargs = ((value, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": value})

    if first.is_layer:
        go_on()  # a long text takes seconds to go through all layers
        token = _call.set(_Call(value, offset, moves))
        try:
            output = forward(module, *args, **kwargs)
        finally:
            _call.reset(token)
    else:
        output = forward(module, *args, **kwargs)

    for _, stage in stages:
        for fn in stage.output_edits:
            plain = output[0] if isinstance(output, tuple) else output
            edited = fn(_rows(plain), offset).reshape(plain.shape)
            output = (edited, *output[1:]) if isinstance(output, tuple) else edited
    for _, stage in stages:
        for place, factor, calls in stage.output_captures:
            value = _rows(output[place.index] if isinstance(output, tuple) else output)
            calls.append(_Seen(offset, value if factor == 1.0 else value * factor, moves, len(moves)))
    if any(stage.written for _, stage in stages):
        output = output.clone()
    for plan, stage in stages:
        if stage.stop:
            raise _Stop(plan)
    return output


def _rows(value: Tensor) -> Tensor:
    """OPT computes its MLP on (batch * tokens, width): the same numbers as (batch, tokens, width)."""
    call = _call.get(None)
    if call is None or value.dim() != 2 or call.resid_pre.dim() != 3:
        return value
    return value.reshape(*call.resid_pre.shape[:2], value.shape[-1])


def _cache_state(layer: int, args: tuple, kwargs: dict) -> tuple[int, list[Move]]:
    """Tokens that earlier calls left in this layer's KV cache, and the list of what is done to it (see `kv_cache.watched`).

    GPT-2 passes the cache by position, and its name depends on the architecture and the version of transformers.
    """
    for cache in (kwargs.get("cache"), kwargs.get("past_key_values"), kwargs.get("layer_past"), *args[1:2]):
        if hasattr(cache, "get_seq_length"):
            return int(cache.get_seq_length(layer)), watched(cache)
    return 0, []
