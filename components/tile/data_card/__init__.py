"""The data card: what a tile set holds, in numbers that a reader can check, as JSON (`card`) and as a page (`page`)."""
