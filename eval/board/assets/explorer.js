// The explorer: a list of examples, of which only the visible ones are in the document.

const HEIGHT = 44;
const SHOWS = [
  ["", "all examples"], ["differ", "where the two differ"], ["a", "where the first does better"],
  ["b", "where the second does better"], ["neither", "where neither is right"],
];

/** The two systems that are compared: by default the best, and the baseline or the second best. */
function sidesOf(board) {
  const base = baselineOf(board);
  const a = placeOf(board, state.a);
  const b = placeOf(board, state.b);
  const first = a < 0 ? 0 : a;
  const second = b < 0 ? (base === first ? Math.min(board.systems.length - 1, first === 0 ? 1 : 0) : base) : b;
  return [first, second];
}

function setUpExplorer(view) {
  const { root, board } = view;
  const part = $(".examples", root);
  if (!part) return;
  view.list = $(".list", part);
  const names = board.systems.map(({ name }) => [name, name]);
  options($('[data-do="a"]', part), names, names[0][0]);
  options($('[data-do="b"]', part), names, names[0][0]);
  options($('[data-do="show"]', part), SHOWS, "");
  for (const key of ["a", "b", "show", "slice"]) {
    $(`[data-do="${key}"]`, part)?.addEventListener("change", (event) => update({ [key]: event.target.value }));
  }
  const slices = board.slices.flatMap(({ field, values }) => values.map(({ value }) => [`${field}=${value}`, `${field}: ${value}`]));
  if (slices.length) options($('[data-do="slice"]', part), [["", "all"], ...slices], "");
  $('[data-do="find"]', part).addEventListener("input", later(120, (event) => update({ find: event.target.value })));
  let waiting = false;
  view.list.addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; drawWindow(view); });
  }, { passive: true });
  view.list.addEventListener("click", (event) => {
    const item = event.target.closest(".item");
    if (!item) return;
    choose(view, Number(item.dataset.place));
    const detail = $(".detail", part);
    if (detail.offsetTop >= view.list.offsetTop + view.list.offsetHeight) detail.scrollIntoView(); // below, on a phone
  });
  view.list.addEventListener("keydown", (event) => move(view, event));
  const seen = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) { seen.disconnect(); openExplorer(view); }
  }, { rootMargin: "600px" });
  seen.observe(part);
}

function openExplorer(view) {
  if (view.list && !view.opened) {
    rowsOf(view);
    drawExplorer(view, new Set(Object.keys(DEFAULTS)));
  }
}

function drawExplorer(view, changed) {
  if (!view.list || !view.opened) return;
  const { root, board } = view;
  const [a, b] = sidesOf(board);
  $('[data-do="a"]', root).value = board.systems[a].name;
  $('[data-do="b"]', root).value = board.systems[b].name;
  $('[data-do="show"]', root).value = state.show;
  if ($('[data-do="slice"]', root)) $('[data-do="slice"]', root).value = state.slice;
  if (document.activeElement !== $('[data-do="find"]', root)) $('[data-do="find"]', root).value = state.find;
  if (["a", "b", "base", "show", "slice", "find"].some((key) => changed.has(key))) {
    view.chosen = pick(view, a, b);
    $(".examples .count", root).textContent = summary(view, a, b);
    $(".run", root).style.height = `${Math.max(1, view.chosen.length) * HEIGHT}px`;
    if (!changed.has("ex")) view.list.scrollTop = 0;
    if (!changed.has("tab") && (changed.has("find") || changed.has("show"))) announce(`${view.chosen.length} examples`);
  }
  if (changed.has("ex")) reveal(view);
  drawWindow(view);
  drawDetail(view, a, b);
}

/** The examples that the state asks for, in the order of the rows. */
function pick(view, a, b) {
  const rows = view.opened;
  const tests = {
    "": () => true,
    differ: (x, y) => x !== y, a: (x, y) => x > y, b: (x, y) => y > x,
    neither: (x, y) => (x ?? 0) < 1 && (y ?? 0) < 1,
  };
  const test = tests[state.show] ?? tests[""];
  const here = inSlice(view, rows);
  const found = state.find ? rows.search(state.find) : null;
  return Array.from(rows.ids.keys()).filter(
    (example) => (!found || found[example]) && here(example) && test(rows.score(a, example), rows.score(b, example)));
}

