"""The roles a theme gives a colour to; theme files and the screen must mean the same ones."""

from typing import Final

THEME_ROLES: Final = (
    "primary",
    "secondary",
    "accent",
    "foreground",
    "background",
    "surface",
    "panel",
    "success",
    "warning",
    "error",
)
