"""Options of stages: how they are declared, parsed, shown in a shell and written as a JSON schema.

Modules: `fields` (declaring one), `parse` (from JSON or YAML values to a dataclass), `shared` (what several stages
need), `schema` (JSON schema for editors), `profiles` (named sets of options).
"""
