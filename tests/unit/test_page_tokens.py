"""The colours of the pages: each text can be read on each ground, in the light and in the dark."""

import re

import pytest

from videoconf.api.pages import FOLDER

LEAST_CONTRAST = 4.5
TOKENS = (FOLDER / "tokens.css").read_text()
COLOURS = {
    name: values for name, *values in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", TOKENS)
}
GROUNDS = ("ground", "raised")
TEXTS = ("ink", "quiet", "accent", "good", "warn", "bad")


def luminance(colour: str) -> float:
    """Return the relative luminance that WCAG 2 defines."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


PAIRS = [(text, ground) for text in TEXTS for ground in GROUNDS]
PAIRS += [(f"on-{ground}", ground) for ground in ("accent", "bad-fill")]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read_on_its_ground(text: str, ground: str, scheme: int) -> None:
    assert contrast(COLOURS[text][scheme], COLOURS[ground][scheme]) >= LEAST_CONTRAST


def test_pages_name_no_colour_of_their_own() -> None:
    """A colour outside the tokens has one value for light and dark, and escapes the measure above."""
    others = [
        path for path in FOLDER.rglob("*") if path.suffix in (".css", ".js", ".html") and path.name != "tokens.css"
    ]
    found = {
        (path.name, colour)
        for path in others
        for colour in re.findall(r"(?<![\w&-])#[0-9a-fA-F]{3,8}\b(?!-)|\brgba?\([^)]*\)", path.read_text())
    }
    assert found == set()
