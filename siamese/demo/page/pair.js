// The third tab: two drawings or images, and whether they show the same.

import { Newest, element, percent, trouble, verdict } from "./ask.js";
import { Pad } from "./pad.js";

export function pairTab(panel) {
  const figures = panel.querySelector(".figures"), threshold = panel.querySelector(".threshold");
  const newest = new Newest(show, fail);
  const sides = [...panel.querySelectorAll(".side")].map((place) => side(place));
  let mostBytes = Infinity;

  function side(place) {
    const input = place.querySelector("input");
    const made = { image: null };
    made.pad = new Pad(place.querySelector(".pad"), () => {
      made.image = null;
      input.value = "";
      ask();
    });
    input.addEventListener("change", () => choose(made, input));
    return made;
  }

  async function choose(made, input) {
    const [file] = input.files;
    if (!file) return;
    if (file.size > mostBytes) {
      made.image = null;
      input.value = "";
      newest.forget();
      return fail(`${file.name} has more than ${mostBytes / 1e6} MB.`);
    }
    made.image = await read(file);
    // What the browser cannot show is sent all the same: the server says what is wrong with it.
    made.pad.show(await createImageBitmap(file).catch(() => null));
    ask();
  }

  const content = ({ pad, image }) => (image ? { image } : pad.strokes.length ? { strokes: pad.strokes } : null);

  function ask() {
    const [first, second] = sides.map(content);
    if (first && second) return newest.ask("api/pair", { first, second });
    newest.forget();
    figures.replaceChildren();
    threshold.textContent = "";
    verdict(panel, "", first || second ? "Waiting for the other one." : "Waiting for two drawings or images.");
  }

  function show({ same, score, probability, threshold: bar, threshold_from: from, notes }) {
    verdict(panel, same ? "Same" : "Different", "", same ? "" : "no");
    const told = { Similarity: score.toFixed(3), "Probability of “same”": percent(probability), Threshold: bar.toFixed(3) };
    figures.replaceChildren(
      ...Object.entries(told).map(([term, value]) => element("div", {}, element("dt", { textContent: term }), element("dd", { textContent: value }))),
    );
    const about = `The threshold: ${from}. The probability is for pairs of which half are the same.`;
    threshold.textContent = [...notes, about].join(" ");
  }

  function fail(sentence) {
    figures.replaceChildren();
    threshold.textContent = "";
    trouble(panel, sentence);
  }

  ask();
  return {
    pads: sides.map((each) => each.pad),
    refresh(_, upload) {
      mostBytes = upload.bytes;
      if (sides.every(content)) ask();
    },
  };
}

function read(file) {
  return new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(file);
  });
}
