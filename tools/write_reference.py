"""Write docs/reference from the code it describes: `make reference`."""

from __future__ import annotations

from pathlib import Path

from reference import PAGES, text

FOLDER = Path(__file__).parents[1] / "docs" / "reference"


def main() -> None:
    """Write every page, and say which changed."""
    FOLDER.mkdir(exist_ok=True)
    for name in PAGES:
        file, page = FOLDER / name, text(name)
        if not file.exists() or file.read_text(encoding="utf-8") != page:
            file.write_text(page, encoding="utf-8")
            print(f"wrote {file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}")


if __name__ == "__main__":
    main()
