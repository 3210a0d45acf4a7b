"""The server behind the page. It keeps nothing: whatever a question takes comes with it, and nothing is written to disk.

FastAPI and a page of our own rather than Gradio, which writes every upload to a temporary folder.

    GET  /api/state     {digits, one_shot: {state, sentence, …}, upload: {bytes, pixels}}
    POST /api/digit     {strokes}                        -> Digits.read
    POST /api/alphabet  {supports: [{name, strokes}], probe} -> OneShot.name
    POST /api/pair      {first, second: {strokes} | {image}} -> OneShot.compare

``strokes`` is a list of strokes, each a list of points [x, y] with the canvas from 0 to 1; ``image`` a ``data:`` URL. What is
wrong is told as ``{"error": "a sentence"}``: 400 for what is no JSON, 413 for too much, 422 for what cannot be answered, 503
for what is not ready or not there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import AfterValidator, BaseModel, Field, model_validator
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from siamese.datasets.decoding import BadImage, Picture
from siamese.demo.alphabet import MOST_SUPPORTS, OneShot, Support
from siamese.demo.digits import Digits
from siamese.demo.drawings import MOST_BYTES, MOST_PIXELS, Strokes, uploaded
from siamese.demo.guard import Guard
from siamese.demo.parts import NotReady, Part
from siamese.errors import UserError

PAGE = Path(__file__).parent / "page"
MOST_POINTS = 2_000  # of a drawing: the page leaves out those that lie too close
MOST_BODY = 2 * (MOST_BYTES * 4 // 3) + 100_000  # two images in base64, and what is around them


def _few_points(strokes: Strokes) -> Strokes:
    if sum(map(len, strokes)) > MOST_POINTS:
        raise ValueError(f"a drawing has at most {MOST_POINTS:,} points")
    return strokes


Coordinate = Annotated[float, Field(ge=-1, le=2, allow_inf_nan=False)]
Points = Annotated[list[tuple[Coordinate, Coordinate]], Field(min_length=1, max_length=MOST_POINTS)]
Drawing = Annotated[list[Points], Field(min_length=1, max_length=MOST_POINTS), AfterValidator(_few_points)]


class DigitQuestion(BaseModel):
    strokes: Drawing


class Taught(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=40)]
    strokes: Drawing


class AlphabetQuestion(BaseModel):
    supports: Annotated[list[Taught], Field(max_length=MOST_SUPPORTS)]
    probe: Drawing


class Side(BaseModel):
    strokes: Drawing | None = None
    image: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Side:
        if (self.strokes is None) == (self.image is None):
            raise ValueError("either strokes or an image")
        return self


class PairQuestion(BaseModel):
    first: Side
    second: Side


def create_app(digits: Part[Digits], one_shot: Part[OneShot]) -> FastAPI:
    """The server of one page.

    Args:
        digits: reads digits.
        one_shot: names symbols and compares pairs.
    """
    # Without the pages that describe an interface: they load scripts from elsewhere.
    app = FastAPI(title="siamese", docs_url=None, redoc_url=None, openapi_url=None)
    _tell_errors(app)
    app.add_middleware(Guard, most=MOST_BODY)
    # A page of another site may have its name lead to this machine (DNS rebinding), but not under these names.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"], www_redirect=False)

    @app.get("/api/state")
    def state() -> dict[str, Any]:
        limits = {"bytes": MOST_BYTES, "pixels": MOST_PIXELS}
        return {"digits": digits.about(), "one_shot": one_shot.about(), "upload": limits}

    # Plain functions, which FastAPI runs in threads of their own: a slow answer does not hold up the page.
    @app.post("/api/digit")
    def digit(question: DigitQuestion) -> dict[str, Any]:
        return digits.ready().read(question.strokes)

    @app.post("/api/alphabet")
    def alphabet(question: AlphabetQuestion) -> dict[str, Any]:
        supports = [Support(each.name, each.strokes) for each in question.supports]
        return one_shot.ready().name(supports, question.probe)

    @app.post("/api/pair")
    def pair(question: PairQuestion) -> dict[str, Any]:
        part = one_shot.ready()
        first = _picture(part, question.first, "the first image")
        return part.compare(first, _picture(part, question.second, "the second image"))

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def _picture(part: OneShot, side: Side, name: str) -> Picture:
    if side.image is not None:
        return uploaded(side.image, name)
    assert side.strokes is not None  # as Side has made sure
    return part.picture(side.strokes)


def _tell_errors(app: FastAPI) -> None:
    """Whatever goes wrong is told in a sentence."""

    def told(status: int, sentence: str) -> JSONResponse:
        return JSONResponse({"error": sentence[:1].upper() + sentence[1:]}, status)

    @app.exception_handler(NotReady)
    def not_ready(_: Request, error: NotReady) -> JSONResponse:
        return told(503, str(error))

    @app.exception_handler(BadImage)
    def bad_image(_: Request, error: BadImage) -> JSONResponse:
        return told(422, f"{error.where} {error.reason}.")

    @app.exception_handler(UserError)
    def user(_: Request, error: UserError) -> JSONResponse:
        return told(422, str(error))

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return told(400, "the question is not JSON.")
        where = ".".join(map(str, first["loc"][1:])) or "the body"
        reason = first["msg"].removeprefix("Value error, ")
        return told(422, f"the question is not one that the page asks: {where}: {reason}.")

    @app.exception_handler(HTTPException)
    def http(_: Request, error: HTTPException) -> JSONResponse:
        return told(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    def mistake(_: Request, error: Exception) -> JSONResponse:
        return told(500, "the server has made a mistake; its terminal says more.")
