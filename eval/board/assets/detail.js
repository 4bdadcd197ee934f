// One example: what was asked, what the two systems answered, and who else answered what.

function fieldList(fields, asCode = false) {
  const list = make("dl");
  const alone = asCode && fields.length === 1;
  for (const [name, text] of fields) list.append(...(alone ? [] : [make("dt", {}, name)]), make("dd", {}, text));
  return list;
}

function drawDetail(view, a, b) {
  const { root, board, opened: rows } = view;
  const detail = $(".detail", root);
  const example = rows.places.get(state.ex);
  if (example === undefined) {
    detail.replaceChildren(make("p", { class: "hint" }, "Choose an example to see what was asked and answered. In the list: arrow keys to move, Enter to read on."));
    return;
  }
  const here = view.chosen.indexOf(example);
  const step = (by, name, sign) => {
    const button = make("button", { type: "button", "aria-label": name }, sign);
    button.disabled = here < 0 || here + by < 0 || here + by >= view.chosen.length;
    button.addEventListener("click", () => {
      choose(view, here + by);
      $(`[aria-label="${name}"]`, detail)?.focus();
    });
    return button;
  };
  const head = make("header", {}, make("h4", {}, rows.ids[example]),
    make("span", {}, step(-1, "Previous example", "‹"), " ", step(1, "Next example", "›")));
  const asked = rows.asked ? [fieldList(rows.asked[example])] : [];
  const sides = make("div", { class: "sides" }, ...(a === b ? [a] : [a, b]).map((system) => side(board, rows, system, example)));
  detail.replaceChildren(head, ...asked, sides, make("h5", {}, "All answers"), answers(board, rows, example));
}

function side(board, rows, system, example) {
  const [sign, kind, word] = mark(rows.score(system, example));
  const status = rows.status(system, example);
  const why = rows.why(system, example);
  const fields = rows.said(system, example);
  const part = make("section", { class: `side${kind === "right" ? " got" : ""}` },
    make("h5", {}, make("span", { class: kind }, sign), ` ${board.systems[system].name}`));
  part.append(fields.length ? fieldList(fields, true) : make("p", { class: "hint" }, "no output"));
  if (status !== "scored" || why) part.append(make("p", { class: "hint" }, [status === "scored" ? word : status, why].filter(Boolean).join(": ")));
  return part;
}

/** Everybody's answers, equal ones together, the most frequent first. */
function answers(board, rows, example) {
  const groups = new Map();
  board.systems.forEach(({ name }, system) => {
    const score = rows.score(system, example);
    const key = `${rows.code(system, example)} ${score}`;
    if (!groups.has(key)) groups.set(key, { score, fields: rows.said(system, example), names: [] });
    groups.get(key).names.push(name);
  });
  const sorted = [...groups.values()].sort((x, y) => y.names.length - x.names.length);
  return make("ul", { class: "answers" }, ...sorted.map(({ score, fields, names }) => {
    const [sign, kind, word] = mark(score);
    const text = fields.map(([name, value]) => (fields.length > 1 ? `${name}: ${value}` : value)).join(" · ");
    return make("li", {},
      make("span", { class: kind, role: "img", "aria-label": word }, sign), make("span", { class: "n" }, String(names.length)),
      make("span", {}, make("span", { class: "text" }, text.slice(0, 300) || "no output"), make("br"), make("span", { class: "who" }, names.join(", "))));
  }));
}
