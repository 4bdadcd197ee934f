// Slices: systems by the values of a field of the examples.

function setUpSlices(view) {
  const { root, board } = view;
  if (!board.slices.length) return;
  const fields = board.slices.map(({ field }) => [field, field]);
  options($('[data-do="field"]', root), fields, fields[0][0]);
  $('[data-do="field"]', root).addEventListener("change", (event) => update({ field: event.target.value }));
}

function drawSlices(view) {
  const { root, board } = view;
  if (!board.slices.length) return;
  const slicing = board.slices.find(({ field }) => field === state.field) ?? board.slices[0];
  $('[data-do="field"]', root).value = slicing.field;
  const head = make("tr", { role: "row" }, make("th", { role: "columnheader", scope: "col", class: "name" }, "system"));
  for (const { value, n } of slicing.values) {
    head.append(make("th", { role: "columnheader", scope: "col" }, value, make("br"), make("small", {}, `n = ${n.toLocaleString("en")}`)));
  }
  const highest = slicing.values.map(({ scores }) => Math.max(...scores.map((score) => (score ? score[0] : -1))));
  const body = order(board).filter((place) => passes(board.systems[place])).map((place) => {
    const row = make("tr", { role: "row" }, make("th", { role: "rowheader", scope: "row", class: "name" }, board.systems[place].name));
    slicing.values.forEach(({ value, n, scores }, column) => {
      const score = scores[place];
      const best = score && score[0] === highest[column];
      const title = `${board.systems[place].name}, ${slicing.field} ${value}: ${interval(score)}, ${n} examples`;
      row.append(make("td", { role: "cell", class: best ? "best" : null, title }, score ? points(score[0]) : "–"));
    });
    return row;
  });
  $(".slicing", root).replaceChildren(
    make("thead", { role: "rowgroup" }, head), make("tbody", { role: "rowgroup" }, ...body));
}
