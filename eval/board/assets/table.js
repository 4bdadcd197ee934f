// The table of systems: sorting, filtering, and everything that follows the baseline.

const LARGEST_FIRST = new Set(["score", "gain", "metric"]);

function sortValue(board, key, place, base) {
  const system = board.systems[place];
  if (key === "name") return system.name.toLowerCase();
  if (key === "score") return system.score && system.score[0];
  if (key.startsWith("metric_")) return system.beside[key.slice(7)]?.[0] ?? null;
  if (key === "rank") return system.rank && system.rank[0] * 1000 + system.rank[1];
  if (key === "gain" || key === "p") {
    const found = pair(board, place, base);
    if (key === "gain" && place === base) return 0;
    return found && (key === "gain" ? found.gain[0] : found.p);
  }
  return system[key];
}

/** What a board is sorted by: a column's key, and whether the largest stands first; the score where it has no such column. */
function sortOf(board) {
  const key = state.sort.replace("-", "");
  return board.labels.has(key) ? [key, state.sort.startsWith("-")] : ["score", true];
}

/** Places of the systems in the order that the state asks for; what has no value stands last. */
function order(board) {
  const places = board.systems.map((_, place) => place);
  const [key, down] = sortOf(board);
  if (key === "score" && down) return places;
  const base = baselineOf(board);
  const values = places.map((place) => sortValue(board, key, place, base));
  const compare = (x, y) => (x < y ? -1 : x > y ? 1 : 0);
  return places.sort((x, y) => {
    if (values[x] === null || values[y] === null) return (values[x] === null) - (values[y] === null) || x - y;
    return (down ? compare(values[y], values[x]) : compare(values[x], values[y])) || x - y;
  });
}

function setUpTable(view) {
  const { root, board } = view;
  view.rows = $$("tr[data-row]", root).sort((x, y) => x.dataset.row - y.dataset.row);
  board.labels = new Map(); // what each column that can be sorted by is called
  for (const head of $$("thead th[data-key]", root)) {
    const key = head.dataset.key;
    board.labels.set(key, head.textContent.trim());
    const button = make("button", { type: "button" }, head.textContent.trim());
    button.addEventListener("click", () => {
      const first = LARGEST_FIRST.has(key.replace(/_.*/, "")) ? `-${key}` : key;
      const current = state.sort || "-score";
      update({ sort: current === first ? (first === key ? `-${key}` : key) : first });
    });
    head.replaceChildren(button);
  }
  for (const cell of $$('td[data-key="score"], td[data-key^="metric_"]', root)) split(cell);
  const note = $(".gain-note", root); // none on a board of one system
  view.noted = note?.textContent.slice(`Gain over ${board.systems[board.baseline].name}`.length);
  const names = board.systems.map((system) => [system.name, system.name]);
  options($('[data-do="baseline"]', root), names, names[baselineOf(board)][0]);
  $('[data-do="baseline"]', root).addEventListener("change", (event) => update({ base: event.target.value }));
  $('[data-do="filter"]', root).addEventListener("input", later(60, (event) => update({ q: event.target.value })));
  const keys = $$("thead th[data-key]", root).map((head) => head.dataset.key);
  const ways = keys.flatMap((key) => [[key, `${board.labels.get(key)} ↑`], [`-${key}`, `${board.labels.get(key)} ↓`]]);
  options($('[data-do="sort"]', root), ways, "-score");
  $('[data-do="sort"]', root).addEventListener("change", (event) => update({ sort: event.target.value }));
}

/** Sets the interval of a cell such as "91.2 [89.1, 92.9]" apart from its value. */
function split(cell) {
  const [value, rest] = cell.textContent.split(" [");
  cell.replaceChildren(value, ...(rest ? [make("small", {}, ` [${rest}`)] : []));
}

