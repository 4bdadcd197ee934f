// Slices: systems by the values of a field of the examples, their scores or their gains over the baseline.

const NOTHING = -(2 ** 31);

function setUpSlices(view) {
  const { root, board } = view;
  if (!board.slices.length) return;
  const fields = board.slices.map(({ field }) => [field, field]);
  options($('[data-do="field"]', root), fields, fields[0][0]);
  options($('[data-do="cells"]', root), [["", "score"], ["gain", "gain over the baseline"]], "");
  for (const key of ["field", "cells"]) {
    $(`[data-do="${key}"]`, root).addEventListener("change", (event) => update({ [key]: event.target.value }));
  }
}

/** What one system scores more than another on a slice; unpacked when it is first asked for. */
function gainOn(board, slice, system, base) {
  if (system === base) return null;
  slice.unpacked ??= ["value", "low", "high"].map((name) => wholes(slice.pairs[name]));
  const place = placeOfPair(board, system, base);
  const [value, low, high] = slice.unpacked.map((column) => column[place]);
  if (value === NOTHING) return null;
  return system < base ? [value, low, high] : [-value, -high, -low];
}

function drawSlices(view) {
  const { root, board } = view;
  if (!board.slices.length) return;
  const slicing = board.slices.find(({ field }) => field === state.field) ?? board.slices[0];
  const gains = state.cells === "gain";
  const base = baselineOf(board);
  $('[data-do="field"]', root).value = slicing.field;
  $('[data-do="cells"]', root).value = gains ? "gain" : "";
  const head = make("tr", { role: "row" }, make("th", { role: "columnheader", scope: "col", class: "name" }, "system"));
  for (const { value, n } of slicing.values) {
    head.append(make("th", { role: "columnheader", scope: "col" }, value, make("br"), make("small", {}, `n = ${n.toLocaleString("en")}`)));
  }
  const highest = slicing.values.map(({ scores }) => Math.max(...scores.map((score) => (score ? score[0] : -1))));
  const body = order(board).filter((place) => passes(board.systems[place])).map((place) => {
    const name = board.systems[place].name;
    const own = place === base;
    const row = make("tr", { role: "row", class: own ? "baseline" : null }, make("th", { role: "rowheader", scope: "row", class: "name" }, name));
    slicing.values.forEach((slice, column) => {
      const score = slice.scores[place];
      const gain = gainOn(board, slice, place, base);
      const says = `${name}, ${slicing.field} ${slice.value}: ${interval(score)}${gain ? `, ${interval(gain, "+")} over ${board.systems[base].name}` : ""}, ${slice.n} examples`;
      const [shown, sign] = gains ? [gain, "+"] : [score, ""];
      const sure = gains ? gain && (gain[1] > 0 || gain[2] < 0) : score && score[0] === highest[column];
      const cell = make("td", { role: "cell", class: sure ? "best" : gains ? "level" : null, title: says, "aria-label": says });
      cell.append(...(shown ? [points(shown[0], sign), make("br"), make("small", {}, `[${points(shown[1], sign)}, ${points(shown[2], sign)}]`)] : ["–"]));
      row.append(cell);
    });
    return row;
  });
  $(".slicing", root).replaceChildren(
    make("thead", { role: "rowgroup" }, head), make("tbody", { role: "rowgroup" }, ...body));
}
