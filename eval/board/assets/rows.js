// The rows of a board, unpacked when they are first looked at.

/** A packed column: whole numbers that point into its table. */
function unpack({ table, width, data }) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const Kind = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[width];
  return { table, codes: new Kind(bytes.buffer) };
}

/** Every system's outcome, outputs and feedback on every example. */
function rowsOf(view) {
  if (view.opened) return view.opened;
  const source = $(`#rows-${view.index}`);
  const { ids, asked, outcome, said, why, cut } = JSON.parse(source.textContent);
  const [scores, outputs, reasons] = [outcome, said, why].map(unpack);
  const n = ids.length;
  const count = view.board.systems.length;
  const look = ({ table, codes }, system, example) => table[codes[system * n + example]];
  const share = new Float64Array(n);
  for (let example = 0; example < n; example += 1) {
    let [sum, scored] = [0, 0];
    for (let system = 0; system < count; system += 1) {
      const [score] = look(scores, system, example);
      if (score !== null) [sum, scored] = [sum + score, scored + 1];
    }
    share[example] = scored ? sum / scored : NaN;
  }
  view.opened = {
    n, ids, asked, cut, share,
    places: new Map(ids.map((id, place) => [id, place])),
    score: (system, example) => look(scores, system, example)[0],
    status: (system, example) => look(scores, system, example)[1],
    said: (system, example) => look(outputs, system, example),
    code: (system, example) => outputs.codes[system * n + example],
    why: (system, example) => look(reasons, system, example),
    search: (words) => search(words, { ids, asked, outputs, n, count }),
  };
  return view.opened;
}

/** Which examples hold a text in their id, their fields or anybody's outputs; each distinct output is read once. */
function search(words, { ids, asked, outputs, n, count }) {
  const text = words.toLowerCase();
  const holds = (fields) => fields.some(([, value]) => value.toLowerCase().includes(text));
  const hit = outputs.table.map(holds);
  return ids.map((id, example) => {
    if (id.toLowerCase().includes(text) || (asked && holds(asked[example]))) return true;
    for (let system = 0; system < count; system += 1) if (hit[outputs.codes[system * n + example]]) return true;
    return false;
  });
}

/** Examples of a slice, "field=value"; all where there is none. */
function inSlice(view, rows) {
  const [field, ...rest] = state.slice.split("=");
  const value = rest.join("=");
  if (!state.slice || !rows.asked) return () => true;
  return (example) => {
    const found = rows.asked[example].find(([name]) => name === field);
    return label(found?.[1]) === value;
  };
}

/** A field's value as slices call it. */
function label(text) {
  if (text === undefined || text === "null") return "(none)";
  return { true: "True", false: "False" }[text] ?? text;
}
