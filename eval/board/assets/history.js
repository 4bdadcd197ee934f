// History: the score of a system from version to version, among the other systems' tracks.

function setUpHistory(view) {
  const part = $(".history", view.root);
  if (!part) return;
  const names = view.board.history.map(({ system }) => [system, system]);
  options($('[data-do="past"]', part), names, names[0][0]);
  $('[data-do="past"]', part).addEventListener("change", (event) => update({ past: event.target.value }));
  new ResizeObserver(() => !view.root.hidden && drawHistory(view)).observe(part);
}

function drawHistory(view) {
  const part = $(".history", view.root);
  if (!part) return;
  const { history } = view.board;
  const chosen = history.find(({ system }) => system === state.past) ?? history[0];
  $('[data-do="past"]', part).value = chosen.system;
  for (const row of $$("tbody tr", part)) row.hidden = row.dataset.system !== chosen.system;
  const svg = $(".canvas", part);
  const focus = svg.contains(document.activeElement) ? document.activeElement.dataset.number : null;
  const wide = Math.max(280, svg.parentElement.clientWidth);
  const high = Math.min(340, Math.max(220, wide * 0.4));
  const [left, right, top, bottom] = [44, wide - 16, 14, high - 34];
  svg.setAttribute("viewBox", `0 0 ${wide} ${high}`);
  svg.replaceChildren();
  const scored = (track) => track.versions.filter(({ score }) => score);
  const every = history.flatMap(scored);
  if (!every.length) return;
  const places = [...new Set(every.map(({ number }) => number))].sort((x, y) => x - y);
  const x = (number) => (places.length < 2 ? (left + right) / 2 : left + 14 + (places.indexOf(number) * (right - left - 28)) / (places.length - 1));
  const shown = [...every.map(({ score }) => [score[0], score[0]]), ...scored(chosen).map(({ score }) => [score[1], score[2]])];
  const ys = ticks(Math.min(...shown.map(([low]) => low)) / 1e4, Math.max(...shown.map(([, up]) => up)) / 1e4);
  const y = (value) => bottom - ((value / 1e4 - ys[0]) / (ys[ys.length - 1] - ys[0])) * (bottom - top);
  for (const step of ys) {
    const at = y(step * 1e4);
    svg.append(shape("line", { class: "grid", x1: left, x2: right, y1: at, y2: at }), shape("text", { x: left - 8, y: at + 4, "text-anchor": "end" }, String(step)));
  }
  for (const track of [...history.filter((other) => other !== chosen), chosen]) {
    const path = scored(track).map(({ number, score }, place) => `${place ? "L" : "M"}${x(number)} ${y(score[0])}`);
    if (path.length) svg.append(shape("path", { class: track === chosen ? "track chosen" : "track", d: path.join("") }));
    const last = scored(track).at(-1);
    if (last && track !== chosen && history.length <= 8) svg.append(shape("text", { class: "of", x: x(last.number), y: y(last.score[0]) - 7, "text-anchor": "end" }, track.system.slice(0, 24)));
  }
  let end = -Infinity;
  chosen.versions.forEach((version, place) => {
    if (!version.score) return;
    const at = x(version.number);
    svg.append(pointOf(chosen, place, at, y));
    const half = 3.6 * Math.min(18, version.name.length) + 6;
    if (at - half < end) return; // no room for its name
    end = at + half;
    svg.append(shape("text", { x: Math.min(Math.max(at, half), wide - half), y: bottom + 22, "text-anchor": "middle" }, version.name.length > 18 ? `${version.name.slice(0, 17)}…` : version.name));
  });
  if (focus !== null) $$(".point", svg).find((one) => one.dataset.number === focus)?.focus();
}

/** A version with its interval; it says what it gained when it is pointed at or has the focus. */
function pointOf(track, place, at, y) {
  const { name, number, added, score, gain, shared } = track.versions[place];
  const before = place ? track.versions[place - 1].name : "";
  const gained = gain ? `, ${interval(gain, "+")} over ${before} on ${shared.toLocaleString("en")} shared examples` : "";
  const says = `${track.system} ${name}, ${added.slice(0, 10)}: ${interval(score)}${gained}`;
  const sure = gain && (gain[1] > 0 || gain[2] < 0);
  const group = shape("g", { class: `point best${sure ? " sure" : ""}`, tabindex: "0", role: "img", "aria-label": says, "data-number": number },
    shape("title", {}, says),
    shape("line", { class: "whisker", x1: at, x2: at, y1: y(score[1]), y2: y(score[2]) }),
    shape("circle", { cx: at, cy: y(score[0]), r: sure ? 6 : 4.5 }));
  group.addEventListener("focus", () => announce(says));
  return group;
}
