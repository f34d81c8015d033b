"""What it costs to look inside a model: `python -m benchmarks.tracing [--repeats N]`.

One forward of a Llama of the size of the embedded one with 12 captures, against the bare forward, hooks written by
hand, nnsight and transformer-lens (both optional: `pip install glassbox-lab[bench]`); what a model pays that was traced
once and is not any more; and what stopping at a layer saves. All in one process, one thread, float32, no gradients.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.timing import ratio, summary, table, versions, wall_and_cpu, write
from core.engine.settings import ASSETS
from core.engine.trace import Site, make_traceable, sites, trace

INPUTS = {"1 x 16 tokens": (1, 16), "8 x 32 tokens": (8, 32)}
CAPTURES = 12
Names = list[tuple[int, str]]
Candidate = Callable[[], dict[tuple[int, str], Tensor] | None]


def the_model() -> tuple[Path, str]:
    """The folder of the embedded authors model, or of random weights of the same size; and which of the two."""
    folder = ASSETS / "models" / "worlds"
    if (folder / "config.json").is_file():
        return folder, "assets/models/authors"
    folder = Path(tempfile.mkdtemp(prefix="glassbox-benchmark-"))
    torch.manual_seed(0)
    sizes = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 5, "num_attention_heads": 6, "vocab_size": 1024}
    LlamaForCausalLM(LlamaConfig(**sizes, max_position_embeddings=256, bos_token_id=1, eos_token_id=2)).save_pretrained(folder)
    words = {name: number for number, name in enumerate(["<pad>", "<s>", "</s>", "<unk>"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    return folder, "random weights of the same size (the embedded model was not there)"


def wanted(layers: int) -> Names:
    """12 places spread over the layers: what leaves each layer, then what attention and then what the MLP adds."""
    spread = [(layer, part) for part in ("resid_post", "attn_out", "mlp_out") for layer in range(layers)]
    return spread[:CAPTURES]


# ---- the ways to look ----


def traced(model: LlamaForCausalLM, ids: Tensor, names: Names) -> Candidate:
    chosen = [Site(layer, part) for layer, part in names]

    def call() -> dict[tuple[int, str], Tensor]:
        with torch.no_grad(), trace(model, capture=chosen) as acts:
            model(input_ids=ids)
        return {(site.layer, site.part): acts[site] for site in chosen}

    return call


def by_hand(model: LlamaForCausalLM, ids: Tensor, names: Names) -> Candidate:
    """Hooks set before the forward and taken off after it, as a notebook does."""
    inner = {"resid_post": lambda layer: layer, "attn_out": lambda layer: layer.self_attn, "mlp_out": lambda layer: layer.mlp}

    def call() -> dict[tuple[int, str], Tensor]:
        seen: dict[tuple[int, str], Tensor] = {}

        def keep(name: tuple[int, str]) -> Callable[..., None]:
            def hook(_module: Any, _args: Any, output: Any) -> None:
                seen[name] = output[0] if isinstance(output, tuple) else output

            return hook

        handles = [inner[part](model.model.layers[layer]).register_forward_hook(keep((layer, part))) for layer, part in names]
        try:
            with torch.no_grad():
                model(input_ids=ids)
        finally:
            for handle in handles:
                handle.remove()
        return seen

    return call


def with_nnsight(model: LlamaForCausalLM, ids: Tensor, names: Names) -> Candidate:
    import nnsight

    watched = nnsight.NNsight(model)
    by_layer = [(layer, {part for where, part in names if where == layer}) for layer in sorted({layer for layer, _ in names})]

    def call() -> dict[tuple[int, str], Tensor]:
        with torch.no_grad(), watched.trace(ids):
            seen = {}.save()
            for layer, parts in by_layer:
                block = watched.model.layers[layer]
                if "attn_out" in parts:
                    seen[layer, "attn_out"] = block.self_attn.output[0]
                if "mlp_out" in parts:
                    seen[layer, "mlp_out"] = block.mlp.output
                seen[layer, "resid_post"] = block.output
        return seen

    return call


def with_transformer_lens(folder: Path, ids: Tensor, names: Names) -> tuple[Candidate, Candidate]:
    """The bridge's `run_with_cache`, and its own bare forward."""
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(str(folder), device="cpu", dtype=torch.float32)
    hooks = {f"blocks.{layer}.hook_{part}": (layer, part) for layer, part in names}

    def call() -> dict[tuple[int, str], Tensor]:
        with torch.no_grad():
            _, cache = bridge.run_with_cache(ids, names_filter=list(hooks))
        return {name: cache[hook] for hook, name in hooks.items()}

    def bare() -> None:
        with torch.no_grad():
            bridge(ids)

    return call, bare


