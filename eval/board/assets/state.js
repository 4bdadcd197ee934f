// What the page shows, as one object that the address follows; and what the other parts share.

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** An element with attributes and children; text is set as text, never as HTML. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

const DATA = JSON.parse($("#figures").textContent);

/** Keys of the state, as they stand in the address, with what holds where they do not. */
const DEFAULTS = {
  tab: "", // the board, by its number, or "overall"
  sort: "", // a column's key, led by "-" for the largest first; the board's own order where empty
  base: "", // the baseline, by name
  q: "", // what systems are filtered by
  axis: "", // what the plot has across
  past: "", // the system whose history is shown, by name
  field: "", // what the slices are by
  cells: "", // what stands in the cells of the slices: "gain", or the score where empty
  a: "", b: "", // the two systems that the explorer compares, by name
  show: "", // which examples: differ, a, b, neither
  slice: "", // only examples of this slice: field, "=", value
  find: "", // what examples are searched for
  ex: "", // the open example, by id
};
/** Whole numbers from 4 bytes each, in base64. */
function wholes(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Int32Array(bytes.buffer);
}

const OF_A_BOARD = ["past", "field", "slice", "ex", "find", "axis"];
const state = { ...DEFAULTS };
const listeners = [];

/** Changes the state, then the address, then tells every part which keys changed. */
function update(changes) {
  const changed = new Set(Object.keys(changes).filter((key) => state[key] !== changes[key]));
  if (!changed.size) return;
  Object.assign(state, changes);
  writeAddress();
  for (const listener of listeners) listener(changed);
}

function writeAddress() {
  const words = new URLSearchParams(Object.entries(state).filter(([key, value]) => value !== DEFAULTS[key]));
  try {
    history.replaceState(null, "", `#${words}`);
  } catch {
    // A frame in a notebook has no address of its own, and browsers limit how often it may change.
  }
}

function readAddress() {
  const words = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, words.get(key) ?? DEFAULTS[key]]));
}

function announce(text) {
  $(".announce").textContent = text;
}

function later(wait, call) {
  let timer = 0;
  return (...words) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...words), wait);
  };
}

/** Millionths as points with one decimal, rounded half to even, as Python's side does. */
function points(millionths, sign = "") {
  const size = Math.abs(millionths);
  let whole = Math.floor(size / 1000);
  const rest = size - 1000 * whole;
  if (rest > 500 || (rest === 500 && whole % 2 === 1)) whole += 1;
  const mark = millionths < 0 && whole ? "-" : sign;
  return `${mark}${Math.floor(whole / 10)}.${whole % 10}`;
}

function interval(three, sign = "") {
  if (!three || three[0] === null) return "–";
  const [value, low, high] = three.map((end) => points(end, sign));
  return `${value} [${low}, ${high}]`;
}

function probability(p) {
  if (p === null) return "–";
  return p >= 0.001 ? p.toFixed(3) : "<0.001";
}

function options(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
  select.value = chosen;
}

/** Where a pair stands among the pairs (0, 1), (0, 2), ... (1, 2), ... */
function placeOfPair(board, i, j) {
  const [up, down] = i < j ? [i, j] : [j, i];
  return (up * (2 * board.systems.length - up - 1)) / 2 + (down - up - 1);
}

/** Two systems of a board, the first less the second. */
function pair(board, i, j) {
  if (i === j) return null;
  const place = placeOfPair(board, i, j);
  const { value, low, high, p, sure } = board.pairs;
  if (value[place] === null) return null;
  const [mark, other] = [sure[place], { "+": "-", "-": "+", 0: "0" }[sure[place]]];
  return i < j
    ? { gain: [value[place], low[place], high[place]], p: p[place], sure: mark }
    : { gain: [-value[place], -high[place], -low[place]], p: p[place], sure: other };
}

/** Where a name stands on a board; -1 if it is not there. */
const placeOf = (board, name) => board.systems.findIndex((system) => system.name === name);

function baselineOf(board) {
  const place = placeOf(board, state.base);
  return place < 0 ? board.baseline : place;
}

/** Whether a system passes the filter: every word of it stands in the name. */
function passes(system) {
  const name = system.name.toLowerCase();
  return state.q.toLowerCase().split(/\s+/).every((word) => name.includes(word));
}

/** Round steps for an axis: ends and ticks that hold low to high. */
function ticks(low, high, most = 5) {
  const wide = high - low || 1;
  const power = 10 ** Math.floor(Math.log10(wide / most));
  const step = [1, 2, 2.5, 5, 10].map((size) => size * power).find((size) => wide / size <= most);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, place) => Number(((first + place) * step).toPrecision(12)));
}
