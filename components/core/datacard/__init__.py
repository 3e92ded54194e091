"""The data card: what a tile set holds, in numbers that a reader can check, as JSON and as a page."""

from components.core.datacard.card import data_card, write_card
from components.core.datacard.page import card_page

__all__ = ["card_page", "data_card", "write_card"]