def bare(model: LlamaForCausalLM, ids: Tensor) -> Candidate:
    def call() -> None:
        with torch.no_grad():
            model(input_ids=ids)

    return call


# ---- the three measurements ----


def loaded(folder: Path, attention: str) -> LlamaForCausalLM:
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention, local_files_only=True)
    return model.eval().requires_grad_(False)


def candidates(folder: Path, attention: str, ids: Tensor, missing: dict[str, str]) -> dict[str, Candidate]:
    """Every way on a model of its own; each is checked to see the same 12 tensors before it is timed."""
    model = loaded(folder, attention)
    names = wanted(model.config.num_hidden_layers)
    ways: dict[str, Candidate] = {"bare": bare(copy.deepcopy(model), ids), "by hand": by_hand(copy.deepcopy(model), ids, names)}
    ways["trace"] = traced(copy.deepcopy(model), ids, names)
    try:
        ways["nnsight"] = with_nnsight(copy.deepcopy(model), ids, names)
        ways["nnsight"]()
    except Exception as error:  # a peer that is absent or does not go with these versions is reported, not hidden
        ways.pop("nnsight", None)
        missing["nnsight"] = f"{type(error).__name__}: {error}"
    if attention == "eager":  # the bridge computes attention itself, step by step, and offers no other
        try:
            ways["transformer-lens"], ways["transformer-lens, bare"] = with_transformer_lens(folder, ids, names)
            ways["transformer-lens"]()
        except Exception as error:
            ways.pop("transformer-lens", None), ways.pop("transformer-lens, bare", None)
            missing["transformer-lens"] = f"{type(error).__name__}: {error}"
    expected = ways["by hand"]()
    for name, way in ways.items():
        seen = way()
        if seen is not None and not all(torch.allclose(seen[key], expected[key], atol=1e-4) for key in names):
            raise AssertionError(f"{name} does not see what hooks see")
    return ways


