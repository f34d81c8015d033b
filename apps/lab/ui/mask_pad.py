"""A picture to paint over: its value is the text of a region (core/emotion/region.py), which a keyboard can write too.

    widgets={"region": lambda: MaskPad(elem_id="field-region")}
    pad.wanted(lambda region, ...: {"picture": data_uri, "region": region}, ...)      # once the pad is seen: what lies below
"""

from __future__ import annotations

from typing import Any

from apps.lab.ui.widget import Widget


class MaskPad(Widget):
    """Its value: "", "20 10 70 60" or "brush:...". Events: `input` when the brush is lifted or a box typed, `wanted` when first seen."""

    module = "mask_pad.js"
    place = "gb-mask"
    tells = ("wanted",)

    def preprocess(self, payload: Any) -> Any:
        """The region alone; what lies below is not the page's to say."""
        found = payload.get("region") if isinstance(payload, dict) else payload
        return found if isinstance(found, str) else ""

    def postprocess(self, value: Any) -> Any:
        return value if isinstance(value, dict) else {"region": value or ""}
