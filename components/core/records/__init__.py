"""What stages write down for one another: a typed record per stage, and the file that carries it.

`stage_record` writes and reads the file; every other module holds the records of the stage that it is named after.
"""
