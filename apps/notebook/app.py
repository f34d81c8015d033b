"""The notebook's frame, which Streamlit runs from its top at every click: four pages over one library."""

from __future__ import annotations

import streamlit as st

from apps.notebook import ask_page, board_page, here, runs_page, sweeps_page

PAGES = ((runs_page.show, "Runs", ""), (sweeps_page.show, "Sweeps", "sweeps"),
         (board_page.show, "Claims", "claims"), (ask_page.show, "Ask the data", "ask"))


LOOK = """<style>
.stMainBlockContainer { padding-top: 4rem } h1 { font-size: 1.9rem !important; padding: 0 0 .4rem !important }
h3 { font-size: 1.2rem !important } [data-testid=stMetricValue] { font-size: 1.6rem }
</style>"""


def main() -> None:
    st.set_page_config(page_title="Glassbox notebook", layout="wide")
    st.html(LOOK)
    pages = [st.Page(show, title=title, url_path=path, default=not path) for show, title, path in PAGES]
    chosen = st.navigation(pages, position="top")
    if not here.asked():
        st.info("You see what was published and what comes with the lab. To see your own runs, open the notebook from the lab: "
                f"{here.lab_address()}")
    chosen.run()


main()
