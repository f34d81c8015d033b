"""Soon."""

from __future__ import annotations

import streamlit as st


def show() -> None:
    """Draws the page."""
    st.title("Soon")
