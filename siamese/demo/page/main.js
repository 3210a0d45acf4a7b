// The tabs, and what is ready.

import { ask } from "./ask.js";
import { alphabetTab } from "./alphabet.js";
import { digitTab } from "./digit.js";
import { pairTab } from "./pair.js";

const tabs = [...document.querySelectorAll("[role=tab]")];
const panels = tabs.map((tab) => document.getElementById(tab.getAttribute("aria-controls")));
const [digit, alphabet, pair] = panels;
// Which part of the server each panel needs.
const needs = [
  { panel: digit, part: "digits", ...digitTab(digit) },
  { panel: alphabet, part: "one_shot", ...alphabetTab(alphabet) },
  { panel: pair, part: "one_shot", ...pairTab(pair) },
];

function select(place) {
  tabs.forEach((tab, other) => {
    const chosen = other === place;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    panels[other].hidden = !chosen;
  });
  try {
    sessionStorage.setItem("tab", place);
  } catch {} // it then begins with the first tab
}

// Arrow keys go from tab to tab, as the ARIA pattern of tabs has it.
document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const now = tabs.indexOf(document.activeElement), last = tabs.length - 1;
  const next = { ArrowLeft: now ? now - 1 : last, ArrowRight: now < last ? now + 1 : 0, Home: 0, End: last }[event.key];
  if (now < 0 || next === undefined) return;
  event.preventDefault();
  select(next);
  tabs[next].focus();
});
tabs.forEach((tab, place) => tab.addEventListener("click", () => select(place)));

function notice(panel, sentence, quiet) {
  const place = panel.querySelector(".notice");
  place.textContent = sentence;
  place.classList.toggle("quiet", quiet);
  place.hidden = !sentence;
}

// What is being made ready is asked for again until it is.
async function follow() {
  let waits;
  try {
    const state = await ask("api/state");
    for (const need of needs) {
      const part = state[need.part];
      notice(need.panel, part.sentence || part.note || "", part.state === "preparing");
      if (part.state === "ready" && !need.ready) need.refresh(part, state.upload);
      need.ready = part.state === "ready";
    }
    waits = needs.some((need) => state[need.part].state === "preparing");
  } catch (trouble) {
    needs.forEach((need) => notice(need.panel, trouble.message, false));
    waits = true;
  }
  if (waits) setTimeout(follow, 700);
}

let first = 0;
try {
  first = Number(sessionStorage.getItem("tab")) || 0;
} catch {}
select(first);
follow();
