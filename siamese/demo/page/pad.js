// A square to draw on with mouse, pen, finger or keyboard. A drawing is a list of strokes, each a list of points [x, y] in 0..1.

const NEAR = 0.008; // of the side: nearer points add nothing
const STEP = 1 / 24, SMALL = 1 / 96; // of the side, for the keyboard
const MOST_POINTS = 1950; // a drawing the server still takes

const MOVES = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  Home: [-1, -1], PageUp: [1, -1], End: [-1, 1], PageDown: [1, 1],
};

const clamped = (value) => Math.min(1, Math.max(0, value));

// Strokes in ink on a canvas whose side is `side` pixels of its own.
export function paint(context, strokes, side) {
  context.strokeStyle = context.fillStyle = "#1d2733";
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = Math.max(1.5, side / 34);
  for (const stroke of strokes) {
    context.beginPath();
    stroke.forEach(([x, y], place) => (place ? context.lineTo(x * side, y * side) : context.moveTo(x * side, y * side)));
    if (stroke.length === 1) context.lineTo(stroke[0][0] * side, stroke[0][1] * side); // a dot
    context.stroke();
  }
}

export class Pad {
  // `changed(strokes)` is called after each stroke, undo and clear.
  constructor(place, changed) {
    this.changed = changed;
    this.strokes = [];
    this.drawing = null; // the stroke that is being drawn
    this.pen = null; // the keyboard's: [x, y]
    this.picture = null; // an image shown in place of strokes
    this.build(place);
  }

  build(place) {
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", `${place.dataset.label}. Arrow keys move the pen, Space puts it down and up.`);
    this.canvas.setAttribute("aria-describedby", "keys");
    const buttons = document.createElement("div");
    buttons.className = "buttons";
    this.undoButton = this.button(buttons, "Undo", () => this.undo());
    this.clearButton = this.button(buttons, "Clear", () => this.clear());
    this.told = document.createElement("span");
    this.told.className = "pen";
    this.told.setAttribute("aria-live", "polite");
    buttons.append(this.told);
    place.append(this.canvas, buttons);

    this.canvas.addEventListener("pointerdown", (event) => this.down(event));
    this.canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) this.canvas.addEventListener(end, (event) => this.up(event));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("focus", () => this.takeUp());
    this.canvas.addEventListener("blur", () => this.putAway());
    new ResizeObserver(() => this.redraw()).observe(this.canvas);
    this.enable();
  }

  button(place, text, act) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", act);
    place.append(made);
    return made;
  }

  // with mouse, pen or finger

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [clamped((event.clientX - box.left) / box.width), clamped((event.clientY - box.top) / box.height)];
  }

  down(event) {
    if (event.button !== 0 || this.drawing || this.points() >= MOST_POINTS) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.putAway();
    this.picture = null;
    this.pointer = event.pointerId;
    this.drawing = [this.at(event)];
    this.redraw();
  }

  move(event) {
    if (!this.drawing || event.pointerId !== this.pointer) return;
    const between = event.getCoalescedEvents?.() ?? [];
    for (const each of between.length ? between : [event]) this.extend(this.at(each));
    this.redraw();
  }

  up(event) {
    if (!this.drawing || event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.finish();
  }

  extend([x, y]) {
    const [lastX, lastY] = this.drawing.at(-1);
    if (Math.hypot(x - lastX, y - lastY) >= NEAR && this.points() < MOST_POINTS) this.drawing.push([x, y]);
  }

  points() {
    return this.strokes.reduce((sum, stroke) => sum + stroke.length, this.drawing?.length ?? 0);
  }

  finish() {
    this.strokes.push(this.drawing.map((point) => point.map((value) => Math.round(value * 1e4) / 1e4)));
    this.drawing = null;
    this.tell();
  }

  // with a keyboard

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in MOVES) this.steer(MOVES[event.key], event.shiftKey ? SMALL : STEP);
    else if (event.key === " ") this.toggle();
    else if (event.key === "Escape") this.clear();
    else if (event.key === "Backspace") this.undo();
    else return;
    event.preventDefault();
  }

  steer([right, below], step) {
    this.pen ??= [0.5, 0.5];
    this.pen = [clamped(this.pen[0] + right * step), clamped(this.pen[1] + below * step)];
    if (this.drawing) this.extend(this.pen);
    this.redraw();
  }

  toggle() {
    this.pen ??= [0.5, 0.5];
    if (this.drawing) {
      this.finish();
      this.told.textContent = "Pen up";
    } else if (this.points() < MOST_POINTS) {
      this.picture = null;
      this.drawing = [[...this.pen]];
      this.told.textContent = "Pen down";
      this.redraw();
    }
  }

  // Who came by keyboard sees where the pen is.
  takeUp() {
    if (!this.canvas.matches(":focus-visible")) return;
    this.pen = [0.5, 0.5];
    this.redraw();
  }

  // A stroke the keyboard left open is finished when it goes elsewhere.
  putAway() {
    if (this.drawing) this.finish();
    this.pen = null;
    this.told.textContent = "";
    this.redraw();
  }

  // what there is

  undo() {
    if (this.drawing) this.drawing = null;
    else this.strokes.pop();
    this.tell();
  }

  clear() {
    this.strokes = [];
    this.drawing = this.picture = null;
    this.tell();
  }

  show(picture) {
    this.strokes = [];
    this.drawing = null;
    this.picture = picture;
    this.redraw();
    this.enable();
  }

  tell() {
    this.redraw();
    this.enable();
    this.changed(this.strokes);
  }

  enable() {
    this.undoButton.disabled = !this.strokes.length;
    this.clearButton.disabled = !this.strokes.length && !this.picture;
  }

  redraw() {
    const side = Math.round(this.canvas.clientWidth * devicePixelRatio);
    if (!side) return; // in a tab that is not shown
    this.canvas.width = this.canvas.height = side;
    const context = this.canvas.getContext("2d");
    if (this.picture) {
      const { width, height } = this.picture, scale = side / Math.max(width, height);
      context.drawImage(this.picture, (side - width * scale) / 2, (side - height * scale) / 2, width * scale, height * scale);
    }
    paint(context, this.drawing ? [...this.strokes, this.drawing] : this.strokes, side);
    if (this.pen) this.paintPen(context, side);
  }

  paintPen(context, side) {
    const [x, y] = this.pen.map((value) => value * side);
    context.lineWidth = Math.max(2, side / 150);
    context.strokeStyle = context.fillStyle = "#d9541e";
    context.beginPath();
    context.arc(x, y, side / 34, 0, 2 * Math.PI);
    this.drawing ? context.fill() : context.stroke();
  }
}
