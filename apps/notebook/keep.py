"""What can be done with the chosen runs: a name, tags and a note; take them away as a ZIP; bring such a ZIP in; delete."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from apps.notebook.words import plain, sentences
from core.engine import parcel
from core.engine.index import Row
from core.engine.library import Library


def show(library: Library, rows: Sequence[Row]) -> None:
    """Draws what stands below the comparison."""
    if said := st.session_state.pop("said", ""):
        st.toast(said)
    if rows:
        st.subheader("Name, keep, take away")
        _describe(library, rows)
        _take_away(library, rows)
        _delete(library, rows)
    if library.owns_all:
        _bring(library)


def _describe(library: Library, rows: Sequence[Row]) -> None:
    mine = [row for row in rows if library.may_change(library.read(row.id))]
    if not mine:
        return
    row = st.selectbox("Run to name", mine, format_func=lambda one: one.label or one.id, key="to-name")
    with st.form(f"describe-{row.id}"):
        label = st.text_input("Name", row.label, max_chars=80, key=f"label-{row.id}")
        tags = st.text_input("Tags, parted by commas", ", ".join(row.tags), max_chars=400, key=f"tags-{row.id}")
        note = st.text_area("Note", row.note, max_chars=4000, key=f"note-{row.id}")
        if st.form_submit_button("Save"):
            with sentences():
                library.describe(row.id, label, tags.split(","), note)
                st.rerun()


def _take_away(library: Library, rows: Sequence[Row]) -> None:
    with sentences():
        if st.button("Pack these runs as a ZIP", help="The records, their pictures, a report and a table of numbers each; no models."):
            st.session_state.parcel = (tuple(row.id for row in rows), parcel.pack(library, [row.id for row in rows]))
    held = st.session_state.get("parcel")
    if held and held[0] == tuple(row.id for row in rows):
        st.download_button("Save the ZIP", held[1], "glassbox-runs.zip", "application/zip", on_click="ignore")


def _delete(library: Library, rows: Sequence[Row]) -> None:
    mine = [row for row in rows if library.may_delete(library.read(row.id))]
    if not mine:
        return
    with st.popover(f"Delete {len(mine)} {'run' if len(mine) == 1 else 'runs'}"):
        st.write("They are gone for good, with the models that they kept: " + plain(", ".join(row.label or row.id for row in mine)))
        # a key of these runs alone: a press that comes when others are chosen already is none
        if st.button("Delete for good", key=f"delete-{'-'.join(row.id for row in mine)}"):
            with sentences():
                for row in mine:
                    library.delete(row.id)
                st.session_state.chosen = [one for one in st.session_state.chosen if one not in {row.id for row in mine}]
                st.session_state.fresh = st.session_state.get("fresh", 0) + 1
                st.rerun()


def _bring(library: Library) -> None:
    with st.expander("Bring in runs from another lab"), st.form("bring", clear_on_submit=True):
        file = st.file_uploader("A ZIP that a notebook has packed", type="zip")
        if st.form_submit_button("Bring in") and file is not None:
            with sentences():
                brought = parcel.unpack(library.records, file.getvalue())
                st.session_state.chosen = brought[:6]
                st.session_state.fresh = st.session_state.get("fresh", 0) + 1
                st.session_state.said = f"{len(brought)} {'run was' if len(brought) == 1 else 'runs were'} brought in and chosen."
                st.rerun()
