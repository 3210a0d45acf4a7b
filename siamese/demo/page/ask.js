// Questions to the server, and how their answers are written.

export class Trouble extends Error {} // its message is a sentence for people

// The answer to a question; raises Trouble with the server's sentence, or one of our own where it does not answer.
export async function ask(path, question) {
  let response, told;
  try {
    const body = question && JSON.stringify(question);
    const headers = { "content-type": "application/json" };
    response = await fetch(path, question ? { method: "POST", body, headers } : {});
    told = await response.json();
  } catch {
    throw new Trouble("The server does not answer. Start it again with: make demo");
  }
  if (!response.ok) throw new Trouble(told.error ?? `The server answers with ${response.status}.`);
  return told;
}

// Asks one question after another; `show` gets the newest one's answer, `fail` its trouble, and those of older ones nobody.
export class Newest {
  constructor(show, fail) {
    [this.show, this.fail, this.number] = [show, fail, 0];
  }

  forget() {
    this.number++;
  }

  async ask(path, question) {
    const number = ++this.number;
    try {
      const told = await ask(path, question);
      if (number === this.number) this.show(told);
    } catch (trouble) {
      if (!(trouble instanceof Trouble)) throw trouble;
      if (number === this.number) this.fail(trouble.message);
    }
  }
}

export function element(kind, properties = {}, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

// The verdict of a panel: a word that is read from afar, and a sentence.
export function verdict(panel, word, sentence, kind = "") {
  const parts = [];
  if (word) parts.push(element("p", { className: `word ${kind}`, textContent: word }));
  if (sentence) parts.push(element("p", { textContent: sentence }));
  panel.querySelector(".verdict").replaceChildren(...parts);
}

export function trouble(panel, sentence) {
  panel.querySelector(".verdict").replaceChildren(element("p", { className: "error", textContent: sentence }));
}

export function bar(share) {
  const filled = element("i");
  filled.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  const made = element("div", { className: "bar" }, filled);
  made.setAttribute("aria-hidden", "true"); // the figure beside it says the same
  return made;
}

// A similarity with two digits, and no minus before nothing.
export function figure(score) {
  return score.toFixed(2).replace(/^-(0\.00)$/, "$1");
}

// A probability in per cent; none is ever quite 0 or 100.
export function percent(share) {
  const value = 100 * share;
  if (value > 99.95) return "> 99.9 %";
  return value < 0.05 ? "< 0.1 %" : `${value.toFixed(1)} %`;
}
