// Which class shows which kind of panel. Each gives { element, update(sight), redraw(), close() }.

import { MatrixPanel } from "./matrix_panel.js";
import { NumbersPanel } from "./numbers_panel.js";
import { PicturePanel, TablePanel, TextPanel } from "./panel.js";
import { PlotPanel } from "./plot_panel.js";
import { TokensPanel } from "./tokens_panel.js";

const KINDS = {
  chart: PlotPanel,
  figure: PlotPanel,
  table: TablePanel,
  text: TextPanel,
  picture: PicturePanel,
  tokens: TokensPanel,
  numbers: NumbersPanel,
  matrix: MatrixPanel,
};

/** The panel that a page describes as plain data. `context` is `{ base, onPoint, refresh }`. */
export function makePanel(panel, context) {
  const Kind = KINDS[panel.kind];
  if (!Kind) throw new Error(`There is no panel of kind ${panel.kind}.`);
  return new Kind(panel, context);
}
