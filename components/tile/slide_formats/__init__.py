"""Formats of whole slides: one module each, which `components.tile.slide_reader` finds by being here.

A module fulfils `SlideFormat`: `SUFFIXES`, `is_slide(path)` and `open_reader(path)`.
"""
