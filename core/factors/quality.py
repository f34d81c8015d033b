"""How far an edit went, how real it looks, and whether its label can still be read (methods/08, 6.5 and 9).

rms(edited, windows), r2(edited, windows), frechet(edited, windows), read_label(edited, labels, probe)
"""

from __future__ import annotations

import numpy as np

MOST_FEATURES = 64  # of the Frechet distance; more are reduced by principal components
RIDGE = 10.0


def rms(edited: np.ndarray, windows: np.ndarray) -> float:
    """Root mean squared distance of (n, ...) from (n, ...)."""
    return float(np.sqrt(np.mean((edited.astype(np.float64) - windows) ** 2)))


def r2(edited: np.ndarray, windows: np.ndarray) -> float:
    """1 - E|edited - window|^2 / tr Var window, both (n, ...)."""
    flat = windows.reshape(len(windows), -1).astype(np.float64)
    return 1 - float(((edited.reshape(flat.shape) - flat) ** 2).sum(1).mean() / flat.var(0).sum())


def components(windows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (features,) and the first `count` principal directions (features, count) of flattened windows (n, ...)."""
    flat = windows.reshape(len(windows), -1).astype(np.float64)
    mean = flat.mean(0)
    values, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    vectors = vectors[:, np.argsort(-values)[:count]]
    return mean, vectors * np.sign(vectors.sum(0, keepdims=True) + 1e-12)


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """|mu_a - mu_b|^2 + tr(A + B - 2 (A B)^(1/2)) of flattened windows (n, ...) and (m, ...); its square root is a distance."""
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (a, b))
    if a.shape[1] > 512:
        mean, directions = components(b, MOST_FEATURES)
        a, b = (a - mean) @ directions, (b - mean) @ directions
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * cross)


def label_probe(windows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Ridge weights (features + 1,) that read the label (n,) off real flattened windows (n, ...)."""
    flat = _with_one(windows)
    return np.linalg.solve(flat.T @ flat + RIDGE * np.eye(flat.shape[1]), flat.T @ labels)


def read_label(windows: np.ndarray, labels: np.ndarray, probe: np.ndarray) -> float:
    """Correlation of what the probe (features + 1,) reads off windows (n, ...) with the labels (n,)."""
    return float(np.corrcoef(_with_one(windows) @ probe, labels)[0, 1])


def _with_one(windows: np.ndarray) -> np.ndarray:
    flat = windows.reshape(len(windows), -1).astype(np.float64)
    return np.concatenate([flat, np.ones((len(flat), 1))], 1)


def shortest(points: np.ndarray, among: np.ndarray, skip: bool = False) -> np.ndarray:
    """Distance of each point (n, ...) to its nearest neighbour among (m, ...); `skip`: another one than itself. (n,)"""
    a, b = (x.reshape(len(x), -1).astype(np.float64) for x in (points, among))
    square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    if skip:
        np.fill_diagonal(square, np.inf)
    return np.sqrt(np.maximum(square.min(1), 0))


def diversity(edits: np.ndarray) -> float:
    """Mean distance between two edits of one window: (copies, n, ...), at least two copies."""
    flat = edits.reshape(*edits.shape[:2], -1).astype(np.float64)
    pairs = [np.linalg.norm(flat[i] - flat[j], axis=-1).mean() for i in range(len(flat)) for j in range(i)]
    return float(np.mean(pairs))


def neighbours(edited: np.ndarray, windows: np.ndarray) -> tuple[float, float]:
    """(collision, coverage) of edits (n, ...) of windows (n, ...), one of each.

    collision: edits that lie closer to another real window than their parent's own nearest neighbour lies to the parent.
    coverage: real windows whose nearest real neighbour is farther than some edit.
    """
    own = shortest(windows, windows, skip=True)
    a, b = edited.reshape(len(edited), -1).astype(np.float64), windows.reshape(len(windows), -1).astype(np.float64)
    square = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0)
    covered = np.sqrt(square.min(0)) < own
    np.fill_diagonal(square, np.inf)
    return float((np.sqrt(square.min(1)) < own).mean()), float(covered.mean())


def consistency(windows: np.ndarray, names: list[str] | tuple[str, ...]) -> float:
    """Spread of what two factors that nearly say the same disagree by, (n, window, factors): how much the edit breaks what holds
    between them. Pairs are the most correlated ones in the given windows; NaN for fewer than two factors."""
    flat = windows.reshape(-1, windows.shape[-1]).astype(np.float64)
    if flat.shape[1] < 2:
        return float("nan")
    together = np.nan_to_num(np.corrcoef(flat, rowvar=False) - np.eye(flat.shape[1]))
    return float(np.abs(together).max())


def jitter(windows: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """Windows (n, ...) with normal noise of the given RMS after clipping at 3, found by a few rounds of correction."""
    noise, scale = rng.standard_normal(windows.shape).astype(np.float32), size
    for _ in range(4):
        made = np.clip(windows + scale * noise, -3, 3)
        got = rms(made, windows)
        if got <= 0 or size <= 0:
            return windows.copy()
        scale *= size / got
    return np.clip(windows + scale * noise, -3, 3)
