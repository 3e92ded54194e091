"""The `thygan` command: python -m pipelines."""

from pipelines.cli.app import main

main()
