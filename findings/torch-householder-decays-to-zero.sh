#!/usr/bin/env bash
# torch 2.13.0, torch.nn.utils.parametrizations.orthogonal(..., orthogonal_map="householder"): weight decay turns the matrix to zeros.
# Seen: the map keeps signs of 1 and -1 on the diagonal of its raw tensor and reads them with .int(). They get no gradient, but weight
#       decay moves them to 0.9995, .int() makes that 0, and from the first step on the "orthogonal" matrix is zero. No warning.
# Matters to: LoReFT, MoReS, orthogonal adapters: whoever trains such a matrix with AdamW, whose decay is 0.01 unless one says otherwise.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy
"$work/venv/bin/python" - <<'PYTHON'
import sys

import torch
from torch.nn.utils.parametrizations import orthogonal

seen = {}
for decay in (0.0, 0.01):
    torch.manual_seed(0)
    layer = orthogonal(torch.nn.Linear(16, 4, bias=False), orthogonal_map="householder", use_trivialization=False)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.05, weight_decay=decay)
    layer(torch.randn(8, 16)).square().mean().backward()
    optimizer.step()
    seen[decay] = float((layer.weight @ layer.weight.T - torch.eye(4)).abs().max())
    print(f"weight decay {decay}: largest difference of W W' from the identity after one step {seen[decay]:.6f}, size {float(layer.weight.norm()):.4f}")
sys.exit(0 if seen[0.0] < 1e-4 and seen[0.01] > 0.9 else "The behaviour has changed.")
PYTHON
