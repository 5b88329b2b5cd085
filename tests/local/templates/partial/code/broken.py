"""A module that cannot be imported, of a function that no route needs."""

import not_installed_anywhere  # type: ignore[import-not-found]


def handler(_event: object, _context: object) -> object:
    return not_installed_anywhere
