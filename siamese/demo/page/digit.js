// The first tab: a digit, or none.

import { Newest, bar, element, percent, trouble, verdict } from "./ask.js";
import { Pad } from "./pad.js";

export function digitTab(panel) {
  const bars = panel.querySelector(".bars"), seen = panel.querySelector(".seen");
  const newest = new Newest(show, (sentence) => {
    forget();
    trouble(panel, sentence);
  });

  function forget() {
    bars.replaceChildren();
    seen.hidden = true;
    verdict(panel, "", "Waiting for a drawing.");
  }

  function show({ top, refused, factor, most, seen: image }) {
    const figures = refused === null ? "" : `Local outlier factor ${factor.toFixed(2)}, `;
    if (refused) verdict(panel, "Not a digit", `${figures}above ${most.toFixed(2)}. The nearest digits:`, "no");
    else verdict(panel, top[0].digit, figures && `${figures}up to ${most.toFixed(2)} is a digit.`, "digit");
    bars.classList.toggle("refused", Boolean(refused));
    bars.replaceChildren(
      ...top.map(({ digit, probability }) =>
        element("li", {}, element("b", { textContent: digit }), bar(probability), element("span", { textContent: percent(probability) })),
      ),
    );
    seen.querySelector("img").src = image;
    seen.hidden = false;
  }

  const pad = new Pad(panel.querySelector(".pad"), (strokes) => {
    if (strokes.length) newest.ask("api/digit", { strokes });
    else {
      newest.forget();
      forget();
    }
  });
  forget();
  return { pad, refresh: () => pad.strokes.length && newest.ask("api/digit", { strokes: pad.strokes }) };
}
