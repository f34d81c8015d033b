"""Documentation that is generated from the program: `python -m docs.build`."""
