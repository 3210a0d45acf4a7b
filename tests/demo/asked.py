"""Questions for the demo's server, and what it must not answer with."""

import base64
import io
import struct
import zlib

from PIL import Image

from siamese.demo.parts import Part
from siamese.errors import UserError
from tests.demo.hand_drawn import OTHERS


def missing(sentence: str = "No trained model is here.") -> Part:
    def make():
        raise UserError(sentence)

    return Part("Digits", make)


def taught(*names: str) -> list[dict]:
    return [{"name": name, "strokes": OTHERS[name]} for name in names]


def png(width: int = 40, height: int = 30, shade: int = 200) -> bytes:
    written = io.BytesIO()
    Image.new("L", (width, height), shade).save(written, "PNG")
    return written.getvalue()


def bomb(side: int) -> bytes:
    """A PNG of a few hundred bytes whose header promises ``side`` x ``side`` pixels."""
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0),
        b"IDAT": zlib.compress(bytes(1000)),
        b"IEND": b"",
    }
    told = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(told)


def url(content: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(content).decode()


def sentence(answer, status: int) -> str:
    """The one sentence of an answer that is an error."""
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert list(told) == ["error"] and "Traceback" not in told["error"] and told["error"][0].isupper()
    return told["error"]
