// Quality against cost: a point for each system, and the front that no other system beats on both.

const AXES = {
  usd: ["Price of 1,000 examples", (x) => `$${short(x)}`],
  p50: ["Median time of an example", (x) => (x < 1 ? `${short(1000 * x)} ms` : `${short(x)} s`)],
  p95: ["Time of the slowest twentieth", (x) => (x < 1 ? `${short(1000 * x)} ms` : `${short(x)} s`)],
  tokens: ["Tokens read for an example", short],
  weights: ["Weights", short],
};

function short(x) {
  const [size, letter] = x >= 1e9 ? [1e9, "B"] : x >= 1e6 ? [1e6, "M"] : x >= 1e4 ? [1e3, "k"] : [1, ""];
  return `${Number((x / size).toPrecision(3))}${letter}`;
}

/** The axes along which at least two scored systems differ. */
function axesOf(board) {
  return Object.keys(AXES).filter((key) => {
    const values = board.systems.filter((system) => system.score).map((system) => system[key]);
    return new Set(values.filter((value) => value !== null)).size > 1;
  });
}

function setUpPlot(view) {
  const { root, board } = view;
  const part = $(".plot", root);
  view.axes = axesOf(board);
  part.hidden = !view.axes.length;
  if (part.hidden) return;
  options($('[data-do="axis"]', part), view.axes.map((key) => [key, AXES[key][0]]), view.axes[0]);
  $('[data-do="axis"]', part).addEventListener("change", (event) => update({ axis: event.target.value }));
  new ResizeObserver(() => !root.hidden && drawPlot(view)).observe(part);
}

function shape(kind, attributes, ...children) {
  const element = document.createElementNS($("svg").namespaceURI, kind);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Places across: logarithmic where all values are above zero and span more than a factor of 20. */
function across(values, left, right) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (least > 0 && most / least > 20) {
    const [from, to] = [Math.log10(least) - 0.08, Math.log10(most) + 0.08];
    const steps = [];
    for (let power = Math.floor(from); power <= to; power += 1) {
      for (const digit of to - from > 2.5 ? [1] : [1, 3]) {
        const step = digit * 10 ** power;
        if (Math.log10(step) >= from && Math.log10(step) <= to) steps.push(step);
      }
    }
    return [(x) => left + ((Math.log10(x) - from) / (to - from)) * (right - left), steps];
  }
  const steps = ticks(Math.min(0, least), most);
  const [start, end] = [steps[0], steps[steps.length - 1]];
  return [(x) => left + ((x - start) / (end - start)) * (right - left), steps];
}

/** Systems that no other beats on both: from the cheapest on, each that scores higher than all before it. */
function front(systems, key) {
  const sorted = [...systems].sort((x, y) => x[key] - y[key] || y.score[0] - x.score[0]);
  let best = -Infinity;
  return sorted.filter((system) => system.score[0] > best && ((best = system.score[0]), true));
}

function drawPlot(view) {
  if (!view.axes.length) return;
  const { root, board } = view;
  const key = view.axes.includes(state.axis) ? state.axis : view.axes[0];
  $('[data-do="axis"]', root).value = key;
  const svg = $(".canvas", root);
  const focus = svg.contains(document.activeElement) ? document.activeElement.dataset.name : null;
  const wide = Math.max(280, svg.parentElement.clientWidth);
  const high = Math.min(420, Math.max(260, wide * 0.5));
  const [left, right, top, bottom] = [44, wide - 16, 12, high - 44];
  svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
  const systems = board.systems.filter((system) => system.score && system[key] !== null && passes(system));
  svg.replaceChildren();
  if (!systems.length) return;
  const [x, xs] = across(systems.map((system) => system[key]), left, right);
  const ys = ticks(Math.min(...systems.map(({ score }) => score[1])) / 1e4, Math.max(...systems.map(({ score }) => score[2])) / 1e4);
  const y = (value) => bottom - ((value / 1e4 - ys[0]) / (ys[ys.length - 1] - ys[0])) * (bottom - top);
  for (const step of ys) {
    const at = y(step * 1e4);
    svg.append(shape("line", { class: "grid", x1: left, x2: right, y1: at, y2: at }), shape("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, String(step)));
  }
  for (const step of xs) svg.append(shape("text", { x: x(step), y: bottom + 20, "text-anchor": "middle" }, AXES[key][1](step)));
  svg.append(shape("text", { x: right, y: bottom + 38, "text-anchor": "end" }, AXES[key][0]));
  const best = front(systems, key);
  const path = best.map((system, index) => `${index ? `H${x(system[key])}V` : `M${x(system[key])} `}${y(system.score[0])}`);
  svg.append(shape("path", { class: "front", d: `${path.join("")}H${right}` }));
  const boxes = [];
  const rest = systems.filter((system) => !best.includes(system));
  for (const system of [...rest, ...[...best].reverse()]) {
    svg.append(point(system, AXES[key], x(system[key]), y, best.includes(system), right, boxes));
  }
  if (focus !== null) $$(".point", svg).find((one) => one.dataset.name === focus)?.focus();
}

/** A point with its whisker and its name; names on the front show at once where there is room. */
function point(system, [what, write], at, y, best, right, boxes) {
  const height = y(system.score[0]);
  const wide = 7 * system.name.length;
  const over = at + 12 + wide > right;
  const box = [over ? at - 12 - wide : at + 12, height - 18, over ? at - 12 : at + 12 + wide, height - 2];
  const free = best && boxes.every((other) => box[2] < other[0] || box[0] > other[2] || box[3] < other[1] || box[1] > other[3]);
  if (free) boxes.push(box);
  const value = Object.entries(AXES).find(([, axis]) => axis[0] === what)[0];
  const says = `${system.name}: ${interval(system.score)}, ${what.toLowerCase()} ${write(system[value])}${best ? ", on the front" : ""}`;
  const label = shape("text", { class: "label", x: over ? at - 10 : at + 10, y: height - 6, "text-anchor": over ? "end" : "start" }, system.name);
  const group = shape("g", { class: `point${free ? " best" : ""}`, tabindex: "0", role: "img", "aria-label": says },
    shape("title", {}, says),
    shape("line", { class: "whisker", x1: at, x2: at, y1: y(system.score[1]), y2: y(system.score[2]) }),
    shape("circle", { cx: at, cy: height, r: best ? 5.5 : 4.5 }),
    label);
  if (best && !free) $("circle", group).style.fill = "var(--accent)";
  group.dataset.name = system.name;
  group.addEventListener("focus", () => announce(says));
  return group;
}
