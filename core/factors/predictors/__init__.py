"""Who reads a window and says which share will do better: one small file each, one row here (methods/08, section 4).

    model = PREDICTORS["gru"].make(factors=20)
    model(windows)                               # float (n, 8, factors) -> (n,)

All are built from plain products, so that five seeds train as one batch (core/factors/fitting.py). `whole_days`: attention among the
shares of a day, so a batch is one day and `industries` (n,) is given too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from core.factors.predictors import alstm, gats, gru, hist, lstm, mlp, sfm, transformer


@dataclass(frozen=True)
class Predictor:
    """words: its name for people.  rate: of Adam.  whole_days: whether a batch has to be a whole day."""

    words: str
    make: Callable[[int], nn.Module]
    rate: float = 1e-3
    whole_days: bool = False


PREDICTORS = {
    "mlp": Predictor("MLP", mlp.Mlp),
    "gru": Predictor("GRU", gru.Gru),
    "lstm": Predictor("LSTM", lstm.Lstm),
    "alstm": Predictor("ALSTM", alstm.Alstm),
    "transformer": Predictor("Transformer", transformer.Transformer),
    "sfm": Predictor("SFM", sfm.Sfm),
    "gats": Predictor("GATs", gats.Gats, whole_days=True),
    "hist": Predictor("HIST", hist.Hist, whole_days=True),
}
