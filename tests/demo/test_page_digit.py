"""The page's first tab as a person meets it: digits drawn with the mouse are read, other things are refused."""

import pytest
from playwright.sync_api import expect

from tests.demo.hand import answered, draw, shot
from tests.demo.hand_drawn import DIGITS, OTHERS

# What a network of two epochs refuses with room to spare; one of a whole training refuses more.
REFUSED = ("star", "house", "triangle", "cross", "zigzag")


@pytest.mark.parametrize("how", [{}, {"scale": 0.35, "corner": (0.6, 0.05)}], ids=["large", "small"])
def test_all_ten_digits_are_read(how, address, visit):
    page = visit(address)
    canvas, word = page.locator("#digit canvas"), page.locator("#digit .verdict .word")
    for digit, strokes in enumerate(DIGITS):
        told = answered(page, canvas, strokes, "api/digit", **how)
        assert told["refused"] is False, (digit, told["factor"])
        expect(word).to_have_text(str(digit))
        expect(page.locator("#digit .bars li")).to_have_count(3)
        assert page.locator("#digit .bars li").first.inner_text().split() == [str(digit), *percent(told)]
        if digit == 8 and not how:
            shot(page, "digit")
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#digit .verdict")).to_have_text("Waiting for a drawing.")


def percent(told: dict) -> list[str]:
    value = 100 * told["top"][0]["probability"]
    return [">", "99.9", "%"] if value > 99.95 else [f"{value:.1f}", "%"]


@pytest.mark.parametrize("thing", REFUSED)
def test_what_is_no_digit_is_refused(thing, address, visit):
    page = visit(address)
    told = answered(page, page.locator("#digit canvas"), OTHERS[thing], "api/digit")
    assert told["factor"] > told["most"]
    expect(page.locator("#digit .verdict .word")).to_have_text("Not a digit")
    expect(page.locator("#digit .bars li")).to_have_count(3)
    shot(page, f"refused-{thing}")


def test_it_is_read_after_each_stroke_and_undone(address, visit):
    page = visit(address)
    canvas, word = page.locator("#digit canvas"), page.locator("#digit .verdict .word")
    answered(page, canvas, DIGITS[1], "api/digit")
    expect(word).to_have_text("1")
    draw(canvas, [[(0.2, 0.2), (0.8, 0.8)], [(0.8, 0.2), (0.2, 0.8)]])
    expect(word).to_have_text("Not a digit")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    expect(word).to_have_text("1")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#digit .verdict")).to_have_text("Waiting for a drawing.")


def test_an_older_answer_does_not_overwrite_a_newer_one(address, visit):
    page = visit(address)
    held = []
    page.route("**/api/digit", lambda route: held.append(route) if not held else route.continue_())
    canvas, word = page.locator("#digit canvas"), page.locator("#digit .verdict .word")
    draw(canvas, [[(0.2, 0.2), (0.8, 0.8)]])
    draw(canvas, [[(0.8, 0.2), (0.2, 0.8)]])
    expect(word).to_have_text("Not a digit")
    with page.expect_response("**/api/digit"):
        held[0].fulfill(json={"top": [{"digit": "9", "probability": 1}], "refused": None, "seen": "data:,"})
    page.wait_for_timeout(100)
    expect(word).to_have_text("Not a digit")


def test_a_finger_draws_and_a_second_one_does_not_disturb_it(address, visit):
    page = visit(address, touch=True)
    canvas = page.locator("#digit canvas")
    canvas.scroll_into_view_if_needed()
    box, session = canvas.bounding_box(), page.context.new_cdp_session(page)
    scrolled = page.evaluate("scrollY")

    def touch(kind: str, *points: tuple[int, tuple[float, float]]) -> None:
        there = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"], "id": finger}
            for finger, (x, y) in points
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": there})

    with page.expect_response("**/api/digit") as got:
        touch("touchStart", (0, (0.5, 0.1)))
        for step in range(1, 9):
            touch("touchMove", (0, (0.5, 0.1 + step / 10)))
            if step == 4:
                touch("touchStart", (0, (0.5, 0.5)), (1, (0.9, 0.9)))  # the ball of the hand
        touch("touchEnd")
    drawn = got.value.request.post_data_json["strokes"]
    assert len(drawn) == 1 and all(abs(x - 0.5) < 0.02 for x, _ in drawn[0])
    assert drawn[0][0][1] < 0.15 and drawn[0][-1][1] > 0.8
    assert page.evaluate("scrollY") == scrolled  # a finger that draws does not scroll the page
    expect(page.locator("#digit .verdict .word")).to_have_text("1")


def test_a_server_that_is_gone_is_told(address, visit):
    page = visit(address)
    page.route("**/api/digit", lambda route: route.abort())
    draw(page.locator("#digit canvas"), DIGITS[1])
    expect(page.locator("#digit .verdict .error")).to_have_text(
        "The server does not answer. Start it again with: make demo"
    )
