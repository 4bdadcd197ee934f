// The page as a whole: tabs, colours, links, and which part is drawn when.

const views = $$(".view[data-board]").map((root) => {
  const index = Number(root.dataset.board);
  return { index, root, board: DATA.boards[index], rows: [], axes: [], list: null, opened: null, chosen: [], items: new Map() };
});
const tabs = $$('[role="tab"]');
const TAB_OF = (name) => (tabs.length ? tabs.find((tab) => tab.id === `tab-${name}`) ?? tabs[0] : null);
const ALL = new Set(Object.keys(DEFAULTS));

function activeView() {
  const tab = TAB_OF(state.tab);
  return tab ? views.find((view) => `tab-${view.index}` === tab.id) ?? null : views[0];
}

function draw(changed) {
  const all = changed.has("tab") ? ALL : changed;
  if (changed.has("tab")) drawTabs();
  const view = activeView();
  if (!view) return;
  const has = (...keys) => keys.some((key) => all.has(key));
  if (has("sort", "base", "q")) drawTable(view, all);
  if (has("axis", "q")) drawPlot(view);
  if (has("past")) drawHistory(view);
  if (has("field", "cells", "sort", "q", "base")) drawSlices(view);
  if (has("a", "b", "base", "show", "slice", "find", "ex")) {
    if (state.ex || state.find || state.show) openExplorer(view);
    drawExplorer(view, all);
  }
}

function drawTabs() {
  const chosen = TAB_OF(state.tab);
  for (const tab of tabs) {
    const on = tab === chosen;
    tab.setAttribute("aria-selected", String(on));
    tab.tabIndex = on ? 0 : -1;
    const panel = document.getElementById(tab.getAttribute("aria-controls"));
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    panel.hidden = !on;
  }
}

function chooseTab(tab) {
  update({ ...Object.fromEntries(OF_A_BOARD.map((key) => [key, ""])), tab: tab.id.slice(4) });
}

function setUpTabs() {
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => chooseTab(tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      const next = tabs[(to + tabs.length) % tabs.length];
      event.preventDefault();
      chooseTab(next);
      next.focus();
    });
  });
}

function setUpTheme() {
  const button = $('[data-do="theme"]');
  const ways = ["", "light", "dark"];
  const signs = { "": ["◐", "as the system"], light: ["○", "light"], dark: ["●", "dark"] };
  let way = "";
  try {
    way = localStorage.getItem("dstill-theme") ?? "";
  } catch {
    // A frame without an origin keeps nothing.
  }
  const show = () => {
    if (way) document.documentElement.dataset.theme = way;
    else delete document.documentElement.dataset.theme;
    const [sign, name] = signs[way] ?? signs[""];
    button.textContent = sign;
    button.setAttribute("aria-label", `Colours: ${name}`);
    button.title = `Colours: ${name}`;
  };
  button.addEventListener("click", () => {
    way = ways[(ways.indexOf(way) + 1) % ways.length];
    try {
      localStorage.setItem("dstill-theme", way);
    } catch {
      // See above.
    }
    show();
    announce(`Colours: ${signs[way][1]}`);
  });
  show();
}

function setUpLink() {
  const button = $('[data-do="link"]');
  if (location.protocol === "about:") button.hidden = true; // a notebook's frame has no address to give
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(location.href);
    } catch {
      const field = make("textarea", {}, location.href);
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
      button.focus();
    }
    button.textContent = "Copied";
    announce("The link to this view is copied");
    setTimeout(() => { button.textContent = "Copy link"; }, 1500);
  });
}

for (const view of views) {
  setUpTable(view);
  setUpPlot(view);
  setUpHistory(view);
  setUpSlices(view);
  setUpExplorer(view);
}
if ($(".overall")) setUpOverall($("#view-overall"));
setUpTabs();
setUpTheme();
setUpLink();
setUpLive();
$(".skip").addEventListener("click", (event) => { event.preventDefault(); $("#systems").focus(); });
listeners.push(draw);
window.addEventListener("hashchange", () => update(readAddress()));
Object.assign(state, readAddress());
document.documentElement.classList.add("ready");
draw(ALL);
if (state.ex) $(".examples", activeView()?.root ?? document)?.scrollIntoView({ block: "start", behavior: "instant" });
