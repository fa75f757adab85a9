"""Pages of documentation of which parts are generated from the code: what stands between two marks is renewed."""

from collections.abc import Callable, Mapping

BEGIN = "<!-- generated from {}: begin -->"
END = "<!-- generated from {}: end -->"


def renew(page: str, sections: Mapping[str, Callable[[], str]]) -> str:
    """The page with its generated parts renewed, each named by its marks. Raises ValueError when a mark is missing."""
    for name, section in sections.items():
        begin, end = BEGIN.format(name), END.format(name)
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"the page must have the marks {begin!r} and {end!r} once each")
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n\n{section()}\n\n{end}{after}"
    return page