function drawTable(view, changed) {
  const { root, board, rows } = view;
  const base = baselineOf(board);
  if (changed.has("base")) drawGains(view, base);
  $('[data-do="filter"]', root).value = state.q;
  $('[data-do="baseline"]', root).value = board.systems[base].name;
  const [key, down] = sortOf(board);
  $('[data-do="sort"]', root).value = `${down ? "-" : ""}${key}`;
  const places = order(board);
  $(".systems tbody", root).append(...places.map((place) => rows[place]));
  const grouped = ["-score", "rank", "group"].includes(`${down ? "-" : ""}${key}`);
  let shown = 0;
  let last = null;
  for (const place of places) {
    const system = board.systems[place];
    rows[place].hidden = !passes(system);
    if (rows[place].hidden) continue;
    rows[place].classList.toggle("cut", grouped && shown > 0 && system.group !== last);
    last = system.group;
    shown += 1;
  }
  for (const head of $$("thead th[data-key]", root)) {
    if (head.dataset.key === key) head.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  view.shown = shown;
  const order_ = `sorted by ${board.labels.get(key)}, ${down ? "largest" : "smallest"} first`;
  announce(`${shown} of ${board.systems.length} systems, ${order_}; gains over ${board.systems[base].name}`);
}

function drawGains(view, base) {
  const { board, rows, root } = view;
  const found = board.systems.map((_, place) => pair(board, place, base));
  const known = found.filter(Boolean).map(({ gain }) => gain);
  const low = Math.min(0, ...known.map((gain) => gain[1])) / 1e4;
  const high = Math.max(0, ...known.map((gain) => gain[2])) / 1e4;
  const wide = high - low || 1;
  const [start, end] = [low - wide / 25, high + wide / 25];
  const steps = ticks(low, high, 4).filter((step) => step >= start && step <= end);
  const at = (value) => `${((100 * (value - start)) / (end - start)).toFixed(2)}%`;
  const head = $('thead [data-axis="gain"] .track', root);
  head.replaceChildren(...steps.map((step) => place(make("i", {}, `${step > 0 ? "+" : ""}${step}`), at(step))));
  rows.forEach((row, index) => {
    const one = found[index];
    const own = index === base;
    row.classList.toggle("baseline", own);
    const [text, track, p] = ['[data-key="gain"]', '[data-axis="gain"] .track', '[data-key="p"]'].map((part) => $(part, row));
    text.textContent = one ? interval(one.gain, "+") : "–";
    split(text);
    p.textContent = one ? probability(one.p) : "–";
    const level = !one || (one.gain[1] <= 0 && one.gain[2] >= 0);
    for (const cell of [text, track.parentElement]) cell.classList.toggle("level", level);
    for (const cell of [text, p]) cell.classList.toggle("nil", !one);
    track.replaceChildren(...steps.map((step) => place(make("i", { class: step === 0 ? "tick zero" : "tick" }), at(step))));
    if (!one) return;
    const [value, from, to] = one.gain.map((each) => each / 1e4);
    const range = place(make("i", { class: "range" }), at(from));
    range.style.width = `${((100 * (to - from)) / (end - start)).toFixed(2)}%`;
    track.append(range, place(make("i", { class: "dot" }), at(value)));
  });
  drawRuler(view, base);
  const note = $(".gain-note", root);
  if (note) note.textContent = `Gain over ${board.systems[base].name}${view.noted}`;
}

/** The baseline's score, as a dashed line through every score bar. */
function drawRuler(view, base) {
  const dot = $('[data-axis="score"] .dot', view.rows[base]);
  for (const row of view.rows) {
    const track = $('[data-axis="score"] .track', row);
    $(".ruler", track)?.remove();
    if (dot) track.prepend(place(make("i", { class: "ruler" }), dot.style.left));
  }
}

function place(element, left) {
  element.style.left = left;
  return element;
}

/** The table over all tasks: sorted by any column of its text. */
function setUpOverall(root) {
  const body = $("tbody", root);
  const rows = $$("tr", body);
  for (const cell of $$("td[data-label]", body)) split(cell);
  const value = (row, column) => {
    const text = row.children[column].textContent.trim();
    const number = Number.parseFloat(text.replace("+", ""));
    return Number.isNaN(number) ? (text === "–" ? null : text.toLowerCase()) : number;
  };
  for (const head of $$("thead th:not(.axis)", root)) {
    const label = head.textContent.trim();
    const button = make("button", { type: "button" }, label);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const was = head.getAttribute("aria-sort");
      const down = was ? was === "ascending" : ["score", "average"].includes(label);
      const column = head.cellIndex;
      const sorted = [...rows].sort((x, y) => {
        const [one, two] = [value(x, column), value(y, column)];
        if (one === null || two === null) return (one === null) - (two === null);
        return (one < two ? -1 : one > two ? 1 : 0) * (down ? -1 : 1);
      });
      body.append(...sorted);
      for (const other of $$("thead th", root)) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      announce(`sorted by ${label}, ${down ? "largest" : "smallest"} first`);
    });
  }
}
