"""Copies the pictures of the console that its tests have made into the documentation, small.

    python console/pictures.py

A page has few colours, so a palette of 96 of them makes a picture a third as large and looks the same.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
MADE = ROOT / ".cache" / "console" / "screenshots"
SHOWN = ROOT / "docs" / "console"
COLOURS = 96
WIDTH = 1100
"""Pixels: what a page of documentation has room for."""


def main() -> None:
    """Write each picture anew."""
    for path in sorted(MADE.glob("*.png")):
        with Image.open(path) as picture:
            height = round(picture.height * WIDTH / picture.width)
            small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
        small.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            SHOWN / path.name, optimize=True
        )


if __name__ == "__main__":
    main()