function summary(view, a, b) {
  const rows = view.opened;
  let [wins, losses] = [0, 0];
  for (const example of view.chosen) {
    const [x, y] = [rows.score(a, example), rows.score(b, example)];
    if (x === null || y === null) continue;
    wins += x > y;
    losses += y > x;
  }
  const cut = rows.cut ? ` Outputs longer than ${rows.cut.toLocaleString("en")} characters are cut on this page.` : "";
  const [first, second] = [view.board.systems[a].name, view.board.systems[b].name];
  const among = a === b ? "" : ` ${first} does better on ${wins} of them, ${second} on ${losses}.`;
  return `${view.chosen.length.toLocaleString("en")} of ${rows.n.toLocaleString("en")} examples.${among}${cut}`;
}

function mark(score) {
  if (score === null) return ["–", "none", "not scored"];
  if (score >= 1) return ["✓", "right", "right"];
  if (score <= 0) return ["✗", "wrong", "wrong"];
  return [score.toFixed(2).slice(1), "wrong", `scores ${score.toFixed(2)}`];
}

/** Puts the items in sight, and a few around them, into the document; those that are there stay the same elements. */
function drawWindow(view) {
  const { list, opened: rows, chosen, board } = view;
  const run = $(".run", list);
  const [a, b] = sidesOf(board);
  const key = JSON.stringify([a, b, state.show, state.slice, state.find]);
  if (view.itemsOf !== key) {
    [view.itemsOf, view.items] = [key, new Map()];
    run.replaceChildren(...(chosen.length ? [] : [make("p", { class: "empty" }, "No example matches.")]));
  }
  const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 6);
  const last = Math.min(chosen.length, Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + 6);
  for (const [place, element] of view.items) {
    if (place >= first && place < last) continue;
    element.remove();
    view.items.delete(place);
  }
  let next = chosen.length ? run.firstChild : null;
  list.removeAttribute("aria-activedescendant");
  for (let place = first; place < last; place += 1) {
    if (!view.items.has(place)) {
      view.items.set(place, item(view, rows, place, a, b));
      run.insertBefore(view.items.get(place), next);
    }
    const element = view.items.get(place);
    const active = rows.ids[chosen[place]] === state.ex;
    element.setAttribute("aria-selected", String(active));
    if (active) list.setAttribute("aria-activedescendant", element.id);
    next = element.nextSibling;
  }
}

function item(view, rows, place, a, b) {
  const example = view.chosen[place];
  const id = rows.ids[example];
  const marks = [a, b].map((system) => [mark(rows.score(system, example)), view.board.systems[system].name]);
  const text = rows.asked?.[example][0]?.[1] ?? rows.said(a, example)[0]?.[1] ?? "";
  const share = rows.share[example];
  const percent = Number.isNaN(share) ? 0 : Math.round(100 * share);
  const bar = make("i");
  bar.style.width = `${percent}%`;
  const says = marks.map(([[, , word], name]) => `${name} ${word}`).join(", ");
  const element = make("div", {
    class: "item", role: "option", id: `item-${view.index}-${example}`, "data-place": place,
    "aria-posinset": place + 1, "aria-setsize": view.chosen.length,
    "aria-label": `${id}: ${says}; ${percent} % over all systems`,
  },
  make("span", { class: "id", title: id }, id), make("span", { class: "ask" }, text.slice(0, 200)),
  make("span", { class: "marks" }, ...marks.map(([[sign, kind, word], name]) => make("span", { class: kind, title: `${name}: ${word}` }, sign))),
  make("span", { class: "share", title: `${percent} % over all systems` }, bar));
  element.style.top = `${place * HEIGHT}px`;
  return element;
}

function choose(view, place) {
  const example = view.chosen[Math.min(view.chosen.length - 1, Math.max(0, place))];
  if (example !== undefined) update({ ex: view.opened.ids[example] });
}

/** Scrolls the list so that the open example is in sight. */
function reveal(view) {
  const place = view.chosen.indexOf(view.opened.places.get(state.ex) ?? -1);
  if (place < 0) return;
  const [top, bottom] = [place * HEIGHT, (place + 1) * HEIGHT];
  if (top < view.list.scrollTop) view.list.scrollTop = top;
  if (bottom > view.list.scrollTop + view.list.clientHeight) view.list.scrollTop = bottom - view.list.clientHeight;
}

function move(view, event) {
  const here = view.chosen.indexOf(view.opened.places.get(state.ex) ?? -1);
  const page = Math.floor(view.list.clientHeight / HEIGHT);
  const steps = {
    ArrowDown: here + 1, ArrowUp: Math.max(0, here - 1), PageDown: here + page, PageUp: here - page, Home: 0,
    End: view.chosen.length - 1,
  };
  if (event.key === "Enter" && here >= 0) $(".detail", view.root).focus();
  else if (event.key in steps) choose(view, steps[event.key]);
  else return;
  event.preventDefault();
}
