// An alphabet as one JSON file, and back.

const FORMAT = "siamese alphabet", VERSION = 1;
const MOST_SYMBOLS = 20, MOST_SUPPORTS = 60, MOST_NAME = 40, MOST_POINTS = 2000; // what the server takes

export function packed(supports) {
  return JSON.stringify({ format: FORMAT, version: VERSION, symbols: supports });
}

// The supports [{name, strokes}] in the text of a file. Raises an Error with a sentence where it holds none.
export function unpacked(text) {
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error("this is not JSON, so no alphabet that was saved here.");
  }
  if (content?.format !== FORMAT || !Array.isArray(content.symbols)) throw new Error("this is no alphabet that was saved here.");
  if (content.version !== VERSION) throw new Error(`this alphabet is of version ${content.version}; this page reads version ${VERSION}.`);
  if (!content.symbols.every(sound)) throw new Error("a symbol in it is damaged.");
  const names = new Set(content.symbols.map((symbol) => symbol.name));
  if (names.size > MOST_SYMBOLS || content.symbols.length > MOST_SUPPORTS) throw new Error(`it has more than ${MOST_SYMBOLS} symbols or ${MOST_SUPPORTS} drawings.`);
  return content.symbols.map(({ name, strokes }) => ({ name, strokes }));
}

function sound(symbol) {
  const { name, strokes } = symbol ?? {};
  if (typeof name !== "string" || !name.trim() || name.length > MOST_NAME || !Array.isArray(strokes) || !strokes.length) return false;
  const points = strokes.flat();
  const drawn = strokes.every((stroke) => Array.isArray(stroke) && stroke.length) && points.length <= MOST_POINTS;
  return drawn && points.every((point) => Array.isArray(point) && point.length === 2 && point.every((value) => value >= 0 && value <= 1));
}
