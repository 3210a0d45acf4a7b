"""The page as a whole: by keyboard, without models, narrow and wide."""

import threading

import pytest
from playwright.sync_api import expect

from siamese.demo.app import create_app
from siamese.demo.digits import Digits
from siamese.demo.parts import Part, prepare
from tests.demo.asked import missing
from tests.demo.hand import draw, served, shot, teach
from tests.demo.hand_drawn import DIGITS, OTHERS


def test_all_of_it_with_the_keyboard_alone(address, visit):
    page = visit(address)
    press = page.keyboard.press

    def pen(*moves: str) -> None:
        """Down, some moves such as ``"ArrowDown 14"``, and up."""
        press("Space")
        for move in moves:
            key, times = move.split()
            for _ in range(int(times)):
                press(key)
        press("Space")

    press("Tab")
    expect(page.get_by_role("tab", name="Digit")).to_be_focused()
    press("Tab")
    canvas = page.locator("#digit canvas")
    expect(canvas).to_be_focused()
    assert canvas.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
    for _ in range(8):
        press("ArrowUp")
    pen("ArrowDown 16")
    expect(page.locator("#digit .verdict .word")).to_have_text("1")
    shot(page, "keyboard")
    press("Escape")
    expect(page.locator("#digit .verdict")).to_have_text("Waiting for a drawing.")
    for key in ["ArrowUp"] * 16 + ["ArrowLeft"] * 5:
        press(key)
    pen("ArrowRight 9", *["ArrowDown 2", "End 1"] * 5)
    expect(page.locator("#digit .verdict .word")).to_have_text("7")
    press("Backspace")

    press("Shift+Tab")
    press("ArrowRight")
    expect(page.get_by_role("tab", name="Your alphabet")).to_be_focused()
    for name, moves in {"L": ["ArrowDown 8", "ArrowRight 6"], "Z": ["ArrowRight 6", "End 6", "ArrowRight 6"]}.items():
        page.locator("#alphabet .pad canvas").focus()
        pen(*moves)
        page.get_by_label("Its name").focus()
        press("Control+A")
        page.keyboard.type(name)
        press("Enter")
    expect(page.locator("#alphabet .supports li")).to_have_count(2)
    page.locator("#alphabet .pad canvas").focus()
    pen("ArrowDown 7", "ArrowRight 5")
    expect(page.locator("#alphabet .verdict .word")).to_have_text("L")
    page.get_by_role("tab", name="Your alphabet").focus()
    press("End")
    expect(page.locator("#pair")).to_be_visible()
    press("ArrowRight")
    expect(page.locator("#digit")).to_be_visible()


def test_without_models_every_tab_says_so_and_how_to_get_one(visit):
    sentence = "No trained model is here. `make train-{}` makes one."
    parts = missing(sentence.format("mnist")), missing(sentence.format("omniglot"))
    prepare(parts).join()
    with served(create_app(*parts)) as address:
        page = visit(address)
        for tab, target in {"Digit": "mnist", "Your alphabet": "omniglot", "Same or different": "omniglot"}.items():
            page.get_by_role("tab", name=tab).click()
            expect(page.locator(".notice:visible")).to_have_text(sentence.format(target))
        page.get_by_role("tab", name="Digit").click()
        draw(page.locator("#digit canvas"), DIGITS[1])
        expect(page.locator("#digit .verdict .error")).to_contain_text("No trained model is here.")
        shot(page, "no-model")


def test_what_is_being_made_ready_is_told_and_then_there(models, visit):
    until = threading.Event()

    def make() -> Digits:
        until.wait()
        return models[0]

    digits, one_shot = Part("Digits", make), Part("One-shot network", lambda: models[1])
    thread = prepare([one_shot, digits])
    with served(create_app(digits, one_shot)) as address:
        page = visit(address)
        expect(page.locator("#digit .notice")).to_have_text("Digits: getting ready; this takes a few seconds.")
        draw(page.locator("#digit canvas"), DIGITS[1])
        expect(page.locator("#digit .verdict .error")).to_contain_text("getting ready")
        until.set()
        thread.join()
        expect(page.locator("#digit .verdict .word")).to_have_text("1")
        expect(page.locator("#digit .notice")).to_be_hidden()


# The least contrast of all text that is shown, WCAG 2's ratio, and where it is.
CONTRAST = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (each) => {
    for (; each; each = each.parentElement) {
      const colour = numbers(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const shown = [...document.querySelectorAll("body *")].filter((each) => each.checkVisibility()
    && (each.matches("input") || [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim())));
  const ratios = shown.map((each) => {
    const [a, b] = [light(numbers(getComputedStyle(each).color)), light(behind(each))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), each.outerHTML.slice(0, 80)];
  });
  return [ratios.length, ...ratios.sort((a, b) => a[0] - b[0])[0]];
}"""


@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_narrow_and_wide_and_is_easily_read(width, address, visit):
    page = visit(address, width)
    for tab in ("Digit", "Your alphabet", "Same or different"):
        page.get_by_role("tab", name=tab).click()
        if tab == "Your alphabet":
            for name in ("star", "house", "hash"):
                teach(page, name)
        for canvas in page.locator(".pad canvas:visible").all():
            draw(canvas, OTHERS["cross"])
        expect(page.locator(".verdict:visible .word")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        texts, least, where = page.evaluate(CONTRAST)
        assert texts > 10 and least >= 4.5, where
        shot(page, f"{tab.split()[-1]}-{width}")