def capture_rows(folder: Path, repeats: int, missing: dict[str, str]) -> list[dict[str, Any]]:
    rows = []
    for label, shape in INPUTS.items():
        ids = torch.randint(3, 500, shape, generator=torch.Generator().manual_seed(0))
        for attention in ("sdpa", "eager"):
            ways = candidates(folder, attention, ids, missing)
            wall, cpu = wall_and_cpu(ways, repeats * max(1, 64 // ids.numel()))
            for name in ways:
                reference = "transformer-lens, bare" if name == "transformer-lens" else "bare"
                rows.append({"what": "12 captures" if not name.endswith("bare") else "forward", "input": label, "attention": attention,
                             "way": name, **_both(wall[name], cpu[name]), "times bare": ratio(wall[name], wall["bare"]),
                             "times bare (cpu)": ratio(cpu[name], cpu["bare"]),
                             "over own bare ms (cpu)": 1e3 * _over(cpu[name], cpu[reference])})
    return rows


def _both(wall: list[float], cpu: list[float]) -> dict[str, float | int]:
    return summary(wall) | {"median_cpu_ms": 1e3 * statistics.median(cpu)}


def _over(seconds: list[float], reference: list[float]) -> float:
    return statistics.median(one - other for one, other in zip(seconds, reference, strict=True))


def untraced_rows(folder: Path, repeats: int) -> list[dict[str, Any]]:
    """A model that was traced once, at every site, against one that never was; a forward in batch 1 many times over."""
    rows = []
    for label, shape in INPUTS.items():
        ids = torch.randint(3, 500, shape, generator=torch.Generator().manual_seed(0))
        never, once = loaded(folder, "sdpa"), loaded(folder, "sdpa")
        parts = ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")
        with torch.no_grad(), trace(once, capture=sites(once, *parts)):
            once(input_ids=ids)
        ways = {"never traced": bare(never, ids), "traced before": bare(once, ids)}
        # twice the same model, loaded twice: what this measurement would show if there were no overhead at all
        ways["never traced, again"] = bare(loaded(folder, "sdpa"), ids)
        wall, cpu = wall_and_cpu(ways, repeats * max(1, 128 // ids.numel()))
        for name in ways:
            rows.append({"what": "not traced now", "input": label, "attention": "sdpa", "way": name, **_both(wall[name], cpu[name]),
                         "times bare": ratio(wall[name], wall["never traced"]),
                         "times bare (cpu)": ratio(cpu[name], cpu["never traced"])})
    return rows


class Nothing(torch.nn.Module):
    """A module that computes nothing, so that only the way to it takes time."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def dispatch_row(layers: int, repeats: int) -> dict[str, Any]:
    """What the permanent dispatcher adds to one call of a module, times the modules that it sits in after every site was traced."""
    plain, dispatched = Nothing(), Nothing()
    make_traceable(dispatched)
    x = torch.zeros(1)
    _, cpu = wall_and_cpu({"plain": lambda: plain(x), "dispatched": lambda: dispatched(x)}, repeats, inner=5000)
    modules = 4 * layers  # layer, attention, second norm, MLP
    return {"what": "not traced now", "way": f"{modules} dispatches", "n": repeats,
            "median_cpu_ms": modules * 1e3 * _over(cpu["dispatched"], cpu["plain"])}


def stop_rows(folder: Path, repeats: int) -> list[dict[str, Any]]:
    """Time up to layer k as a share of all layers (the model without its head)."""
    model, whole = loaded(folder, "sdpa"), loaded(folder, "sdpa").model
    layers = model.config.num_hidden_layers
    label, shape = "8 x 32 tokens", INPUTS["8 x 32 tokens"]
    ids = torch.randint(3, 500, shape, generator=torch.Generator().manual_seed(0))

    def stopped(k: int) -> Candidate:
        def call() -> None:
            with torch.no_grad(), trace(model, capture=[Site(k, "resid_post")], stop_at=k):
                model(input_ids=ids)

        return call

    ways: dict[str, Candidate] = {"all layers": bare(whole, ids)} | {f"stop_at={k}": stopped(k) for k in range(layers)}
    wall, cpu = wall_and_cpu(ways, repeats)
    return [{"what": "stop", "input": label, "attention": "sdpa", "way": name, **_both(wall[name], cpu[name]),
             "times bare": ratio(wall[name], wall["all layers"]), "times bare (cpu)": ratio(cpu[name], cpu["all layers"]),
             "layers run": f"{(int(name[-1]) + 1) if name != 'all layers' else layers} of {layers}"} for name in ways]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=40)
    repeats = max(20, parser.parse_args().repeats)
    torch.set_num_threads(1)
    folder, which = the_model()
    missing: dict[str, str] = {}
    config = LlamaConfig.from_pretrained(folder)
    rows = capture_rows(folder, repeats, missing) + untraced_rows(folder, 2 * repeats)
    rows += [dispatch_row(config.num_hidden_layers, repeats)] + stop_rows(folder, repeats)
    rows += [{"what": "12 captures", "way": name, "median_ms": "not measured"} for name in missing]
    about = versions("torch", "transformers", "nnsight", "transformer-lens")
    about |= {"threads": 1, "dtype": "float32", "model": which, "layers": config.num_hidden_layers, "width": config.hidden_size}
    notes = [f"{name}: not measured ({reason})" for name, reason in missing.items()] + _verdicts(rows)
    print(table(rows), *notes, sep="\n")
    print(write("tracing", rows, notes, about=about))


def _verdicts(rows: list[dict[str, Any]]) -> list[str]:
    """The aims, each with what was measured for it."""
    def one(what: str, way: str, label: str, attention: str) -> dict[str, Any] | None:
        same = {"what": what, "way": way, "input": label, "attention": attention}
        return next((row for row in rows if all(row.get(key) == value for key, value in same.items())), None)

    verdicts = []
    for label in INPUTS:
        for attention in ("sdpa", "eager"):
            own = one("12 captures", "trace", label, attention)
            other = one("12 captures", "nnsight", label, attention)
            verdicts.append(f"{label}, {attention}: aim at most 1.15 times bare, measured {own['times bare (cpu)']:.3f} (cpu), "
                            f"{own['times bare']:.3f} (wall)")
            if other is not None:
                share = own["over own bare ms (cpu)"] / other["over own bare ms (cpu)"]
                verdicts.append(f"{label}, {attention}: aim at most a third of nnsight's overhead, measured {share:.3f} of it")
        once = one("not traced now", "traced before", label, "sdpa")
        again = one("not traced now", "never traced, again", label, "sdpa")
        dispatches = next(row for row in rows if row["way"].endswith("dispatches"))
        share = dispatches["median_cpu_ms"] / one("not traced now", "never traced", label, "sdpa")["median_cpu_ms"]
        verdicts.append(f"{label}: aim at most 1 % when not traced, measured {100 * (once['times bare (cpu)'] - 1):+.2f} % "
                        f"(two untouched models differ by {100 * (again['times bare (cpu)'] - 1):+.2f} %; "
                        f"the dispatches alone are {100 * share:.2f} %)")
    return verdicts


if __name__ == "__main__":
    main()
