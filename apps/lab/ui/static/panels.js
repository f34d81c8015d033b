// Which class shows which kind of panel. Each gives { element, update(sight), redraw(), close() }, and light(fact) where its parts can
// belong to parts of other panels (linked.js).

import { LevelsPanel } from "./levels_panel.js";
import { MatrixPanel } from "./matrix_panel.js";
import { NumbersPanel } from "./numbers_panel.js";
import { AnswersPanel, PicturePanel, TablePanel, TextPanel } from "./panel.js";
import { FilmPanel, RevealPanel } from "./picture_panels.js";
import { PlotPanel } from "./plot_panel.js";
import { TokensPanel } from "./tokens_panel.js";
import { WitnessPanel } from "./witness_panel.js";

export const panelKinds = {
  chart: PlotPanel,
  figure: PlotPanel,
  table: TablePanel,
  text: TextPanel,
  picture: PicturePanel,
  reveal: RevealPanel,
  film: FilmPanel,
  levels: LevelsPanel,
  tokens: TokensPanel,
  numbers: NumbersPanel,
  matrix: MatrixPanel,
  witnesses: WitnessPanel,
  answers: AnswersPanel,
};

/** The panel that a page describes as plain data. `context` is `{ base, onPoint, refresh }`, for linked panels also `{ onHover, fact }`. */
export function makePanel(panel, context) {
  const Kind = panelKinds[panel.kind];
  if (!Kind) throw new Error(`There is no panel of kind ${panel.kind}.`);
  return new Kind(panel, context);
}

/** Two columns at most: a narrow panel that would stand alone in its row gets the whole row. */
export function fillRows(panels, made) {
  const wide = (panel) => !panel || panel.wide || panel.kind === "numbers" || panel.kind === "levels";
  let alone = false;
  panels.forEach((panel, i) => {
    alone = !wide(panel) && !alone;
    if (alone && wide(panels[i + 1])) {
      made[i].element.classList.add("gb-panel--wide");
      alone = false;
    }
  });
}
