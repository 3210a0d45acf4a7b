"""The page's other tabs: an alphabet taught by one drawing each, and pairs."""

import json
import re

from playwright.sync_api import expect

from tests.demo.hand import answered, draw, shot, teach
from tests.demo.hand_drawn import OTHERS


def test_an_alphabet_is_taught_asked_saved_and_opened(address, visit, tmp_path):
    page = visit(address)
    page.get_by_role("tab", name="Your alphabet").click()
    canvas, panel = page.locator("#alphabet .pad canvas"), page.locator("#alphabet")
    word, cards = panel.locator(".verdict .word"), panel.locator(".supports li:not(.none)")
    symbols = ["star", "house", "spiral", "hash", "arrow"]
    for name in symbols:
        teach(page, name)
    expect(cards).to_have_count(5)
    for name in symbols:
        told = answered(page, canvas, OTHERS[name], "api/alphabet", scale=0.6, corner=(0.3, 0.1))
        expect(word).to_have_text(name)
        best = cards.nth(symbols.index(name))
        expect(best).to_have_class("best")
        expect(best).to_contain_text(f"{max(each['score'] for each in told['supports']):.2f}")
        if name == "star":
            shot(page, "alphabet")
        panel.get_by_role("button", name="Clear").click()
    answered(page, canvas, [[(0.1, 0.5), (0.9, 0.52)]], "api/alphabet")
    expect(word).to_have_text("None of these")
    shot(page, "none-of-these")

    with page.expect_download() as saved:
        page.get_by_role("button", name="Save").click()
    saved.value.save_as(tmp_path / "alphabet.json")
    kept = json.loads((tmp_path / "alphabet.json").read_text())
    assert [each["name"] for each in kept["symbols"]] == symbols

    page.get_by_role("button", name="Remove house").click()
    expect(cards).to_have_count(4)
    page.reload()
    page.get_by_role("tab", name="Your alphabet").click()
    assert [text.split()[0] for text in cards.all_inner_texts()] == ["star", "spiral", "hash", "arrow"]
    page.get_by_role("button", name="Remove all").click()
    expect(panel.locator(".supports")).to_have_text("None yet.")

    chooser = panel.locator("input[type=file]")
    wrong = {
        "{": "this is not JSON", "[]": "this is no alphabet",
        json.dumps(kept | {"version": 9}): "this alphabet is of version 9",
        json.dumps(kept | {"symbols": [{"name": "x", "strokes": [[[9, 9]]]}]}): "a symbol in it is damaged",
        json.dumps(kept | {"symbols": [None]}): "a symbol in it is damaged",
        json.dumps(kept | {"symbols": kept["symbols"] * 13}): "it has more than 20 symbols or 60 drawings",
    }  # fmt: skip
    for content, said in wrong.items():
        chooser.set_input_files({"name": "mine.json", "mimeType": "application/json", "buffer": content.encode()})
        expect(panel.locator(".verdict .error")).to_contain_text(f"mine.json: {said}")
    chooser.set_input_files(tmp_path / "alphabet.json")
    expect(cards).to_have_count(5)
    answered(page, canvas, OTHERS["house"], "api/alphabet")
    expect(word).to_have_text("house")


def test_same_or_different(address, visit, tmp_path):
    page = visit(address)
    page.get_by_role("tab", name="Same or different").click()
    panel = page.locator("#pair")
    first, second = panel.locator("canvas").all()
    word, error = panel.locator(".verdict .word"), panel.locator(".verdict .error")
    draw(first, OTHERS["star"])
    expect(panel.locator(".verdict")).to_have_text("Waiting for the other one.")
    draw(second, OTHERS["star"], scale=0.7, corner=(0.1, 0.2))
    expect(word).to_have_text("Same")
    shot(page, "same")
    panel.get_by_role("button", name="Clear").last.click()
    draw(second, [[(0.1, 0.5), (0.9, 0.52)]])
    expect(word).to_have_text("Different")
    for term in ("Similarity", "Probability of “same”", "Threshold"):
        assert re.search(r"\d", panel.locator(".figures div", has_text=term).locator("dd").inner_text())

    picture = tmp_path / "star.png"
    picture.write_bytes(first.screenshot())
    chooser = panel.locator("input[type=file]").last
    chooser.set_input_files(picture)
    expect(word).to_be_visible()
    expect(panel.get_by_role("button", name="Clear").last).to_be_enabled()
    shot(page, "image")
    for content, said in {
        b"this is no image": "The second image is damaged, or none of PNG",
        picture.read_bytes()[:300]: "The second image ",
        bytes(5_000_001): "broken.png has more than 5 MB.",
    }.items():
        chooser.set_input_files({"name": "broken.png", "mimeType": "image/png", "buffer": content})
        expect(error).to_contain_text(said)
    draw(second, OTHERS["star"])
    expect(word).to_have_text("Same")
