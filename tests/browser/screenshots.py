"""``make screenshots``: every state of the join page at 390 and 1280 pixels, light and dark, into build/screenshots.

``python -m tests.browser.screenshots NAME …`` makes those of the named scenes alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.browser.scenes import SCENES, stage

FOLDER = Path(__file__).parents[2] / "build/screenshots/join"
SIZES = ((390, 844), (1280, 800))
SCHEMES = ("light", "dark")
SETTLED_MS = 400


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    chosen = sys.argv[1:] or list(SCENES)
    with stage() as made:
        for name in chosen:
            try:
                visitor = SCENES[name](made)
            except Exception as error:
                print(f"{name}: {str(error).splitlines()[0]}", flush=True)
                continue
            for width, height in SIZES:
                for scheme in SCHEMES:
                    take(visitor.page, FOLDER / f"{name}-{width}-{scheme}.png", width, height, scheme)
            print(f"{name}: {'; '.join(visitor.problems) or 'nothing went wrong'}", flush=True)
            visitor.page.close()


def take(page: Any, path: Path, width: int, height: int, scheme: Any) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    page.mouse.move(5, 5)  # the bar of a meeting hides from who does not move
    page.mouse.move(width / 2, height / 2)
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=path)


if __name__ == "__main__":
    main()
