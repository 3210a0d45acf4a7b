// The second tab: symbols taught by one drawing each. The page keeps them, the server does not.

import { Newest, bar, element, figure, percent, trouble, verdict } from "./ask.js";
import { Pad, paint } from "./pad.js";
import { packed, unpacked } from "./file.js";

const KEPT = "siamese alphabet"; // in localStorage

export function alphabetTab(panel) {
  const list = panel.querySelector(".supports"), name = panel.querySelector("#symbol-name");
  const teachButton = panel.querySelector(".teach button"), file = panel.querySelector("input[type=file]");
  const buttons = Object.fromEntries([...panel.querySelectorAll("[data-do]")].map((each) => [each.dataset.do, each]));
  let supports = restored(), limits = { fewest: 2, most: 20 };
  const newest = new Newest(show, (sentence) => trouble(panel, sentence));
  const pad = new Pad(panel.querySelector(".pad"), ask);

  const names = () => new Set(supports.map((support) => support.name));

  function ask() {
    const drawn = pad.strokes.length > 0;
    teachButton.disabled = !drawn;
    if (drawn && names().size >= limits.fewest) return newest.ask("api/alphabet", { supports, probe: pad.strokes });
    newest.forget();
    list.querySelectorAll("li").forEach((item) => item.classList.remove("best"));
    list.querySelectorAll(".score, .bar").forEach((each) => each.replaceChildren());
    verdict(panel, "", drawn ? "Name it and teach it. It takes two symbols to tell them apart." : "Waiting for a drawing.");
  }

  function show({ name: found, threshold, supports: told }) {
    const scores = told.map((each) => each.score), best = scores.indexOf(Math.max(...scores));
    const chance = `similarity ${figure(scores[best])}, threshold ${figure(threshold)}, probability ${percent(told[best].probability)}`;
    if (found === null) verdict(panel, "None of these", `The nearest is ${supports[best].name}: ${chance}.`, "no");
    else verdict(panel, found, `${chance[0].toUpperCase()}${chance.slice(1)}.`);
    [...list.children].forEach((item, place) => {
      item.classList.toggle("best", found !== null && place === best);
      item.querySelector(".score").textContent = `${figure(scores[place])} · ${percent(told[place].probability)}`;
      item.querySelector(".bar").replaceWith(bar(told[place].probability));
    });
  }

  function redraw() {
    list.replaceChildren(...supports.map(card));
    if (!supports.length) list.append(element("li", { className: "none", textContent: "None yet." }));
    buttons.save.disabled = buttons.empty.disabled = !supports.length;
    name.value = free();
    try {
      localStorage.setItem(KEPT, packed(supports));
    } catch {} // where the browser keeps nothing, the symbols last as long as the page
    ask();
  }

  function card(support, place) {
    const canvas = element("canvas", { width: 128, height: 128 });
    paint(canvas.getContext("2d"), support.strokes, 128);
    canvas.setAttribute("aria-hidden", "true");
    const remove = element("button", { type: "button", textContent: "✕", onclick: () => removed(place) });
    remove.setAttribute("aria-label", `Remove ${support.name}`);
    const told = [element("div", { className: "name", textContent: support.name }), element("div", { className: "score" })];
    return element("li", {}, canvas, ...told, bar(0), remove);
  }

  function removed(place) {
    supports.splice(place, 1);
    redraw();
    (list.querySelectorAll("button")[Math.min(place, supports.length - 1)] ?? name).focus();
  }

  // A name that no symbol has yet: the next letter.
  function free() {
    const taken = names();
    const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
    return letters.find((letter) => !taken.has(letter)) ?? `symbol ${taken.size + 1}`;
  }

  function teach(event) {
    event.preventDefault();
    const called = name.value.trim();
    if (!pad.strokes.length) return verdict(panel, "", "Draw the symbol first.");
    if (!called) return trouble(panel, "Give the symbol a name.");
    if (!names().has(called) && names().size >= limits.most) return trouble(panel, `An alphabet here has at most ${limits.most} symbols.`);
    supports.push({ name: called, strokes: pad.strokes });
    pad.clear();
    redraw();
    const more = names().size < limits.fewest ? "Draw and teach another one." : "Draw any of them, or teach another one.";
    verdict(panel, "", `${called} is taught. ${more}`);
  }

  function restored() {
    try {
      return unpacked(localStorage.getItem(KEPT) ?? packed([]));
    } catch {
      return []; // of another version, or nothing can be kept
    }
  }

  function save() {
    const link = element("a", { download: "alphabet.json" });
    link.href = URL.createObjectURL(new Blob([packed(supports)], { type: "application/json" }));
    link.click();
    URL.revokeObjectURL(link.href);
  }

  async function open() {
    const [chosen] = file.files;
    if (!chosen) return;
    try {
      supports = unpacked(await chosen.text());
      redraw();
    } catch (problem) {
      trouble(panel, `${chosen.name}: ${problem.message}`);
    }
    file.value = ""; // so that the same file can be opened again
  }

  panel.querySelector(".teach").addEventListener("submit", teach);
  buttons.save.addEventListener("click", save);
  buttons.open.addEventListener("click", () => file.click());
  buttons.empty.addEventListener("click", () => {
    supports = [];
    redraw();
  });
  file.addEventListener("change", open);
  redraw();
  return {
    pad,
    refresh({ fewest, most, threshold, threshold_from: from }) {
      limits = { fewest, most };
      panel.querySelector(".threshold").textContent = `A drawing is named if its similarity to a symbol is at least ${figure(threshold)} (${from}).`;
      ask();
    },
  };
}
