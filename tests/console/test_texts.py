"""All that the console shows is in `texts.ts`, so that it can be translated: no other source has words for people.

There is no parser of TypeScript here. Three patterns find what words for people look like: text between tags, a
literal as a property that is shown, and a literal of several words. Errors for developers may have their words.
"""

from __future__ import annotations

import re
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "console" / "src"
TEXTS = "texts.ts"

SHOWN = (
    "(?:aria)?[lL]abel|title|header|headerText|description|placeholder|alt|text|content|submit|about|empty|info|summary|"
    "constraintText|errorText|warningText|secondaryText|loadingText|labelTag|ariaDescription|ariaRoleDescription|"
    r"enteredTextLabel|buttonText|confirm|\w+(?:AriaLabel|Label|IconAriaLabel)"
)
"""Properties that people see or hear."""

_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|(?P<error>new\ \w*Error\()?(?P<literal>"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)""", re.S | re.X
)
_SHOWN_BEFORE = re.compile(rf"\b(?:{SHOWN})(?:=\{{?|:\s*)\Z")
_SEVERAL_WORDS = re.compile(r"[A-Za-z][a-z]+,? [A-Za-z]")
_BETWEEN_TAGS = re.compile(r"[>}]\s*([^<>{}()=;:?&|\[\]`\"',]*[A-Za-z]{2}[^<>{}()=;?&|\[\]`\"]*?)\s*(?=</|\{|\s<\w)")
_CODE = re.compile(
    r"(?:(?:export|default|interface|class|extends|return|else|const|catch|finally|null|function|try|do)\b\s*\w*\s*)+"
)


def words_in(source: str, *, tags: bool) -> list[str]:
    """The words for people that a source has; between `tags` only if it has any."""
    found: list[str] = []

    def blank(token: re.Match[str]) -> str:
        literal = token["literal"]
        if literal is None:
            return " "
        words = re.sub(r"\$\{[^}]*\}", "", literal[1:-1])
        is_shown = _SHOWN_BEFORE.search(source, max(0, token.start() - 40), token.start()) and re.search(
            "[A-Za-z]", words
        )
        if not token["error"] and (is_shown or _SEVERAL_WORDS.search(words)):
            found.append(words)
        return '""'

    plain = _TOKEN.sub(blank, source)
    if tags:
        found += [text for text in _BETWEEN_TAGS.findall(plain) if not _CODE.fullmatch(text)]
    return found


def test_all_texts_are_in_one_place() -> None:
    sources = [path for path in SOURCES.rglob("*.ts*") if path.name != TEXTS]
    assert len(sources) > 50
    found = {
        path.relative_to(SOURCES).as_posix(): words
        for path in sources
        if (words := words_in(path.read_text(), tags=path.suffix == ".tsx"))
    }
    assert found == {}


def test_texts_elsewhere_are_found() -> None:
    source = """
        /** A page of "several words". */
        export function Page({ count }: Props) {
          const shown = count ? `${count} items here` : texts.none; // No "text for people".
          throw new Error("only a developer reads this");
          return (
            <Table<Row> ariaLabel="items" header={"Items"} columns={[{ id: "name", header: "Name" }]}>
              Nothing to see
              <b>{count} more</b>
            </Table>
          );
        }
    """
    assert words_in(source, tags=True) == [" items here", "items", "Items", "Name", "Nothing to see", "more"]
