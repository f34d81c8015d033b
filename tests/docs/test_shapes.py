"""Who takes or gives tensors says in what shape: every such public function of core/ has one in parentheses in its docstring."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from core.engine.settings import REPOSITORY

ARRAY = re.compile(r"\b(Tensor|ndarray|NDArray|ArrayLike)\b")
AXIS = re.compile(r"\.\.\.|\*?\w[\w ]*([-+*] ?\w[\w ]*)*")


def says_a_shape(text: str) -> bool:
    """Whether some parentheses hold nothing, as for a scalar, "...", or axes with a comma: (n,) or (layers + 1, width)."""
    for inside in re.findall(r"\(([^()]*)\)", text):
        axes = [axis.strip() for axis in inside.split(",") if axis.strip()]
        if inside in ("", "...") or "," in inside and axes and all(AXIS.fullmatch(axis) for axis in axes):
            return True
    return False


def public(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The functions of a module, and the methods and properties of its public classes."""
    for node in tree.body:
        for inner in [node, *node.body] if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else [node]:
            if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                yield inner.name if inner is node else f"{node.name}.{inner.name}", inner


def silent(source: str) -> tuple[list[str], int]:
    """The public functions with arrays in their signature that state no shape, and how many have arrays there."""
    names, found = [], 0
    for name, node in public(ast.parse(source)):
        given = [argument.annotation for argument in ast.walk(node.args) if isinstance(argument, ast.arg)]
        if any(ARRAY.search(ast.unparse(hint)) for hint in (*given, node.returns) if hint):
            found += 1
            names += [] if says_a_shape(ast.get_docstring(node) or "") else [name]
    return names, found


def test_every_function_on_arrays_states_their_shapes() -> None:
    looked_at = {file: silent(file.read_text(encoding="utf-8")) for file in sorted((REPOSITORY / "core").rglob("*.py"))}
    assert sum(found for _, found in looked_at.values()) > 100
    assert not [f"{file.relative_to(REPOSITORY)}: {name}" for file, (names, _) in looked_at.items() for name in names]


def test_a_function_without_shapes_would_be_noticed() -> None:
    text = ('def f(x: "torch.Tensor") -> int:\n    """{}"""\n'
            'def _hidden(x: Tensor): ...\nclass A:\n    def g(self) -> dict[str, np.ndarray]: ...\ndef h(x: int) -> int: ...\n')
    for said in ("Adds up.", "Adds up (methods/09, section 3.1).", "In nats (per token).", "See g(x)."):
        assert silent(text.format(said)) == (["f", "A.g"], 2)
    for said in ("(n,)", "(layers+1, tokens, width)", "(..., L-1)", "(*shape, 2)", "a scalar ()", "one per path, (...)"):
        assert silent(text.format(said)) == (["A.g"], 2)
