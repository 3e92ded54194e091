"""Typed records of the stages, which other stages read, and the file that holds them.

`stage_record` writes and reads the file; every other module holds the records of the stage that it is named after.
"""
